"""One step of recursive least squares for all neurons: two dense passes over P, one fused pass, and the event-driven form.

Inputs are Poisson neurons whose traces decay with 150 ms; targets are random. Every form sees the same samples. Times are medians
over groups of as many updates as the event-driven form holds back, so that each group holds one update of P.
"""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.bench.machine import copy_bandwidth, peak_flops, require_memory
from fitrec.errors import ConfigError
from fitrec.kernels.cpu import rls_dense
from fitrec.kernels.cpu.aligned import aligned_zeros
from fitrec.kernels.cpu.rls_state import RuleOptions, Signals, new_state, p_bytes, padded
from fitrec.kernels.reference.rls import initial_p, rls_step
from fitrec.learn.rls_learner import CpuLearner, LearnerOptions, chosen_rank, flushes_half
from fitrec.networks.plastic import plastic_inputs
from fitrec.threads import thread_map

TAU_MS = 150.0
PENALTY = 0.04  # lambda of the Neuropixels and ALM fits of TrainSpikingNet
CHECKED = 3  # neurons computed once more in float64

Times = tuple[float, float]  # seconds by the clock, and of the processor on all threads, per update
Step = Callable[[NDArray[np.float32], NDArray[np.float32]], None]


class Samples:
    """Presynaptic neurons, traces and biases, the same at each call."""

    def __init__(self, neurons: int, inputs: int, rate_hz: float, updates: int, every_ms: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._pool = max(neurons, 2 * inputs + 4)
        self.pre = plastic_inputs(
            trained=np.arange(neurons, dtype=np.int32),
            n_exc=self._pool // 2,
            n_inh=self._pool - self._pool // 2,
            inputs_exc=inputs // 2,
            inputs_inh=inputs - inputs // 2,
            exc_sources="all",
            seed=seed,
        )
        self.weights = rng.normal(0, 0.1, (neurons, inputs)).astype(np.float32)
        self.rho = np.float32(np.exp(-every_ms / TAU_MS))
        self._updates, self._expected, self._seed, self._neurons = updates, rate_hz * every_ms * 1e-3, seed, neurons

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Trace of every presynaptic neuron and bias of every learner, update by update."""
        rng = np.random.default_rng((self._seed, 1))
        trace = np.zeros(self._pool, np.float32)
        for _ in range(self._updates):
            trace = self.rho * trace + rng.poisson(self._expected, self._pool).astype(np.float32) / np.float32(TAU_MS)
            yield trace, rng.normal(-0.3, 0.1, self._neurons).astype(np.float32)

    @property
    def changed(self) -> float:
        """Expected fraction of the inputs that spiked since the last update."""
        return float(1 - np.exp(-self._expected))


def run(
    *,
    neurons: int,
    inputs: int,
    rate_hz: float,
    updates: int,
    every_ms: float,
    rank: int | None,
    storage: str,
    flush: str = "auto",
    threads: int,
    seed: int = 1,
) -> dict[str, Any]:
    """Time the three forms.

    Returns
    -------
    dict
        ``two_pass_ms``, ``one_pass_ms``, ``event_driven_ms``: milliseconds per update for all neurons. ``relative_difference``:
        largest difference of the weights of the event-driven and the one-pass form over the largest weight;
        ``relative_error_float64``: the same of each against the textbook form in float64, for a few neurons.
        ``gigabytes_moved``: what each form has to move per update; ``percent_of_bandwidth`` and ``percent_of_peak``: that
        against copying memory, and the arithmetic against matrix products, both per core in processor time.

    Raises
    ------
    ConfigError
        If there are too few updates to apply P once, too little memory, or no full P to flush by half.

    """
    held = chosen_rank("auto" if rank is None else rank, inputs)
    require_updates(updates, held)
    options = LearnerOptions(held, storage, 1, False, half_flush(flush, storage, inputs))
    needed = neurons * (p_bytes(inputs, "full") + 4 * padded(inputs) * (held + 8))
    require_memory(needed, f"{neurons} neurons of {inputs} inputs", "give fewer --neurons or --inputs")
    samples = Samples(neurons, inputs, rate_hz, updates, every_ms, seed)
    p0 = initial_p(0, inputs // 2, inputs - inputs // 2, penalty=PENALTY, penalty_row_sum=0.0, penalty_feed_forward=1.0)
    bandwidth, flops = copy_bandwidth(threads), peak_flops(threads)
    two_pass, _ = _dense(samples, p0, held, threads, fused=False)
    one_pass, one_pass_weights = _dense(samples, p0, held, threads, fused=True)
    event, event_weights = _event_driven(samples, p0, options, threads)
    bandwidth = max(bandwidth, copy_bandwidth(threads))
    times = {"two_pass": two_pass, "one_pass": one_pass, "event_driven": event}
    moved = bytes_moved(neurons, inputs, options, samples.changed)
    exact = float64(samples, p0)
    return {
        **{f"{form}_ms": 1e3 * seconds for form, (seconds, _) in times.items()},
        "cpu_ms": {form: 1e3 * cpu for form, (_, cpu) in times.items()},
        "speedup": {"over_one_pass": one_pass[0] / event[0], "over_two_pass": two_pass[0] / event[0]},
        "cpu_speedup": {"over_one_pass": one_pass[1] / event[1], "over_two_pass": two_pass[1] / event[1]},
        "relative_difference": relative(event_weights, one_pass_weights),
        "relative_error_float64": {
            "one_pass": relative(one_pass_weights[:CHECKED], exact),
            "event_driven": relative(event_weights[:CHECKED], exact),
        },
        "gigabytes_moved": {form: value / 1e9 for form, value in moved.items()},
        "percent_of_bandwidth": {form: 100 * value / times[form][1] / bandwidth for form, value in moved.items()},
        "percent_of_peak": {
            "two_pass": 400 * neurons * inputs**2 / two_pass[1] / flops,
            "one_pass": 400 * neurons * inputs**2 / one_pass[1] / flops,
            "event_driven": 200 * neurons * inputs**2 * (_share_computed(options) + samples.changed) / event[1] / flops,
        },
        "copy_gb_per_s_per_core": bandwidth / 1e9,
        "peak_gflops_per_core": flops / 1e9,
        "neurons": neurons,
        "inputs": inputs,
        "rate_hz": rate_hz,
        "updates": updates,
        "every_ms": every_ms,
        "rank": held,
        "storage": storage,
        "flush": "half" if options.half_flush else "whole",
        "p_mb": neurons * p_bytes(inputs, storage) / 1e6,
    }


def require_updates(updates: int, held: int) -> None:
    """Raise ConfigError if the event-driven form would not update P once."""
    if updates < held:
        raise ConfigError(
            f"--updates is {updates}, but P is only updated after {held}; give at least {held} updates, or a lower --rank."
        )


def half_flush(flush: str, storage: str, inputs: int) -> bool:
    """Whether only one half of P is computed; raises ConfigError if that is asked for and P is not stored in full."""
    if flush == "half" and storage != "full":
        raise ConfigError(f"--flush is half, but --storage is {storage}; only a full P has two equal halves: give --flush auto.")
    return flushes_half(flush, storage, inputs)


def _share_computed(options: LearnerOptions) -> float:
    """Share of P that is computed when updates held back are applied."""
    return 0.5 if options.half_flush or options.storage == "packed" else 1.0


def bytes_moved(neurons: int, inputs: int, options: LearnerOptions, changed: float) -> dict[str, float]:
    """Bytes that each form reads and writes per update where nothing stays in the caches."""
    row = 4.0 * padded(inputs)
    rest = 4 * inputs + 2 * row  # presynaptic neurons; weights read and written
    p = p_bytes(inputs, options.storage)
    columns = changed * (4 * inputs * row if options.storage == "packed" else p)  # packed: lines of four rows and four columns
    applied = (1.5 if options.half_flush else 2.0) * p / options.rank
    events = columns + applied + (options.rank - 1) / 2 * row + row + 2 * row
    return {
        "two_pass": neurons * (3 * inputs * row + rest),
        "one_pass": neurons * (2 * inputs * row + 2 * row + rest),
        "event_driven": neurons * (events + rest),
    }


def _dense(
    samples: Samples, p0: NDArray[np.float64], group: int, threads: int, *, fused: bool
) -> tuple[Times, NDArray[np.float32]]:
    """Measure the times per update of a dense form, and its weights."""
    inputs = len(p0)
    state = new_state(p0, samples.weights, 1)
    previous, rule = aligned_zeros(state.q.shape, np.float32), RuleOptions(1, False, 0, inputs // 2)
    edges = np.linspace(0, len(samples.pre), 4 * threads + 1).astype(int).tolist()
    none = np.zeros(0, np.float32)

    def step(trace: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        signals = Signals(trace, trace, none, none)

        def work(block: tuple[int, int]) -> None:
            if fused:
                rls_dense.one_pass_step(state, previous, samples.pre, signals, bias, rule, *block)
            else:
                rls_dense.two_pass_step(state, samples.pre, signals, bias, rule, *block)

        thread_map(work, pairwise(edges), threads)

    return _time(samples, step, group), state.weights[:, :inputs].copy()


def _event_driven(
    samples: Samples, p0: NDArray[np.float64], options: LearnerOptions, threads: int
) -> tuple[Times, NDArray[np.float32]]:
    """Measure the times per update of the learner that training uses, and its weights."""
    learner = CpuLearner(p0, samples.weights, samples.pre, len(p0) // 2, options, threads)
    learner.begin_trial(samples.weights, len(next(iter(samples))[0]))
    none = np.zeros(0, np.float32)

    def step(trace: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        learner.update(samples.rho, trace, none, bias)

    return _time(samples, step, options.rank), learner.weights.copy()


def _time(samples: Samples, step: Step, group: int) -> Times:
    """Median over groups of updates of the mean seconds per update, and of the mean seconds of processor time."""
    taken = []
    for trace, bias in samples:
        started, cpu_started = time.perf_counter(), time.process_time()
        step(trace, bias)
        taken.append((time.perf_counter() - started, time.process_time() - cpu_started))
    seconds, cpu = typical(taken, group)
    return float(seconds), float(cpu)


def typical(taken: list[Any], group: int) -> NDArray[np.float64]:
    """Median over groups of updates of what they took on average, in each of its columns."""
    whole = len(taken) // group * group
    groups = np.reshape(taken[:whole], (whole // group, group, -1)).mean(axis=1)
    # The first group bears compilation and the first touch of the memory.
    return np.asarray(np.median(groups[1:] if len(groups) > 1 else groups, axis=0))


def float64(samples: Samples, p0: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the first neurons by the textbook form in float64."""
    weights = samples.weights[:CHECKED].astype(np.float64)
    ps = [p0.copy() for _ in weights]
    for trace, bias in samples:
        for p, w, pre, b in zip(ps, weights, samples.pre, bias, strict=False):
            rls_step(p, w, trace[pre].astype(np.float64), float(b))
    return weights


def relative(weights: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Largest difference over the largest of the wanted weights."""
    return float(np.abs(weights.astype(np.float64) - wanted).max() / np.abs(wanted).max())
