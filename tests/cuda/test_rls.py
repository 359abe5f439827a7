"""Recursive least squares on the device equals numba's, bit for bit, in P, weights and all that is held back."""

from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cuda import rls
from fitrec.kernels.cuda.rls import Learners
from fitrec.kernels.reference.rls import initial_p
from tests.rls_learners import Learners as CpuLearners
from tests.rls_learners import Samples, poisson_samples

F = np.float32
UPDATES = 21  # not a multiple of any rank above 1 but 3 and 7


class Pair:
    """The same learners on the CPU and on a device."""

    def __init__(self, device: Any, n_exc: int, n_inh: int, n_ff: int = 0, rank: int = 8, **options: Any) -> None:
        n_learners, self.device = 5, device
        samples = poisson_samples(UPDATES, n_exc, n_inh, n_ff, n_learners, seed=n_exc)
        pool_size = options.get("pool_size", 1)
        pre = np.repeat(samples.pre[::pool_size], pool_size, axis=0)[:n_learners]
        self.samples = Samples(trace=samples.trace, ff_trace=samples.ff_trace, bias=samples.bias, rho=samples.rho, pre=pre)
        p0 = initial_p(n_ff, n_exc, n_inh, penalty=0.05, penalty_row_sum=0.3, penalty_feed_forward=0.1)
        weights = np.random.default_rng(2).normal(0, 0.1, (n_learners, len(p0))).astype(F)
        self.cpu = CpuLearners(self.samples, p0, weights, rank, F, **options)
        storage = options.get("storage", "full")
        half = options.get("half_flush", False)
        self.found = Learners(device, p0, weights, pre[::pool_size].copy(), self.cpu.rule, rank, storage, half_flush=half)
        self.begin()

    def begin(self) -> None:
        self.cpu.restart()
        self.found.set_weights(self.cpu.weights)
        self.found.begin(self.samples.trace.shape[1])

    def learn(self) -> int:
        """Run all updates; returns what the CPU says."""
        put, samples = self.device.asarray, self.samples
        nothing = put(np.zeros(1, np.int32))
        for n in range(UPDATES):
            self.found.set_bias(nothing, nothing, put(samples.bias[n].astype(F).astype(float) * -1), instantaneous=False)
            self.found.step(F(samples.rho), put(samples.trace[n].astype(F)), put(samples.ff_trace[n].astype(F)))
        return self.cpu.learn(range(UPDATES))

    def assert_equal(self) -> None:
        state, found = self.cpu.state, self.found
        pairs = {"p": found.p, "scale": found.scale, "weights": found.padded_weights, "q": found._q, "g": found._g, "h": found._h}
        for name, array in pairs.items():
            np.testing.assert_array_equal(self.device.to_host(array), getattr(state, name), err_msg=name, strict=True)


@pytest.mark.parametrize(
    ("n_exc", "n_inh", "n_ff", "rank"),
    [
        (1, 1, 0, 1),
        (8, 8, 0, 4),
        (10, 9, 0, 8),
        (17, 14, 4, 16),
        (20, 17, 11, 3),
        (45, 45, 0, 8),
        (60, 61, 6, 7),
        (130, 141, 5, 32),
    ],
)
def test_equals_numba(n_exc: int, n_inh: int, n_ff: int, rank: int, device: Any) -> None:
    pair = Pair(device, n_exc, n_inh, n_ff, rank)
    start = pair.cpu.weights.copy()
    assert pair.learn() == -1
    assert pair.found.bad() is None
    pair.assert_equal()
    assert np.abs(pair.cpu.weights - start).max() > 1e-3
    pair.cpu.flush()
    pair.found.flush()
    np.testing.assert_array_equal(pair.device.to_host(pair.found.p), pair.cpu.state.p)
    pair.begin()
    assert pair.learn() == -1
    pair.assert_equal()


