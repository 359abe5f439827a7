"""The shared Gram matrix and the regressions that take their blocks of it, on the device, equal the host's bit for bit."""

from typing import Any

import numpy as np
import pytest

from fitrec.errors import DeviceError
from fitrec.kernels.cpu.ridge import Regressions
from fitrec.kernels.cuda.shared_gram import DeviceGram
from fitrec.learn.host_gram import HostGram
from fitrec.learn.shared_gram import SharedGram

F = np.float32
N_CONDITIONS = 2


class Pair:
    """The same trials on the host and on a device; every third neuron is no input, and the last column of the pool is silent."""

    def __init__(self, device: Any, n_all: int, n_bins: int, n_ff: int, pool_size: int = 1) -> None:
        self.device, self.rng, self.shape = device, np.random.default_rng(n_bins), (n_bins, n_all, n_ff)
        self.pool = np.flatnonzero(np.arange(n_all) % 3).astype(np.int32)
        sizes = (N_CONDITIONS, n_bins, len(self.pool), n_ff)
        self.host = SharedGram(HostGram(*sizes, pool_size), *sizes)
        self.found = SharedGram(DeviceGram(device, *sizes[:2], self.pool, n_ff, pool_size), *sizes)

    def add(self, trials: int) -> None:
        """Add trials, on the device two at a time."""
        n_bins, n_all, n_ff = self.shape
        for c in range(N_CONDITIONS):
            traces = self.rng.gamma(0.8, 6e-3, (trials, n_bins, n_all)).astype(F)
            traces[:, :, self.pool[-1]] = 0
            ff_traces = self.rng.gamma(0.8, 6e-3, (trials, n_bins, n_ff)).astype(F)
            self.host.add(c, np.ascontiguousarray(traces[:, :, self.pool]), ff_traces, 1)
            for first in range(0, trials, 2):
                some = slice(first, first + 2)
                self.found.add(c, self.device.asarray(traces[some]), ff_traces[some], 1)

    def discount(self) -> None:
        self.host.discount(0.7)
        self.found.discount(0.7)

    def problems(self, n_neurons: int, n_inputs: int, pool_size: int = 1) -> Regressions:
        inputs = np.stack([self.rng.permutation(len(self.pool))[:n_inputs] for _ in range(n_neurons)]).astype(np.int32)
        inputs = np.ascontiguousarray(inputs[np.arange(n_neurons) // pool_size * pool_size])
        target = self.rng.normal(0.1, 0.3, (N_CONDITIONS, self.shape[0], n_neurons))
        initial = self.rng.normal(0, 0.5, inputs.shape).astype(F)
        return Regressions(target, inputs, initial, np.int32(n_inputs // 2), F(3e-4), F(1e-4))

    def assert_same(self, problems: Regressions, fluctuations: float = 1.0) -> np.ndarray:
        """Compare the sums, and the solutions; returns the plastic weights."""
        found = self.found.state()
        for name, values in self.host.state().items():
            np.testing.assert_array_equal(found[name], values, err_msg=name, strict=True)
        systems = [sums.system(0.05, fluctuations, 1) for sums in (self.host, self.found)]
        assert systems[0].scale == systems[1].scale
        expected = systems[0].solve(problems, 1)
        solution = systems[1].solve(problems._replace(target=self.device.asarray(problems.target)), 1)
        for a, b in zip(solution, expected, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
        return np.asarray(expected[0])


@pytest.mark.parametrize(
    ("n_all", "n_bins", "n_ff", "n_inputs", "fluctuations"),
    [(6, 4, 0, 1, 1.0), (45, 20, 3, 12, 1.0), (60, 9, 0, 17, 0.3), (40, 12, 20, 16, 0.0)],
)
def test_sums_and_solutions(n_all: int, n_bins: int, n_ff: int, n_inputs: int, fluctuations: float, device: Any) -> None:
    pair = Pair(device, n_all, n_bins, n_ff)
    pair.add(3)
    pair.discount()
    pair.add(2)
    weights = pair.assert_same(pair.problems(3, n_inputs), fluctuations)
    assert np.isfinite(weights).all()
    assert np.ptp(weights) > 0.1


def test_several_tiles_and_pieces(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """More neurons than a tile has rows, more bins than are summed from zero; a matrix in shared and one in global memory."""
    pair = Pair(one_device, 120, 270, 4)
    pair.add(1)
    problems = pair.problems(4, 70)
    pair.assert_same(problems, 0.5)
    monkeypatch.setattr(one_device, "shared_bytes", 20 * 1024)
    pair.assert_same(problems)


@pytest.mark.parametrize("pool_size", [2, 18])
def test_neurons_with_the_same_inputs(pool_size: int, device: Any) -> None:
    pair = Pair(device, 45, 20, 3, pool_size)
    pair.add(2)
    pair.assert_same(pair.problems(19, 20, pool_size))


def test_sums_go_to_the_host_and_back(device: Any) -> None:
    pair, other = (Pair(device, 45, 20, 3) for _ in range(2))
    pair.add(3)
    other.host.restore(pair.found.state())
    other.found.restore(pair.host.state())
    other.assert_same(pair.problems(3, 12))


def test_a_matrix_that_does_not_fit_is_refused() -> None:
    from tests.cuda.host.device import HostDevice

    with pytest.raises(DeviceError, match=r"the Gram matrix of ridge needs .* GB on host shim.*gathered, or use --device cpu"):
        DeviceGram(HostDevice(memory=1000), 2, 30, np.arange(60, dtype=np.int32), 3, 1)
