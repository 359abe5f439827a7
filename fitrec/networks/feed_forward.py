"""Frozen random rates of the feed-forward Poisson inputs (Kim et al. 2023; rls.md 1.2)."""

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
