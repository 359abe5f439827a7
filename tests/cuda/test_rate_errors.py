"""Mean rates and learning signals of gradient fits on the device equal numba's, bit for bit."""

from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cpu import rate_errors as cpu
from fitrec.kernels.cuda.rate_errors import OnlineKernels, RateKernels
from fitrec.learn.gradient.rate_errors import banded, causal_filter

BIN_S, TRIALS = 0.02, 3


@pytest.mark.parametrize("is_poisson", [False, True])
@pytest.mark.parametrize(("n_bins", "n", "n_trained"), [(1, 1, 1), (37, 75, 41), (30, 300, 300)])
def test_equal_numba(n_bins: int, n: int, n_trained: int, is_poisson: bool, device: Any) -> None:
    rng = np.random.default_rng(n)
    trained, width = np.sort(rng.permutation(n)[:n_trained]).astype(np.int32), -(-n // 16) * 16
    matrix = causal_filter(n_bins, 20.0, 90.0)
    matrix[matrix < 1e-2] = 0
    smoothing, transposed = banded(matrix), banded(np.ascontiguousarray(matrix.T))
    kernels = RateKernels(device, trained, n, width, smoothing, transposed, BIN_S)
    counts, pull = rng.poisson(2.0, (n_bins, n)), rng.normal(size=n)
    target = np.where(rng.random((n_bins, n_trained)) < 0.1, np.nan, rng.gamma(2, 3, (n_bins, n_trained)))
    put, fetch = device.asarray, device.to_host

    mean = (counts / TRIALS).astype(np.float32)
    found = kernels.means(put(counts), TRIALS)
    np.testing.assert_array_equal(fetch(found), mean, strict=True)
    tiny = mean * np.float32(1e-39)  # denormal numbers are kept
    blended = kernels.blend(found, 0.7, put(tiny), 0.3)
    np.testing.assert_array_equal(fetch(blended), np.float32(0.7) * mean + np.float32(0.3) * tiny, strict=True)
    np.testing.assert_array_equal(fetch(kernels.blend(put(tiny), 0.7, put(tiny), 0.3)).any(), tiny.any())
    totals = np.zeros(n)
    cpu.totals(mean, totals)
    np.testing.assert_array_equal(fetch(kernels.totals(found)), totals, strict=True)

    smooth, by_rate = np.empty((n_bins, n_trained)), np.empty((n_bins, n_trained))
    cpu.smoothed(mean, trained, *smoothing, BIN_S, smooth, 0, n_trained)
    smoothed = kernels.smoothed(found)
    np.testing.assert_array_equal(fetch(smoothed), smooth, strict=True)
    cpu.slopes(is_poisson, smooth, target, 0.37, BIN_S, 0.1, by_rate, 0, n_trained)
    slopes = kernels.slopes(smoothed, put(target), is_poisson=is_poisson, scale=0.37, floor_hz=0.1)
    np.testing.assert_array_equal(fetch(slopes), by_rate, strict=True)

    expected = np.zeros((n_bins, width), np.float32)
    expected[:, :n] = ((0.0 + pull) / TRIALS).astype(np.float32)
    cpu.signals(by_rate, trained, *transposed, BIN_S, pull, float(TRIALS), expected, 0, n_trained)
    np.testing.assert_array_equal(fetch(kernels.signals(slopes, put(pull), TRIALS)), expected, strict=True)

    online = OnlineKernels(device, trained, n, width)
    observed = np.zeros(width, np.float32)
    observed[:n] = rng.gamma(2, 0.003, n)
    cpu.slopes(
        is_poisson, 1e3 * observed[trained].astype(np.float64)[None], target[:1], 0.4, BIN_S, 0.1, by_rate[:1], 0, n_trained
    )
    wanted = np.zeros(width, np.float32)
    wanted[trained] = 1e3 * by_rate[0]
    numbers = {"scale": 0.4, "bin_s": BIN_S, "floor_hz": 0.1, "per_unit": 1e3}
    found = online.slopes(put(observed), put(target[0]), is_poisson=is_poisson, **numbers)
    np.testing.assert_array_equal(fetch(found), wanted, strict=True)
