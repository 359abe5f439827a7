"""Gradients from trials of compiled neuron models: drives ``back.cu`` and ``traces.cu`` of neurons/templates."""

from typing import Any, NamedTuple

import numpy as np

from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.model import Events, ModelKernels, Record, Wiring

CHUNK = 256  # steps whose derivatives by what arrives are kept at a time; changes no bit


class Signals(NamedTuple):
    """Derivatives of the loss, on the device; see `go_back` in loop.py.

    Attributes
    ----------
    rows : (signal row,) int64
    states : (trial or 1, step // every, signal row * padded)
    spikes : (trial or 1, row, padded)
        Without rows where the loss does not depend on spikes.

    """

    rows: Any
    states: Any
    every: int
    spikes: Any
    spikes_every: int

    @property
    def with_spikes(self) -> bool:
        """Whether the loss depends on spikes."""
        return bool(self.spikes.shape[1] > 0)


class Presynaptic(NamedTuple):
    """What pp-prop needs of the presynaptic side; arrays on the device.

    Attributes
    ----------
    decay : float
        Of the traces, per step.
    filter_decay : (port,)
        Of the synaptic filter of an align_pre port, 0 for others.
    left : (port, step + 1, 3)
        See `kernels.cpu.model_loop.left_of_arrivals`.
    traces : (trial, 2, port, source)
        Synaptic filters and traces at the end of the window before; advanced.

    """

    decay: Any
    filter_decay: Any
    left: Any
    traces: Any


class Postsynaptic(NamedTuple):
    """What pp-prop needs of the postsynaptic side; arrays on the device.

    Attributes
    ----------
    decay : float
        Of the traces, per step.
    correction : (sample,)
        Of the traces' beginning at 0.
    traces : (trial, port, row * padded)
        Advanced.

    """

    decay: Any
    correction: Any
    traces: Any


class Synaptic(NamedTuple):
    """Traces of every synapse; the kernel's struct ``Following``, arrays on the device.

    Attributes
    ----------
    traces : (trial, row, synapse)
        Advanced.
    filter, new_filter : (trial, port, source)
        Synaptic filters before the window, and after it.
    quiet, new_quiet : (trial, source) int64
        Steps since the last arrival from each source, before the window and after it.
    source : (synapse,) int32
    filter_decay : (port,)
    cutoff : int64
        Synapses whose source has been quiet for so many steps or more have no gradient.

    """

    traces: Any
    filter: Any
    new_filter: Any
    quiet: Any
    new_quiet: Any
    source: Any
    filter_decay: Any
    cutoff: np.int64


class _Signals(NamedTuple):
    rows: Any
    states: Any
    spikes: Any
    states_stride: np.int64
    spikes_stride: np.int64
    n_rows: np.int32
    every: np.int32
    with_spikes: np.int32
    spikes_every: np.int32


class _Span(NamedTuple):
    n_steps: np.int32
    low: np.int32
    high: np.int32


class _Back(NamedTuple):
    adjoints: Any
    filters: Any
    sums: Any
    arriving: Any
    chunk: np.int32


class _Arrivals(NamedTuple):
    raster: Any
    indptr: Any
    step: Any


class _Weighing(NamedTuple):
    traces: Any
    products: Any
    correction: Any
    keep: Any
    gain: Any
    every: np.int32


class _Products(NamedTuple):
    products: Any
    filtered: Any
    summed: Any
    arriving: Any
    filter_decay: Any
    decay: Any
    every: np.int32
    chunk: np.int32


