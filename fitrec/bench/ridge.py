"""The regressions of batch ridge alone: traces of Poisson neurons in, plastic weights out.

The arithmetic that has to be done is counted as half of each Gram matrix (it is symmetric), its Cholesky factor and the moments;
the peak it is compared with is what float32 matrix products of 1024 x 1024 reach on the same threads in the same run. Both are
taken per core in processor time, which other work on the machine disturbs least.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.bench.machine import device_flops, peak_flops
from fitrec.errors import ConfigError
from fitrec.kernels.cuda.device import Device
from fitrec.learn.least_squares import Penalties, Statistics, solve
from fitrec.learn.statistics_form import Sizes, is_shared, make_statistics
from fitrec.networks.plastic import plastic_inputs

BINS, BIN_MS, TAU_MS = 150, 20.0, 150.0  # a trial of the Neuropixels fit of TrainSpikingNet
PENALTIES = Penalties(plastic=0.05, row_sum=0.0, feed_forward=0.05)
CHECKED = 4  # neurons solved once more in float64
REPEATS, LONG_S = 3, 60.0  # a repetition longer than that is the only one


def run(
    *,
    neurons: int,
    inputs: int,
    samples: int,
    solved: int | None,
    rate_hz: float,
    gram: str,
    trace_bits: int,
    memory_gb: float,
    threads: int,
    device: Device | None = None,
    seed: int = 1,
) -> dict[str, Any]:
    """Time keeping the traces and solving.

    Parameters
    ----------
    neurons : int
        Size of the pool, half of it E.
    inputs : int
        Plastic inputs per neuron, half of them E.
    samples : int
        Rounded up to whole trials of 150.
    solved : int or None
        Neurons to be solved; None: all.
    gram, trace_bits, memory_gb
        As in ``train.ridge``.
    device : Device, optional
        Keeps the traces and solves, if they are gathered. Then ``seconds`` are by its clock, the peak is that of its matrix
        products, and nothing is per core.

    Returns
    -------
    dict
        ``seconds`` and ``cpu_seconds`` (of solving; the best of three, or the one that took over a minute), ``cpu_seconds_all``
        for all neurons of the pool, ``cpu_seconds_keeping``, ``gflops_per_core``, ``percent_of_peak``,
        ``relative_error_float64`` (largest error over largest weight of a few neurons), and the sizes.

    Raises
    ------
    ConfigError
        If there are too few neurons for as many inputs.

    """
    if not 2 <= inputs <= neurons - 4:
        raise ConfigError(f"--inputs is {inputs}, but must be from 2 to 4 less than --neurons ({neurons}).")
    count, trials = min(solved or neurons, neurons), -(-samples // BINS)
    n_exc, inputs_exc = neurons // 2, inputs // 2
    pre = plastic_inputs(
        trained=np.arange(count, dtype=np.int32),
        n_exc=n_exc,
        n_inh=neurons - n_exc,
        inputs_exc=inputs_exc,
        inputs_inh=inputs - inputs_exc,
        exc_sources="all",
        seed=seed,
    )
    sizes = Sizes(
        n_conditions=1,
        n_bins=BINS,
        n_pool=neurons,
        n_trained=count,
        n_inputs=inputs,
        n_ff=0,
        trials=(trials,),
        trace_bits=trace_bits,
    )
    everyone = np.arange(neurons, dtype=np.int32)
    statistics, keeping = make_statistics(sizes, gram, memory_gb * 1e9, device, everyone), 0.0
    rng = np.random.default_rng(seed)
    state, checked = np.full(neurons, rate_hz * 1e-3, np.float32), []
    for _ in range(trials):
        traces = _poisson_traces(state, rate_hz, rng)
        start = time.process_time()
        given = device.asarray(traces) if device is not None and statistics.on_device else traces
        statistics.add(0, given[None], np.zeros((1, BINS, 0), np.float32), threads)
        keeping += time.process_time() - start
        checked.append(traces[:, pre[:CHECKED]])
    phase = rng.random(count)
    target = 0.3 * np.sin(2 * np.pi * (np.arange(BINS)[None, :, None] / BINS - phase))
    initial = np.where(np.arange(inputs) < inputs_exc, 1.25, -1.25).astype(np.float32) * np.ones((count, 1), np.float32)
    on_device = device if statistics.on_device else None
    peak = device_flops(on_device) if on_device else peak_flops(threads)
    seconds, cpu_seconds, plastic = _time_solve(statistics, target, pre, initial, inputs_exc, threads, on_device)
    if not on_device:
        peak = max(peak or 0.0, peak_flops(threads))
    busy = seconds if on_device else cpu_seconds
    n_samples = trials * BINS
    flops = count * (n_samples * inputs * (inputs + 1) + inputs**3 / 3 + 2 * n_samples * inputs)
    shared = is_shared(sizes, gram, memory_gb * 1e9)
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "cpu_seconds_all": cpu_seconds * neurons / count,
        "cpu_seconds_keeping": keeping,
        "gflops" if on_device else "gflops_per_core": None if shared else flops / busy / 1e9,
        "peak_gflops" if on_device else "peak_gflops_per_core": peak and peak / 1e9,
        "percent_of_peak": None if shared or not peak else 100 * flops / busy / peak,
        "relative_error_float64": _error(
            np.concatenate(checked),
            statistics.system(PENALTIES.feed_forward, PENALTIES.fluctuations, threads).scale,
            target,
            initial,
            plastic,
        ),
        "gram": "shared" if shared else "gathered",
        "statistics_gb": sum(values.nbytes for values in statistics.state().values()) / 1e9,
        "neurons": neurons,
        "inputs": inputs,
        "samples": n_samples,
        "solved": count,
        "rate_hz": rate_hz,
        "trace_bits": trace_bits,
    }


def _poisson_traces(state: NDArray[np.float32], rate_hz: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Traces of one trial, (time, neuron) in 1/ms; goes on from `state`, which it changes."""
    decay, probability = np.float32(np.exp(-BIN_MS / TAU_MS)), np.float32(rate_hz * BIN_MS * 1e-3)
    traces = np.empty((BINS, len(state)), np.float32)
    for row in traces:
        state *= decay
        state += (rng.random(len(state), dtype=np.float32) < probability) * np.float32(1 / TAU_MS)
        row[:] = state
    return traces


