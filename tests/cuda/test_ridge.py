"""Ridge on the device equals numba's, bit for bit: what is kept of the traces, and every neuron's weights."""

from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cpu.ridge import Regressions
from fitrec.kernels.cuda import ridge
from fitrec.kernels.cuda.ridge import DeviceTraces
from fitrec.learn.feed_forward_columns import SmallMatrices
from fitrec.learn.gathered_traces import HostTraces

F = np.float32
N_ALL = 90  # neurons, of which every third is no input


class Pair:
    """The same traces on the host and on a device."""

    def __init__(self, device: Any, n_bins: int, trials: int, bits: int, n_conditions: int = 2, slots: int = 0) -> None:
        rng = np.random.default_rng(n_bins)
        self.pool = np.flatnonzero(np.arange(N_ALL) % 3).astype(np.int32)
        sizes = (n_conditions, n_bins)
        self.host = HostTraces(*sizes, len(self.pool), slots or trials, bits)
        self.found = DeviceTraces(device, *sizes, self.pool, slots or trials, bits)
        for c in range(n_conditions):
            for slot in range(trials):
                trace = (rng.gamma(0.8, 6e-3, (n_bins, N_ALL)) * (rng.random(N_ALL) < 0.9)).astype(F)
                energy = self.host.keep(c, slot, np.ascontiguousarray(trace[:, self.pool]), 1)
                np.testing.assert_array_equal(self.found.keep(c, slot, device.asarray(trace), 1), energy)
        self.root_weight = np.sqrt(rng.uniform(0.2, 1.0, (n_conditions, trials))).astype(F)
        self.device, self.n_bins, self.trials, self.rng = device, n_bins, trials, rng

    def problems(self, n_neurons: int, n_inputs: int, n_exc: int) -> Regressions:
        inputs = np.stack([self.rng.permutation(len(self.pool))[:n_inputs] for _ in range(n_neurons)]).astype(np.int32)
        target = self.rng.normal(0.1, 0.3, (len(self.root_weight), self.n_bins, n_neurons))
        initial = self.rng.normal(0, 0.5, inputs.shape).astype(F)
        return Regressions(target, inputs, initial, np.int32(n_exc), F(3e-4), F(1e-4))

    def assert_same_solution(self, problems: Regressions, n_ff: int = 0) -> np.ndarray:
        """Solve on either; returns the plastic weights."""
        n_conditions, n_samples = len(self.root_weight), self.trials * self.n_bins
        weighted = self.rng.gamma(0.8, 6e-3, (n_conditions, n_samples, n_ff)).astype(F)
        sizes = ((0.3, n_ff), (1e-2, self.n_bins), (1.0, self.n_bins + n_ff))
        half, half_mean, weights = (self.rng.normal(0, size, (n_conditions, n_ff, n)) for size, n in sizes)
        small = SmallMatrices(half, half_mean, weights)
        on_host = self.host.columns(self.root_weight, weighted, small, 1)
        expected = self.host.solve(self.root_weight, on_host, problems, 1)
        columns = self.found.columns(self.root_weight, weighted, small, 1)
        on_device = problems._replace(target=self.device.asarray(problems.target))
        found = self.found.solve(self.root_weight, columns, on_device, 1)
        np.testing.assert_array_equal(self.device.to_host(columns.reduction), on_host.reduction, strict=True)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
        assert expected[1].shape == (n_conditions, len(problems.inputs), n_ff)
        return expected[0]


@pytest.mark.parametrize(
    ("n_bins", "trials", "bits", "n_neurons", "n_inputs", "n_exc", "n_ff"),
    [
        (7, 1, 16, 2, 1, 1, 0),
        (30, 3, 16, 5, 12, 7, 0),
        (31, 9, 32, 2, 17, 8, 3),  # pieces end within a trial
        (70, 4, 16, 4, 33, 20, 20),
        (40, 3, 16, 1, 60, 30, 0),
    ],
)
def test_equals_numba(
    n_bins: int, trials: int, bits: int, n_neurons: int, n_inputs: int, n_exc: int, n_ff: int, device: Any
) -> None:
    pair = Pair(device, n_bins, trials, bits)
    weights = pair.assert_same_solution(pair.problems(n_neurons, n_inputs, n_exc), n_ff)
    assert np.isfinite(weights).all()
    assert np.ptp(weights) > 0.1


