"""Eligibility vectors that are touched when their source spikes: drives ``neurons/templates/eligibility.cu``."""

from typing import Any, NamedTuple

import numpy as np

from fitrec.kernels.cuda.arguments import pack
from fitrec.kernels.cuda.model_gradient import Window


class Eligibility(NamedTuple):
    """The kernels' struct of this name; see `kernels.cpu.eligibility`. Arrays on the device.

    Attributes
    ----------
    rows : (trial, slot, followed, followed, padded)
    filters : (trial, slot, align_pre port, followed, padded)
    vectors : (trial, followed, synapse)
    of_source : (trial, align_pre port, source)
    touched, quiet : (trial, source) int64
    filtered, followed, depends, driven
        As of `Maps`, and the numbers of the followed rows.
    decay : (slot, align_pre port)
    slots, size
        Numbers of slots and of followed rows.

    """

    rows: Any
    filters: Any
    vectors: Any
    of_source: Any
    touched: Any
    quiet: Any
    filtered: Any
    followed: Any
    depends: Any
    driven: Any
    decay: Any
    slots: np.int32
    size: np.int32


class _Stretch(NamedTuple):
    map: Any
    by_filter: Any
    arriving: Any
    left: Any
    now: np.int64
    low: np.int32
    high: np.int32


class _Worth(NamedTuple):
    of_rows: Any
    of_filters: Any
    now: np.int64
    cutoff: np.int64


class TouchedWindow(Window):
    """A run with its tape, to be gone over stretch by stretch; methods do not wait."""

    def go_on(self, eligibility: Eligibility, decay: Any, left: Any, now: int, low: int, high: int) -> None:
        """Bring maps and traces over the steps from `low` to `high`, at whose end it is `now`.

        Parameters
        ----------
        decay : (slot, align_pre port)
            At the end of the stretch; in `eligibility` it is that of its beginning.
        left : (align_pre port, step + 1)
            What is left of an arrival in a filter.

        """
        k, s, size, n_trials = self._kernels, self._kernels.shape, int(eligibility.size), self._n_trials
        zeros, length = k.device.xp.zeros, high - low
        arrays = _Stretch(
            map=zeros((n_trials, size, s.rows, s.width), k.dtype),
            by_filter=zeros((n_trials, size, s.filters, s.width), k.dtype),
            arriving=zeros((n_trials, size, length, s.ports, s.width), k.dtype),
            left=left,
            now=np.int64(now),
            low=np.int32(low),
            high=np.int32(high),
        )
        stretch = pack(arrays)  # addresses only: `arrays` lives on
        before, steps = pack(eligibility), np.int32(self._n_steps)
        args = (k.scalars, self._parameters, self._record.tape, steps, before, stretch)
        k.start("model_map_stretch", n_trials * size * s.n, args)
        columns = int(eligibility.slots) * (size + s.filters)
        k.start("model_extend_maps", n_trials * columns * s.n, (self._parameters, before, stretch))
        after = pack(eligibility._replace(decay=decay))
        args = (self._parameters, self._wiring, self._arrivals, steps, after, stretch)
        k.start("model_touch", 32 * self._rows, args)

    def weigh(self, eligibility: Eligibility, now: int, cutoff: int, gradient: Any) -> None:
        """Add the gradient of the signals at the window's end."""
        k, s, size, n_trials = self._kernels, self._kernels.shape, int(eligibility.size), self._n_trials
        places = int(eligibility.slots) + 1
        of_rows, of_filters = (k.device.xp.zeros((n_trials, places, rest, s.width), k.dtype) for rest in (size, s.filters))
        worth, packed = pack(_Worth(of_rows, of_filters, np.int64(now), np.int64(cutoff))), pack(eligibility)
        threads = n_trials * places * (size + s.filters) * s.n
        k.start("model_weigh_maps", threads, (self._parameters, self._given, packed, worth))
        k.start("model_weigh_sources", 32 * self._rows, (self._parameters, self._wiring, packed, worth, gradient))
