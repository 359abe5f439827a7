"""The train stage: network.zarr and targets.zarr -> trained weights, learning curve, provenance."""

import logging
import platform
import resource
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec import __version__, store
from fitrec.config.train import LEAST_SQUARES, TrainConfig
from fitrec.errors import TrainingError
from fitrec.kernels.cuda.device import Device, open_device
from fitrec.learn.least_squares import Penalties
from fitrec.learn.ridge import SLACK, Ridge
from fitrec.learn.rls import Rls
from fitrec.learn.rule import Problem, Progress, Rule, unobserved
from fitrec.learn.training import Row, Training
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate.simulator import Simulator
from fitrec.stages import VERSIONS
from fitrec.stages.fitted_areas import areas_to_fit
from fitrec.stages.train_gradient import make_gradient_fit
from fitrec.stages.train_memory import require_all
from fitrec.stages.train_progress import Reporter, Status
from fitrec.stages.train_state import TrainState
from fitrec.targets.smoothing import kernel_weights
from fitrec.targets.targets import Targets
from fitrec.threads import available_threads

logger = logging.getLogger(__name__)

_PACKAGES = ("numpy", "scipy", "numba", "zarr")


def run(
    network: Path,
    targets: Path,
    out: Path,
    config: TrainConfig,
    *,
    checkpoints: Path | None = None,
    resume: bool = False,
    threads: int | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    config_hash: str = "",
    show: Callable[[Status], None] | None = None,
) -> Weights:
    """Train a network on targets and write ``weights.zarr``, ``curve.csv`` and ``provenance.json`` into the folder `out`.

    Parameters
    ----------
    checkpoints : Path, optional
        Folder for checkpoints and the learning curve so far (``curve.csv``, a row per loop), removed when the training is done;
        without it none are written.
    resume : bool
        Go on from the newest whole checkpoint, if there is one. The result is the same, bit for bit, as without interruption.
    threads : int, optional
        Threads; the result does not depend on them.
    device : str
        "cpu" or "cuda:<number>"; the result does not depend on it.
    show : callable, optional
        Is given the status after each condition, to show it; without it log lines tell.

    Raises
    ------
    TrainingError
        If network and targets do not belong together, a checkpoint belongs to others, the machine has too little memory, or the
        weights diverge.
    DeviceError
        If the GPU cannot be used or has too little memory.
    StoreError
        If something cannot be read or written.

    """
    store.require_absent(out, overwrite)
    net, wanted = store.load(network, Network), store.load(targets, Targets)
    gpu = open_device(device)
    require_all(net, wanted.n_bins, config, threads or available_threads(), gpu)
    reporter = Reporter(show)
    training = make_training(net, wanted, config, threads, reporter.condition, gpu)
    identity = {
        "version of the train stage": str(VERSIONS["train"]),
        "network": store.content_sha256(network),
        "set of targets": store.content_sha256(targets),
    }
    exc, inh = net.untrained_mean_hz
    logger.info("untrained network: E %.3f Hz, I %.3f Hz", exc, inh)
    with ExitStack() as stack:
        state = None
        if checkpoints is not None:
            settings = {"train": config.model_dump(mode="json", exclude={"checkpoint_every_s"})}
            state = stack.enter_context(TrainState(checkpoints, identity, settings, config.checkpoint_every_s))
            state.begin(training, resume)
        reporter.watch(training)

        def after_loop(training: Training, row: Row) -> None:
            reporter.loop(training, row)
            if state is not None:
                state.after_loop(training, row)

        try:
            weights = training.run(after_loop)
        except TrainingError as error:
            raise (error if state is None else TrainingError(f"{error}; {state.last_good()}")) from None
    if store.content_sha256(targets) != identity["set of targets"]:
        raise TrainingError(
            f"{targets} changed while the network was being trained on it; train again, and leave the targets alone meanwhile"
        )
    provenance = {
        "rule": training.rule.name,
        "device": gpu.name if gpu else device,
        "train_seconds": round(training.seconds, 3),
        "loops": len(training.curve),
        "best_correlation": training.best_correlation if np.isfinite(training.best_correlation) else None,
        "seed": net.seed,
        "n_trained": len(net.trained),
        "untrained_rate_hz": {"E": exc, "I": inh},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "config": config.model_dump(mode="json"),
        "config_hash": config_hash,
        "inputs": {"network": identity["network"], "targets": identity["set of targets"]},
        "versions": {"fitrec": __version__, "python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "machine": {"platform": platform.platform(), "processor": platform.processor() or platform.machine()},
    }
    with store.atomic_path(out, overwrite) as folder:
        folder.mkdir()
        attributes = {"config_hash": config_hash, "source_sha256": identity["network"]}
        store.save(folder / "weights.zarr", weights, attributes)
        store.write_csv(folder / "curve.csv", pd.DataFrame(training.curve))
        store.write_json(folder / "provenance.json", provenance)
    if state is not None:
        state.remove()
    return weights


def make_training(
    network: Network,
    targets: Targets,
    config: TrainConfig,
    threads: int | None,
    progress: Progress = unobserved,
    device: Device | None = None,
) -> Training:
    """Set up a training of this network on these targets, with its trials on a device or on the CPU.

    Raises
    ------
    TrainingError
        If network and targets do not belong together, or a target is not finite.

    """
    bin_steps = round(targets.bin_size_s * 1e3 / network.dt_ms)
    if network.condition_names != targets.condition_names or network.window_steps != bin_steps * targets.n_bins:
        raise TrainingError(
            f"the network was built for the conditions {network.condition_names} over {network.window_steps} "
            f"steps, but the targets hold {targets.condition_names} over {bin_steps * targets.n_bins} "
            f"steps; build the network again from these targets"
        )
    require_rule(config.rule, own_model=network.model is not None, continuous=targets.is_continuous)
    _require_finite(targets, network)

    problem = Problem(
        simulator=Simulator(network, device),
        rate_hz=np.ascontiguousarray(targets.wanted_hz[:, :, network.trained_unit]),
        bin_steps=bin_steps,
        smoothing=kernel_weights(targets.bin_size_s, **targets.smoothing),
        rate_floor_hz=config.rate_floor_hz,
        sharpening=config.sharpening,
        static_smoothing_s=1e-3 * config.static_smoothing_ms,
        threads=threads,
        progress=progress,
        continuous=targets.is_continuous,
        regions=areas_to_fit(targets.units, config, network.trained_unit),
    )
    rule = make_rule(problem, config)
    ridge = config.rule == "ridge"
    trials = config.ridge.closed_loop_trials if ridge else config.validation_trials
    return Training(problem=problem, rule=rule, validation_trials=trials, best=rule.weights, slack=SLACK if ridge else 0.0)


def require_rule(rule: str, *, own_model: bool, continuous: bool) -> None:
    """Refuse rules of least squares for neurons that have equations of their own, and for continuous fits.

    Raises
    ------
    TrainingError

    """
    if own_model and rule in LEAST_SQUARES:
        raise TrainingError(
            f"train.rule is {rule}, which learns the drive of leaky integrate-and-fire neurons, but network.model gives "
            "them other equations; use a gradient rule such as local-adjoint, or leave out network.model"
        )
    if continuous and rule in LEAST_SQUARES:
        raise TrainingError(
            f"train.rule is {rule}, which averages trials of a condition, but targets.continuous asks for a fit of single "
            "stretches of time; use a gradient rule such as local-adjoint"
        )


def make_rule(problem: Problem, config: TrainConfig) -> Rule:
    """Build the learning rule the config asks for."""
    if config.rule == "ridge":
        options = config.ridge.model_dump()
        penalties = Penalties(
            plastic=options.pop("penalty"),
            row_sum=options.pop("penalty_row_sum"),
            feed_forward=options.pop("penalty_feed_forward"),
            fluctuations=options.pop("penalty_fluctuations"),
        )
        return Ridge(problem, penalties=penalties, **options)
    if config.rule == "rls":
        return Rls(problem, **config.rls.model_dump())
    return make_gradient_fit(problem, config.rule, config.gradient)


def _require_finite(targets: Targets, network: Network) -> None:
    wanted = targets.wanted_hz[:, :, network.trained_unit]
    bad = np.argwhere(~np.isfinite(wanted) & _has_target(targets)[:, None, network.trained_unit])
    if len(bad):
        condition, k, column = bad[0]
        unit = targets.units["unit_id"].to_numpy()[network.trained_unit[column]]
        raise TrainingError(
            f"the target rate of unit {unit} (neuron {network.trained[column]}) is {wanted[tuple(bad[0])]} in condition "
            f"{targets.condition_names[condition]!r}, bin {k + 1} ({len(bad)} bins in all); targets must be finite: "
            "make them again, or leave the unit out"
        )


def _has_target(targets: Targets) -> NDArray[np.bool_]:
    """(condition, unit): whether there is a target to be finite; in held-out segments, or where not recorded, there is none."""
    has = np.ones((len(targets.condition_names), targets.n_units), np.bool_)
    if not targets.is_continuous:
        return has
    assert targets.trial_is_test is not None
    return (has if targets.observed is None else targets.observed) & ~targets.trial_is_test[:, None]