def test_tiles_and_a_matrix_too_large_for_shared_memory(
    one_device: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """More inputs than the 64 of a tile; once in shared, once in global memory, more neurons than blocks."""
    monkeypatch.setitem(globals(), "N_ALL", 220)
    pair = Pair(one_device, 25, 2, 16, n_conditions=1)
    problems = pair.problems(5, 135, 70)
    pair.assert_same_solution(problems, 4)
    caplog.set_level("INFO", "fitrec")
    monkeypatch.setattr(one_device, "shared_bytes", 48 * 1024)
    pair.assert_same_solution(problems, 4)
    assert "a system of 135 inputs does not fit into the 48 kB of shared memory that a block has" in caplog.text


def test_products_with_feed_forward_traces(device: Any) -> None:
    pair = Pair(device, 30, 9, 16)
    for n_ff in (0, 3, 70):
        weighted = pair.rng.gamma(0.8, 6e-3, (2, 270, n_ff)).astype(F)
        expected = pair.host.cross(pair.root_weight, weighted, 1)
        found = device.to_host(pair.found.cross(pair.root_weight, weighted))
        np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("bits", [16, 32])
def test_means_over_trials(bits: int, device: Any) -> None:
    pair = Pair(device, 70, 5, bits)
    share = pair.rng.dirichlet(np.ones(4), 2).astype(F)
    pair.host.average(share, 1)
    pair.found.average(share, 1)
    expected, found = pair.host.arrays(5), pair.found.arrays(5)
    traces = expected["kept"].astype(float) * expected["scale"][..., None]
    np.testing.assert_allclose(traces[:, :, 4], np.einsum("ck,cpkt->cpt", share, traces[:, :, :4]), rtol=0, atol=1e-6)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name, strict=True)


@pytest.mark.parametrize("bits", [16, 32])
def test_kept_traces_go_to_the_host_and_back(bits: int, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "COPIED_BYTES", 7 * 3 * 33 * bits // 8)  # pieces of seven neurons
    pair = Pair(device, 33, 3, bits, slots=5)
    kept = pair.found.arrays(3)
    for name, values in pair.host.arrays(3).items():
        np.testing.assert_array_equal(kept[name], values, err_msg=name, strict=True)
    other = DeviceTraces(device, 2, 33, pair.pool, 4, bits)
    other.restore(kept)
    for name, values in kept.items():
        np.testing.assert_array_equal(other.arrays(3)[name], values, err_msg=name, strict=True)


def test_a_problem_without_a_solution_gets_nan(device: Any) -> None:
    """The second of three neurons, whose target is NaN; and all, where the matrix has no Cholesky factor."""
    pair = Pair(device, 20, 3, 16)
    problems = pair.problems(3, 14, 7)
    problems.target[0, 3, 1] = np.nan
    weights = pair.assert_same_solution(problems)
    np.testing.assert_array_equal(np.isnan(weights), np.arange(3)[:, None] * np.ones(14) == 1)
    assert np.isnan(pair.assert_same_solution(problems._replace(diagonal=F(-1)))).all()


def test_traces_that_do_not_fit_are_refused() -> None:
    from fitrec.errors import DeviceError
    from tests.cuda.host.device import HostDevice

    with pytest.raises(
        DeviceError, match=r"keeping the traces of ridge needs .* GB on host shim.*memory_gb, or use --device cpu"
    ):
        DeviceTraces(HostDevice(memory=1000), 2, 30, np.arange(60, dtype=np.int32), 3, 16)
