import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from fitrec.targets.smoothing import kernel_weights, smooth


@given(st.sampled_from(["gaussian", "boxcar"]), st.floats(0.001, 0.5), st.integers(1, 60), st.integers(0, 2))
def test_constants_stay_constant(kernel: str, width_s: float, n: int, axis: int) -> None:
    shape = [2, 3, 4]
    shape[axis] = n
    np.testing.assert_allclose(smooth(np.full(shape, 7.0), 0.01, kernel, width_s, axis), 7.0)


@given(st.sampled_from(["gaussian", "boxcar"]), st.floats(0.005, 0.3))
def test_smoothing_is_linear_and_even(kernel: str, width_s: float) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 50))
    np.testing.assert_allclose(
        smooth(x + 2 * y, 0.01, kernel, width_s, 0), smooth(x, 0.01, kernel, width_s, 0) + 2 * smooth(y, 0.01, kernel, width_s, 0)
    )
    np.testing.assert_allclose(smooth(x[::-1], 0.01, kernel, width_s, 0)[::-1], smooth(x, 0.01, kernel, width_s, 0))


def test_boxcar_is_a_moving_average() -> None:
    x = np.random.default_rng(1).normal(size=101)
    smoothed = smooth(x, 0.02, "boxcar", 0.3, 0)
    expected = [x[max(0, i - 7) : i + 8].mean() for i in range(101)]
    np.testing.assert_allclose(smoothed, expected)


def test_even_boxcar_is_centred() -> None:
    np.testing.assert_allclose(kernel_weights(0.01, "boxcar", 0.04), [0.125, 0.25, 0.25, 0.25, 0.125])
    np.testing.assert_array_equal(kernel_weights(0.01, "boxcar", 0.01), [1.0])


def test_gaussian_has_the_width_asked_for() -> None:
    weights = kernel_weights(0.001, "gaussian", 0.025)
    offset = np.arange(len(weights)) - len(weights) // 2
    assert np.sqrt((weights * offset**2).sum()) * 0.001 == pytest.approx(0.025, rel=2e-3)
    np.testing.assert_allclose(weights, norm.pdf(offset / 25) / 25, rtol=2e-3, atol=1e-6)


def test_nothing_to_smooth() -> None:
    x = np.arange(5)
    for kernel, width in (("none", 1.0), ("gaussian", 0.0), ("boxcar", 0.0)):
        np.testing.assert_array_equal(smooth(x, 0.01, kernel, width, 0), x)
    with pytest.raises(ValueError, match="unknown kernel"):
        smooth(x, 0.01, "triangle", 1.0, 0)


@pytest.mark.parametrize("module", ["smoothing", "siegert", "drive"])
def test_numerical_modules_are_light(module: str) -> None:
    code = (
        "import sys\nfor name in ('pydantic', 'zarr', 'pandas', 'pynwb', 'h5py', 'snakemake'): sys.modules[name] = None\n"
        f"import fitrec.targets.{module}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
