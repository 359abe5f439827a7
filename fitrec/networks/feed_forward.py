"""Rates of the feed-forward Poisson inputs: frozen and random (Kim et al. 2023; rls.md 1.2), or those of recorded units."""

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.philox import FEED_FORWARD_RATE, fill_normal, ornstein_uhlenbeck


def feed_forward_rates(
    *,
    n_conditions: int,
    n_inputs: int,
    duration_ms: int,
    rate_hz: float,
    rate_sd_hz: float,
    tau_ms: float,
    smooth_ms: float,
    seed: int,
) -> NDArray[np.float32]:
    """Ornstein-Uhlenbeck rates, smoothed by a moving average and clamped at zero, one value per ms.

    Returns
    -------
    (condition, time_ms, ff) float32
        In Hz. The process starts from its stationary distribution, half a smoothing window before the window and ends as much
        after it.

    """
    margin = int(smooth_ms // 2)
    rates = np.zeros((n_conditions, duration_ms, n_inputs), np.float32)
    decay = np.float32(np.exp(-1.0 / tau_ms))
    noise = np.float32(rate_sd_hz * np.sqrt(1.0 - decay**2))
    width = 2 * margin + 1
    for condition in range(n_conditions if n_inputs else 0):
        x = np.empty(n_inputs, np.float32)
        fill_normal(x, 2**31, condition, 0, seed, FEED_FORWARD_RATE)
        x = np.float32(rate_hz) + np.float32(rate_sd_hz) * x
        path = np.empty((duration_ms + 2 * margin, n_inputs), np.float32)
        ornstein_uhlenbeck(path, x, decay, noise, np.float32(rate_hz), condition, 0, seed, FEED_FORWARD_RATE)
        total = np.concatenate([np.zeros((1, n_inputs)), np.cumsum(path, axis=0, dtype=np.float64)])
        rates[condition] = np.maximum((total[width:] - total[:-width]) / width, 0.0)
    return rates


def recorded_rates(
    input_hz: NDArray[np.float64],
    training: NDArray[np.bool_],
    *,
    bin_ms: float,
    lead_ms: float,
    ahead_ms: float,
    rate_hz: float,
    largest_hz: float,
) -> NDArray[np.float32]:
    """Rates of inputs that carry the activity of recorded units, one value per ms.

    A recorded rate is scaled so that its mean over training time is `rate_hz`: the input stands for as many Poisson neurons that
    fire like the unit, so their noise is small. Between bins rates are interpolated.

    Parameters
    ----------
    input_hz : (condition, time, ff)
        Rates of segments that follow one another without a gap.
    training : (condition,) bool
        Segments whose mean scales the rates.
    bin_ms : float
        Width of the bins of `input_hz`.
    lead_ms : int
        How long before a segment its inputs begin, with what was recorded then; before the first segment its first value holds.
    ahead_ms : float
        How much the rates run ahead, for what the synapses delay.
    largest_hz : float
        Rates above it are cut.

    Returns
    -------
    (condition, time_ms, ff) float32
        In Hz.

    """
    n, bins, n_ff = input_hz.shape
    joined = input_hz.reshape(-1, n_ff) * (rate_hz / input_hz[training].mean(axis=(0, 1)))
    centres_ms = (np.arange(n * bins) + 0.5) * bin_ms
    within_ms = np.arange(int(np.ceil(lead_ms + bins * bin_ms - 1e-6))) + 0.5 - lead_ms + ahead_ms
    rates = np.empty((n, len(within_ms), n_ff), np.float32)
    for condition in range(n):
        time_ms = condition * bins * bin_ms + within_ms
        for j in range(n_ff):
            rates[condition, :, j] = np.interp(time_ms, centres_ms, joined[:, j])
    return np.minimum(rates, np.float32(largest_hz))