def _time_solve(
    statistics: Statistics,
    target: NDArray[np.float64],
    pre: NDArray[np.int32],
    initial: NDArray[np.float32],
    inputs_exc: int,
    threads: int,
    device: Device | None,
) -> tuple[float, float, NDArray[np.float32]]:
    """Return wall (or the device's) and processor seconds of the best repetition, and the weights."""
    put = np.ascontiguousarray if device is None else device.asarray
    solve(statistics, put(target[:, :, :1]), pre[:1], initial[:1], inputs_exc, PENALTIES, threads)  # compiles
    wanted = put(target)
    taken, plastic = [], np.empty_like(initial)
    clock = _wall_seconds if device is None else device.seconds

    def work() -> None:
        plastic[:], _ = solve(statistics, wanted, pre, initial, inputs_exc, PENALTIES, threads)

    for _ in range(REPEATS):
        cpu_start = time.process_time()
        taken.append((clock(work), time.process_time() - cpu_start))
        if taken[-1][0] > LONG_S:
            break
    return min(wall for wall, _ in taken), min(cpu for _, cpu in taken), plastic


def _wall_seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _error(
    traces: NDArray[np.float32],
    scale: float,
    target: NDArray[np.float64],
    initial: NDArray[np.float32],
    plastic: NDArray[np.float32],
) -> float:
    """Largest error of the first neurons' weights over their largest weight; traces are (sample, neuron, input)."""
    trials = len(traces) // BINS
    worst = 0.0
    for u in range(traces.shape[1]):
        x, w0 = traces[:, u].astype(np.float64), initial[u].astype(np.float64)
        matrix = x.T @ x / trials + PENALTIES.plastic * scale * np.eye(len(w0))
        exact = w0 + np.linalg.solve(matrix, x.T @ (np.tile(target[0, :, u], trials) - x @ w0) / trials)
        worst = max(worst, float(np.abs(plastic[u] - exact).max() / np.abs(exact).max()))
    return worst
