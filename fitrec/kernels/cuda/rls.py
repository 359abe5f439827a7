"""Drives ``rls.cu``: recursive least squares of all learners on the device."""

import logging
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.rls_state import RuleOptions, new_state, p_bytes, packed_size, padded
from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.device import Device, reserving

logger = logging.getLogger(__name__)

MAX_BLOCK = 256
SHARED_BYTES = 64 * 1024  # per block, so that several fit on a multiprocessor; what does not fit stays in global memory
_COPIED_BYTES = 2**28  # of P at a time
NONE_BAD = np.iinfo(np.int64).max  # any kind of integer holds it
_WHAT, _REMEDY = "the state of rls", "take fewer plastic inputs or trained neurons"


class State(NamedTuple):
    """The kernels' struct of this name, as the next two."""

    p: Any
    scale: Any
    weights: Any
    q: Any
    g: Any
    h: Any


class Signals(NamedTuple):
    """What the inputs are at one update."""

    pre: Any
    trace: Any
    delta: Any
    ff_trace: Any
    ff_delta: Any
    bias: Any


class Sizes(NamedTuple):
    """Sizes and options."""

    n_pools: np.int32
    n_neurons: np.int32
    n_inputs: np.int32
    n_ff: np.int32
    width: np.int32
    rank: np.int32
    pool_size: np.int32
    dale: np.int32
    first_exc: np.int32
    first_inh: np.int32
    scratch_is_shared: np.int32
    g_is_shared: np.int32
    packed_size: np.int32
    half_flush: np.int32


# The kernels have a form for each way to store P.
_FORMS = {"full": "", "packed": "_packed", "int16": "_int16"}


def state_bytes(n_pools: int, n_neurons: int, n_inputs: int, rank: int, storage: str = "full") -> int:
    """Device memory that the learners take."""
    row = 4 * padded(n_inputs)
    p = p_bytes(n_inputs, storage) + (row if storage == "int16" else 0)
    return n_pools * (p + row * (rank + 1) + 4 * (rank + n_inputs)) + n_neurons * row