@pytest.mark.parametrize("storage", ["packed", "int16"])
@pytest.mark.parametrize(("n_exc", "n_inh", "n_ff", "rank"), [(1, 1, 0, 1), (17, 14, 4, 16), (20, 17, 11, 3), (70, 71, 0, 8)])
def test_other_ways_to_store_p(storage: str, n_exc: int, n_inh: int, n_ff: int, rank: int, device: Any) -> None:
    pair = Pair(device, n_exc, n_inh, n_ff, rank, storage=storage)
    assert pair.learn() == -1
    assert pair.found.bad() is None
    pair.assert_equal()
    pair.cpu.flush()
    pair.found.flush()
    for name, values in pair.found.arrays().items():
        np.testing.assert_array_equal(values, getattr(pair.cpu.state, name), strict=True)
    pair.found.restore(pair.found.arrays())
    pair.begin()
    pair.learn()
    pair.assert_equal()


@pytest.mark.parametrize(("n_exc", "n_inh", "n_ff", "rank"), [(1, 1, 0, 1), (17, 14, 1, 16), (20, 17, 11, 3), (70, 71, 0, 8)])
def test_half_of_p_is_computed_and_mirrored(n_exc: int, n_inh: int, n_ff: int, rank: int, device: Any) -> None:
    pair = Pair(device, n_exc, n_inh, n_ff, rank, half_flush=True)
    assert pair.learn() == -1
    pair.cpu.flush()
    pair.found.flush()
    pair.assert_equal()
    p = pair.cpu.p
    np.testing.assert_array_equal(p, p.transpose(0, 2, 1))


def test_dale_and_pools(device: Any) -> None:
    """Five neurons make two pools of two and one of one."""
    pair = Pair(device, 15, 12, 3, 4, pool_size=2, dale_from=(3, 18))
    pair.learn()
    pair.assert_equal()
    assert (pair.cpu.weights[:, 3:18] == 0).any()
    assert (pair.cpu.weights[:, 3:18] >= 0).all()


@pytest.mark.parametrize("room", [0, 2000, 1 << 16])
@pytest.mark.parametrize("block", [64, 128, 256])
def test_what_is_in_shared_memory_and_the_block_change_nothing(
    room: int, block: int, monkeypatch: pytest.MonkeyPatch, device: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """No room, room for what a step gathers, room for all; what does not fit is said."""
    monkeypatch.setattr(rls, "SHARED_BYTES", room)
    monkeypatch.setattr(rls, "MAX_BLOCK", block)
    caplog.set_level("INFO", "fitrec")
    pair = Pair(device, 30, 31, 4, 6)
    told = {0: "rls: the traces and held-back updates of 65 inputs (rank 6)", 2000: "rls: the held-back updates of 65 inputs"}
    assert caplog.text.count("stay in global memory") == caplog.text.count(told.get(room, "nothing")) == (room < 1 << 16)
    pair.learn()
    pair.assert_equal()


@pytest.mark.parametrize("damage", ["indefinite", "nan", "infinite"])
def test_an_unusable_p_is_noticed_and_its_neuron_named(damage: str, device: Any) -> None:
    pair = Pair(device, 12, 12)
    p = pair.cpu.state.p
    p[3] = {"indefinite": -p[3], "nan": np.nan, "infinite": np.inf}[damage]
    pair.found.restore({"p": p, "scale": pair.cpu.state.scale})
    assert pair.learn() == 3
    update, neuron = pair.found.bad() or (-1, -1)
    assert (update, neuron) == (pair.cpu.held, 3)


def test_the_first_infinite_error_is_reported(device: Any) -> None:
    pair = Pair(device, 12, 12)
    pair.samples.bias[9, 2:] = np.nan
    pair.samples.bias[4, [1, 4]] = np.inf
    assert pair.learn() == 1
    assert pair.found.bad() == (4, 1)


def test_bias(device: Any) -> None:
    """In float64, rounded once."""
    pair, rng = Pair(device, 6, 5), np.random.default_rng(0)
    current, wanted, trained = rng.normal(0, 1, 40).astype(F), rng.normal(0, 1, 5), np.arange(3, 40, 8, dtype=np.int32)
    put, host = device.asarray, device.to_host
    pair.found.set_bias(put(current), put(trained), put(wanted), instantaneous=True)
    np.testing.assert_array_equal(host(pair.found._bias), (current[trained].astype(float) - wanted).astype(F))


def test_too_large_learners_are_refused() -> None:
    from fitrec.errors import DeviceError
    from tests.cuda.host.device import HostDevice

    with pytest.raises(DeviceError, match=r"the state of rls needs .* GB on host shim.*--device cpu"):
        Pair(HostDevice(memory=1000), 12, 12)
