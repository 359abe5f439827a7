"""The learning steps of `fitrec.bench.rls` on a device, timed by its own clock."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.bench.machine import device_bandwidth
from fitrec.bench.rls import CHECKED, PENALTY, Samples, bytes_moved, float64, half_flush, relative, require_updates, typical
from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.rls import Learners
from fitrec.kernels.cuda.rls_dense import DenseLearners
from fitrec.kernels.reference.rls import initial_p
from fitrec.learn.rls_learner import LearnerOptions, chosen_rank, rule_options

Measured = tuple[float, NDArray[np.float32]]  # seconds per update, weights


def run(
    device: Device,
    *,
    neurons: int,
    inputs: int,
    rate_hz: float,
    updates: int,
    every_ms: float,
    rank: int | None,
    storage: str = "full",
    flush: str = "auto",
    seed: int = 1,
) -> dict[str, Any]:
    """Time the three forms; the figures are those of `fitrec.bench.rls.run`, less those of processors.

    ``percent_of_bandwidth`` compares what each form has to move with copying memory on the device.

    Raises
    ------
    ConfigError
        If there are too few updates to apply P once, or no full P to flush by half.
    DeviceError
        If the device has too little memory.

    """
    held = chosen_rank("auto" if rank is None else rank, inputs)
    require_updates(updates, held)
    options = LearnerOptions(held, storage, 1, False, half_flush(flush, storage, inputs))
    samples = Samples(neurons, inputs, rate_hz, updates, every_ms, seed)
    p0 = initial_p(0, inputs // 2, inputs - inputs // 2, penalty=PENALTY, penalty_row_sum=0.0, penalty_feed_forward=1.0)
    bandwidth = device_bandwidth(device)
    times: dict[str, float] = {}
    times["two_pass"], _ = _dense(device, samples, p0, held, fused=False)
    times["one_pass"], one_pass = _dense(device, samples, p0, held, fused=True)
    times["event_driven"], event_driven = _event_driven(device, samples, p0, options)
    moved = bytes_moved(neurons, inputs, options, samples.changed)
    exact = float64(samples, p0)
    return {
        **{f"{form}_ms": 1e3 * seconds for form, seconds in times.items()},
        "speedup": {f"over_{form}": times[form] / times["event_driven"] for form in ("one_pass", "two_pass")},
        "relative_difference": relative(event_driven, one_pass),
        "relative_error_float64": {
            "one_pass": relative(one_pass[:CHECKED], exact),
            "event_driven": relative(event_driven[:CHECKED], exact),
        },
        "gigabytes_moved": {form: value / 1e9 for form, value in moved.items()},
        "percent_of_bandwidth": {form: 100 * value / times[form] / bandwidth for form, value in moved.items()},
        "copy_gb_per_s": bandwidth / 1e9,
        "neurons": neurons,
        "inputs": inputs,
        "rate_hz": rate_hz,
        "updates": updates,
        "every_ms": every_ms,
        "rank": held,
        "storage": storage,
        "flush": "half" if options.half_flush else "whole",
    }


def _dense(device: Device, samples: Samples, p0: NDArray[np.float64], group: int, *, fused: bool) -> Measured:
    learners = DenseLearners(device, p0, samples.weights, samples.pre, fused=fused)

    def step(trace: Any, bias: NDArray[np.float32]) -> Callable[[], None]:
        on_device = device.asarray(bias)
        return lambda: learners.step(trace, on_device)

    return _time(device, samples, step, group), learners.weights


def _event_driven(device: Device, samples: Samples, p0: NDArray[np.float64], options: LearnerOptions) -> Measured:
    rule, half = rule_options(options, 0, len(p0) // 2), options.half_flush
    learners = Learners(device, p0, samples.weights, samples.pre, rule, options.rank, options.storage, half_flush=half)
    learners.begin(len(next(iter(samples))[0]))
    none, nobody = device.xp.zeros(0, np.float32), device.xp.zeros(0, np.int32)

    def step(trace: Any, bias: NDArray[np.float32]) -> Callable[[], None]:
        learners.set_bias(none, nobody, device.asarray(-bias.astype(np.float64)), instantaneous=False)
        return lambda: learners.step(samples.rho, trace, none)

    return _time(device, samples, step, options.rank), learners.weights


def _time(device: Device, samples: Samples, step: Callable[[Any, NDArray[np.float32]], Callable[[], None]], group: int) -> float:
    """Seconds per update; what `step` does before it returns the update itself is not timed."""
    taken = [device.seconds(step(device.asarray(trace), bias)) for trace, bias in samples]
    return float(typical(taken, group)[0])
