"""Whether a training fits into the machine's memory, and which options would make it fit."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from fitrec import store
from fitrec.config.train import TrainConfig
from fitrec.errors import TrainingError
from fitrec.kernels.cuda.device import Device
from fitrec.kernels.cuda.device import require_memory as require_free
from fitrec.learn import device_memory
from fitrec.learn.device_memory import GradientTrial
from fitrec.learn.memory import FitSizes, Parts, gradient_parts, ridge_parts, rls_parts, shared_parts
from fitrec.networks.network import Network
from fitrec.stages.gradient_memory import gradient_trial, require_window
from fitrec.targets.targets import Targets

# Sizes of a trial of a gradient fit, by the configuration; None for rules of least squares.
TrialOf = Callable[[TrainConfig], GradientTrial | None]
_GB = 1e9
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def machine_bytes() -> int:
    """Return the memory this process may use: the machine's, or the smaller limit of its container."""
    limits = [int(path.read_text()) for path in _LIMITS if path.exists() and path.read_text().strip().isdigit()]
    return int(min([psutil.virtual_memory().total, *limits]))


def plan(sizes: FitSizes, config: TrainConfig, threads: int, trial: GradientTrial | None = None) -> Parts:
    """Bytes that a training needs, part by part; `trial` is one of a gradient rule's."""
    parts = shared_parts(sizes, threads)
    if config.rule == "rls":
        return parts | rls_parts(sizes, **_rls(config))
    if config.rule == "ridge":
        return parts | ridge_parts(sizes, **_ridge(config))
    assert trial is not None
    return parts | gradient_parts(sizes, *trial.on_host())


def device_plan(sizes: FitSizes, config: TrainConfig, trial: GradientTrial | None = None) -> Parts:
    """Bytes that a training needs on a GPU, part by part; `trial` is one of a gradient rule's that learns there."""
    parts = device_memory.shared_parts(sizes, traces=config.rule == "ridge")
    if config.rule == "rls":
        return parts | device_memory.rls_parts(sizes, **_rls(config))
    if config.rule != "ridge":
        return parts | device_memory.gradient_parts(sizes, trial)
    return parts | device_memory.ridge_parts(sizes, **_ridge(config))


def _rls(config: TrainConfig) -> dict[str, Any]:
    return {"rank": config.rls.rank, "storage": config.rls.p_storage}


def _ridge(config: TrainConfig) -> dict[str, Any]:
    ridge = config.ridge
    return {
        "trials": tuple(ridge.trials if forcing > 0 else ridge.closed_loop_trials for forcing in ridge.forcing),
        "gram": ridge.gram,
        "memory_bytes": ridge.memory_gb * _GB,
        "trace_bits": ridge.trace_bits,
    }


def least_squares(config: TrainConfig) -> None:
    """Return the trial of rules that have none."""


def require_memory(
    sizes: FitSizes, config: TrainConfig, threads: int, trial_of: TrialOf = least_squares, available: int | None = None
) -> Parts:
    """Return the plan.

    Raises
    ------
    TrainingError
        If it is larger than the machine's memory (or `available`); the sentence names the options that would make it fit.

    """
    parts = plan(sizes, config, threads, trial_of(config))
    total, limit = sum(parts.values()), machine_bytes() if available is None else available
    if total > limit:
        largest = max(parts, key=lambda name: parts[name])
        alternatives = [(words, sizes, change) for words, change in _alternatives(config)]
        if sizes.n_static:
            words = "network.balanced.connectivity: procedural, which keeps no table of static synapses,"
            alternatives.append((words, replace(sizes, n_static=0), config))
        fitting = [
            f"{words} ({needed / _GB:.2f} GB)"
            for words, changed, change in alternatives
            if (needed := _total(changed, change, threads, trial_of)) <= limit
        ]
        advice = f"with {' or '.join(fitting)} it fits" if fitting else "use fewer neurons, plastic inputs or units"
        raise TrainingError(
            f"this training needs about {total / _GB:.2f} GB of memory ({parts[largest] / _GB:.2f} GB of it for {largest}), but "
            f"there are {limit / _GB:.2f}; {advice}"
        )
    return parts


def _total(sizes: FitSizes, config: TrainConfig, threads: int, trial_of: TrialOf) -> float:
    """Bytes needed; infinite where the settings contradict each other."""
    try:
        return sum(plan(sizes, config, threads, trial_of(config)).values())
    except TrainingError:
        return float("inf")