class Window:
    """A run with its tape, to be gone over; methods add to each trial's `gradient` (trial, synapse) and do not wait."""

    def __init__(self, kernels: ModelKernels, wiring: Wiring, inputs: Events, record: Record, signals: Signals) -> None:
        self._kernels, self._record, self._signals = kernels, record, signals
        self._alive = wiring, inputs  # kernels are given addresses only
        self._n_trials, self._n_steps = len(record.raster), int(record.n_steps)
        self._parameters, self._wiring = pack(kernels.sized(self._n_trials)), pack(wiring)
        self._arrivals = pack(_Arrivals(record.raster, inputs.by_input, inputs.step))
        self._given = pack(
            _Signals(
                rows=signals.rows,
                states=signals.states,
                spikes=signals.spikes,
                states_stride=_stride(signals.states),
                spikes_stride=_stride(signals.spikes),
                n_rows=np.int32(len(signals.rows)),
                every=np.int32(signals.every),
                with_spikes=np.int32(signals.with_spikes),
                spikes_every=np.int32(signals.spikes_every),
            )
        )

    def go_back(self, adjoints: Any, filters: Any, sums: Any, gradient: Any) -> None:
        """Add the gradient of the local adjoint; see `go_back` in loop.py.

        Parameters
        ----------
        adjoints, filters, sums
            (trial, row * padded), (trial, align_pre port * padded) and (trial, trainable * padded): changed.
        gradient : (trial, synapse), or None
            None: only go back.

        """
        cells, arriving = self._n_trials * self._kernels.shape.n, self._new_arriving()
        back = pack(_Back(adjoints, filters, sums, arriving, np.int32(arriving.shape[1])))
        for span in self._spans(arriving.shape[1]):
            args = (self._kernels.scalars, self._parameters, self._record.tape, self._given, pack(span), back)
            self._kernels.start("model_back", cells, args)
            if gradient is not None:
                self._gather(span, arriving, gradient)

    def go_back_through_time(self, adjoints: Any, filters: Any, later: Any, sums: Any, gradient: Any) -> None:
        """Add the gradient along all paths; see `go_back_through_time` in loop.py. Arguments as those of `go_back`.

        Parameters
        ----------
        later : (trial, delay, port * padded)
            Derivatives by what arrives in the steps after the window; changed to those of its first steps.

        """
        k, arriving, delay = self._kernels, self._new_arriving(), later.shape[1]
        back = pack(_Back(adjoints, filters, sums, arriving, np.int32(arriving.shape[1])))
        for span in self._spans(arriving.shape[1]):
            front = (k.scalars, self._parameters, self._wiring, self._record.tape, self._given, pack(span), back, later)
            k.start_together("model_back_through_time", self._n_trials, front)
            if gradient is not None:
                self._gather(span, arriving, gradient)
            later[:] = k.device.xp.concatenate((arriving[:, : span.high - span.low], later), axis=1)[:, :delay]

    def products(self, post: Postsynaptic, pre: Presynaptic, gradient: Any) -> None:
        """Add the gradient of pp-prop; see `weigh_traces` in loop.py and `kernels.cpu.model_loop.go_back_products`."""
        k, s, xp = self._kernels, self._kernels.shape, self._kernels.device.xp
        every = 1 if self._signals.with_spikes else self._signals.every
        size, cells = s.ports * s.width, self._n_trials * s.ports * s.n
        products = xp.zeros((self._n_trials, self._n_steps // every, size), k.dtype)
        number = k.dtype.type
        weighing = _Weighing(
            post.traces, products, post.correction, number(post.decay), number(1) - number(post.decay), np.int32(every)
        )
        args = (k.scalars, self._parameters, self._record.tape, self._given, np.int32(self._n_steps), pack(weighing))
        k.start("model_weigh", cells, args)
        arriving = self._new_arriving()
        filtered, summed = (xp.zeros((self._n_trials, size), k.dtype) for _ in range(2))
        chunk = np.int32(arriving.shape[1])
        struct = pack(
            _Products(products, filtered, summed, arriving, pre.filter_decay, number(pre.decay), np.int32(every), chunk)
        )
        for span in self._spans(arriving.shape[1]):
            k.start("model_products", cells, (self._parameters, pack(span), struct))
            self._gather(span, arriving, gradient)
        k.start("model_carry", 32 * self._rows, (self._parameters, self._wiring, struct, pre.traces, gradient))
        given = (self._parameters, self._arrivals, pre.left, pre.traces, np.int32(self._n_steps))
        k.start("model_presynaptic", self._rows * s.ports, given)

    def follow(self, synaptic: Synaptic, gradient: Any) -> None:
        """Add the gradient of D-RTRL; see `follow_synapses` in loop.py."""
        k, steps = self._kernels, np.int32(self._n_steps)
        front = (k.scalars, self._parameters, self._wiring, self._arrivals, self._record.tape)
        if gradient.size:
            k.start("model_follow", gradient.size, (*front, self._given, steps, pack(synaptic), gradient))

    @property
    def _rows(self) -> int:
        return self._n_trials * (self._kernels.shape.n + self._kernels.shape.n_inputs)

    def _new_arriving(self) -> Any:
        s, chunk = self._kernels.shape, min(CHUNK, self._n_steps)
        return self._kernels.device.xp.zeros((self._n_trials, chunk, s.ports * s.width), self._kernels.dtype)

    def _spans(self, chunk: int) -> list[_Span]:
        """Pieces of the window, latest first."""
        highs = range(self._n_steps, 0, -chunk)
        return [_Span(*map(np.int32, (self._n_steps, max(0, high - chunk), high))) for high in highs]

    def _gather(self, span: _Span, arriving: Any, gradient: Any) -> None:
        args = (self._parameters, self._wiring, self._arrivals, pack(span), arriving, gradient, np.int32(arriving.shape[1]))
        self._kernels.start("model_gather", 32 * self._rows, args)


def add_trials(kernels: ModelKernels, parts: Any, total: Any) -> None:
    """Add to `total` (element,), in the kernels' precision or in float64, each trial's part (trial, element), in their order."""
    if total.size:
        kernel = "model_sum" if total.dtype == kernels.dtype else "model_sum_double"
        kernels.start(kernel, total.size, (parts, total, np.int64(total.size), np.int32(len(parts))))


def _stride(array: Any) -> np.int64:
    """Elements from one trial to the next; 0 where all have the same."""
    return np.int64(array[0].size if len(array) > 1 else 0)