class Learners:
    """Learners of all pools; the arguments are those of `kernels.cpu.rls_state.new_state` and `kernels.cpu.rls.rls_step`.

    Attributes
    ----------
    p, scale, padded_weights : on the device, as in `kernels.cpu.rls_state.RlsState`

    Raises
    ------
    DeviceError
        If the device has too little memory.

    """

    def __init__(
        self,
        device: Device,
        p0: NDArray[np.float64],
        weights: NDArray[np.float32],
        pre: NDArray[np.int32],
        rule: RuleOptions,
        rank: int,
        storage: str = "full",
        *,
        half_flush: bool = False,
    ) -> None:
        n_neurons, n_inputs = weights.shape
        n_pools, width = len(pre), padded(n_inputs)
        one = new_state(p0, weights[:1], 1, storage=storage)  # all pools begin with the same P
        xp, self._device, self._held = device.xp, device, 0
        with reserving(device, state_bytes(n_pools, n_neurons, n_inputs, rank, storage), _WHAT, _REMEDY):
            self.p = xp.empty((n_pools, *one.p.shape[1:]), one.p.dtype)
            self.scale = xp.empty((n_pools, one.scale.shape[1]), np.float32)
            self._q = xp.zeros((n_pools, width), np.float32)
            self._g = xp.zeros((n_pools, width // 16, rank, 16), np.float32)
            self._h = xp.zeros((n_pools, rank), np.float32)
            self.padded_weights = xp.zeros((n_neurons, width), np.float32)
            self._pre = device.asarray(pre)
        self.p[:], self.scale[:] = device.asarray(one.p[0]), device.asarray(one.scale[0])
        self.set_weights(weights)
        self._bad = device.asarray(np.array([NONE_BAD], np.uint64))
        self._bias = xp.zeros(n_neurons, np.float32)
        scratch, held = 4 * 4 * width, 4 * width * rank
        scratch_is_shared = scratch <= SHARED_BYTES
        g_is_shared = scratch * scratch_is_shared + held <= SHARED_BYTES
        outside = ["traces"] * (not scratch_is_shared) + ["held-back updates"] * (not g_is_shared)
        if outside:
            logger.info(
                "rls: the %s of %d inputs (rank %d) do not fit into %.0f kB of shared memory and stay in global memory, which is "
                "slower",
                " and ".join(outside),
                n_inputs,
                rank,
                SHARED_BYTES / 1024,
            )
        self._shared = scratch * scratch_is_shared + held * g_is_shared
        self._block = max(64, min(MAX_BLOCK, -(-width // 32) * 32))
        self._form = _FORMS[storage]
        self._grid = min(n_pools, device.resident_blocks("rls", f"rls_step{self._form}", self._block, self._shared))
        self._scratch = xp.zeros(0 if scratch_is_shared else self._grid * 4 * width, np.float32)
        self._sizes = Sizes(
            n_pools=np.int32(n_pools),
            n_neurons=np.int32(n_neurons),
            n_inputs=np.int32(n_inputs),
            n_ff=np.int32(n_inputs - pre.shape[1]),
            width=np.int32(width),
            rank=np.int32(rank),
            pool_size=np.int32(rule.pool_size),
            dale=np.int32(rule.dale),
            first_exc=np.int32(rule.first_exc),
            first_inh=np.int32(rule.first_inh),
            scratch_is_shared=np.int32(scratch_is_shared),
            g_is_shared=np.int32(g_is_shared),
            packed_size=np.int32(packed_size(n_inputs)),
            half_flush=np.int32(half_flush),
        )
        self._last = self._delta = (xp.zeros(0, np.float32), xp.zeros(0, np.float32))

    def set_weights(self, weights: Any, first: int = 0) -> None:
        """Take over weights (neuron, input), from the host or from the device, as those of the inputs from `first` on."""
        values = self._device.asarray(weights) if type(weights) is np.ndarray else weights
        self.padded_weights[:, first : first + weights.shape[1]] = values

    def begin(self, n_neurons: int) -> None:
        """Start a trial of a network of so many neurons with all traces at zero."""
        xp, n_ff = self._device.xp, int(self._sizes.n_ff)
        for array in (self._q, self._h):
            array.fill(0)
        self._bad.fill(NONE_BAD)
        self._held, self._update = 0, 0
        self._last, self._delta = ((xp.zeros(n_neurons, np.float32), xp.zeros(n_ff, np.float32)) for _ in range(2))

    def set_bias(self, u_static: Any, trained: Any, wanted: Any, *, instantaneous: bool) -> None:
        """Set the errors without plastic input from ``wanted`` (neuron,) float64 and, if `instantaneous`, static currents."""
        n = len(self._bias)
        args = (u_static, trained, wanted, self._bias, np.int32(n), np.int32(instantaneous))
        self._device.launch("rls", "rls_bias", -(-n // MAX_BLOCK), MAX_BLOCK, args)

    def step(self, rho: np.float32, trace: Any, ff_trace: Any) -> None:
        """Update once from the traces, which decayed by `rho` since the last time, and the bias set before. Does not wait."""
        for values, last, delta in zip((trace, ff_trace), self._last, self._delta, strict=True):
            if n := values.size:
                self._device.launch(
                    "rls", "rls_added", -(-n // MAX_BLOCK), MAX_BLOCK, (values, last, delta, np.int32(n), np.float32(rho))
                )
        signals = Signals(self._pre, trace, self._delta[0], ff_trace, self._delta[1], self._bias)
        numbers = np.int32(self._held), np.float32(rho), np.uint32(self._update)
        args = (pack(self._state), pack(signals), pack(self._sizes), *numbers, self._scratch, self._bad)
        self._device.launch("rls", f"rls_step{self._form}", self._grid, self._block, args, shared=self._shared)
        self._held, self._update = (self._held + 1) % int(self._sizes.rank), self._update + 1

    def flush(self) -> None:
        """Apply what is held back."""
        if self._held:
            args = (pack(self._state), pack(self._sizes), np.int32(self._held), self._scratch)
            self._device.launch("rls", f"rls_flush{self._form}", self._grid, self._block, args, shared=self._shared)
        self._held = 0

    def bad(self) -> tuple[int, int] | None:
        """Update of this trial (from 0) and neuron that first had a negative or infinite r'k or an infinite error; waits."""
        code = int(self._device.to_host(self._bad)[0])
        return None if code == NONE_BAD else (code >> 32, code & 0xFFFFFFFF)

    @property
    def weights(self) -> NDArray[np.float32]:
        """(neuron, input), feed-forward inputs first; a copy on the host."""
        return self._device.to_host(self.padded_weights)[:, : int(self._sizes.n_inputs)]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """P in the form that the CPU's learner keeps; between trials nothing else but the weights is left to remember."""
        return {"p": self._device.to_host(self.p), "scale": self._device.to_host(self.scale)}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take over a stored P, piece by piece."""
        p, self.scale[:] = arrays["p"], self._device.asarray(arrays["scale"])
        pools = max(1, _COPIED_BYTES // p[0].nbytes)
        for first in range(0, len(p), pools):
            self.p[first : first + pools] = self._device.asarray(p[first : first + pools])

    @property
    def _state(self) -> State:
        return State(self.p, self.scale, self.padded_weights, self._q, self._g, self._h)