def describe(parts: Parts, device_parts: Parts | None = None, device: Device | None = None) -> str:
    """Say what a training needs, a line per part; on a device too, if there is one."""
    text = _lines(f"memory, of {machine_bytes() / _GB:.1f} GB in all:", parts)
    if device is None or device_parts is None:
        return text
    free = device.free_bytes() / _GB
    return f"{text}\n{_lines(f'memory of {device.name}, of which {free:.1f} GB are free:', device_parts)}"


def _lines(head: str, parts: Parts) -> str:
    lines = [f"  {name:<40}{size / _GB:>10.3f} GB" for name, size in {**parts, "total": sum(parts.values())}.items()]
    return "\n".join([head, *lines])


def require_device_memory(sizes: FitSizes, config: TrainConfig, device: Device, trial: GradientTrial | None = None) -> Parts:
    """Return the plan of the device; `trial` as of `device_plan`.

    Raises
    ------
    DeviceError
        If it is larger than the memory that is free there; with the longest window that fits, where one does.

    """
    parts = device_plan(sizes, config, trial)
    if trial is not None:
        require_window(trial, parts, device)
    largest = max(parts, key=lambda name: parts[name])
    what = f"this training (of which {parts[largest] / _GB:.2f} GB are for {largest})"
    remedy = "lower train.ridge.memory_gb" if largest == "traces" else "take fewer neurons or plastic inputs"
    require_free(device, sum(parts.values()), what, remedy)
    return parts


def dry_run(network: Path, targets: Path, config: TrainConfig, threads: int, device: Device | None = None) -> str:
    """Say what the training of a stored network would need.

    Raises
    ------
    TrainingError, DeviceError
        As `require_memory` and `require_device_memory`.
    StoreError
        If something cannot be read.

    """
    net, wanted = store.load(network, Network), store.load(targets, Targets)
    host, on_device = require_all(net, wanted.n_bins, config, threads, device)
    return describe(host, on_device, device)


def require_all(
    net: Network, n_bins: int, config: TrainConfig, threads: int, device: Device | None
) -> tuple[Parts, Parts | None]:
    """Return the plan of the machine and that of the device, if there is one.

    Raises
    ------
    TrainingError, DeviceError
        As `require_memory` and `require_device_memory`.

    """
    sizes, bin_steps = FitSizes.of(net, n_bins), net.window_steps // n_bins

    def trial_of(config: TrainConfig) -> GradientTrial | None:
        return gradient_trial(net, bin_steps, config, threads)

    host = require_memory(sizes, config, threads, trial_of)
    return host, None if device is None else require_device_memory(sizes, config, device, trial_of(config))


def _alternatives(config: TrainConfig) -> Iterator[tuple[str, TrainConfig]]:
    """List changes of the configuration that take less memory, in words."""
    if config.rule == "rls":
        if config.rls.p_storage == "full":
            for storage in ("packed", "int16"):
                rls = config.rls.model_copy(update={"p_storage": storage})
                yield f"train.rls.p_storage: {storage}", config.model_copy(update={"rls": rls})
        yield "train.rule: ridge, which keeps no P,", config.model_copy(update={"rule": "ridge"})
        return
    if config.rule != "ridge":
        smaller = config.gradient.model_copy(update={"memory_gb": config.gradient.memory_gb / 4})
        yield f"train.gradient.memory_gb: {smaller.memory_gb:g}", config.model_copy(update={"gradient": smaller})
        return
    ridge = config.ridge

    def changed(**update: object) -> TrainConfig:
        return config.model_copy(update={"ridge": ridge.model_copy(update=update)})

    if ridge.gram == "shared":
        yield "train.ridge.gram: gathered", changed(gram="gathered")
    fewer = {"trials": max(1, ridge.trials // 4), "closed_loop_trials": max(1, ridge.closed_loop_trials // 4)}
    words = f"train.ridge.trials: {fewer['trials']} and closed_loop_trials: {fewer['closed_loop_trials']}"
    yield words, changed(**fewer)
    if ridge.memory_gb > 1:
        yield "train.ridge.memory_gb: 1", changed(memory_gb=1.0)
        yield f"train.ridge.memory_gb: 1, {words}", changed(memory_gb=1.0, **fewer)
