"""The train stage: network.zarr and targets.zarr -> trained weights, learning curve, provenance."""

import logging
import platform
import resource
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec import __version__, store
from fitrec.config.train import TrainConfig
from fitrec.errors import TrainingError
from fitrec.learn.least_squares import Penalties
from fitrec.learn.ridge import Ridge
from fitrec.learn.rls import Rls
from fitrec.learn.rule import Problem, Rule
from fitrec.learn.training import Row, Training
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.simulate.simulator import Simulator
from fitrec.store.checkpoints import Checkpoint, read_newest, remove_all, write_checkpoint
from fitrec.targets.smoothing import smooth
from fitrec.targets.targets import Targets

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
) -> Weights:
    """Train a network on targets and write ``weights.zarr``, ``curve.csv`` and ``provenance.json`` into the folder `out`.

    Parameters
    ----------
    checkpoints : Path, optional
        Folder for checkpoints; without it none are written.
    resume : bool
        Go on from the newest whole checkpoint, if there is one. The result is the same, bit for bit, as without interruption.
    threads : int, optional
        Threads; the result does not depend on them.

    Raises
    ------
    TrainingError
        If network and targets do not belong together, a checkpoint belongs to others, or the weights diverge.
    StoreError
        If something cannot be read or written.

    """
    store.require_absent(out, overwrite)
    net, wanted = store.load(network, Network), store.load(targets, Targets)
    training = make_training(net, wanted, config, threads)
    identity = {
        "train section of the config": store.json_sha256(config.model_dump(mode="json", exclude={"checkpoint_every_s"})),
        "network": store.content_sha256(network),
        "set of targets": store.content_sha256(targets),
    }
    if checkpoints is not None and resume:
        _restore(training, read_newest(checkpoints, identity))
    elif checkpoints is not None:
        remove_all(checkpoints)
    exc, inh = net.untrained_mean_hz
    logger.info("untrained network: E %.3f Hz, I %.3f Hz", exc, inh)
    written = time.monotonic()

    def after_loop(training: Training, row: Row) -> None:
        nonlocal written
        logger.info(
            "loop %d/%d  %d condition%s  %.1f s  E %.2f Hz  I %.2f Hz  forcing %.2f  r %s%s",
            row["loop"],
            training.rule.n_loops,
            net.n_conditions,
            "s" * (net.n_conditions > 1),
            row["seconds"],
            row["rate_exc_hz"],
            row["rate_inh_hz"],
            row["forcing"],
            f"{row['correlation']:.4f}" if np.isfinite(row["correlation"]) else "-",
            " (frozen weights)" if row["frozen"] else "",
        )
        if checkpoints is not None and time.monotonic() - written >= config.checkpoint_every_s:
            write_checkpoint(checkpoints, _checkpoint(training, identity))
            written = time.monotonic()

    weights = training.run(after_loop)
    if store.content_sha256(targets) != identity["set of targets"]:
        raise TrainingError(
            f"{targets} changed while the network was being trained on it; train again, and leave the targets alone meanwhile"
        )
    provenance = {
        "rule": training.rule.name,
        "device": device,
        "train_seconds": round(training.seconds, 3),
        "loops": len(training.curve),
        "best_correlation": _finite(training.best_correlation),
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
    if checkpoints is not None:
        remove_all(checkpoints)  # they have served; later inputs must not meet them
    return weights


def make_training(network: Network, targets: Targets, config: TrainConfig, threads: int | None) -> Training:
    """Set up a training of this network on these targets."""
    bin_steps = round(targets.bin_size_s * 1e3 / network.dt_ms)
    if network.condition_names != targets.condition_names or network.window_steps != bin_steps * targets.n_bins:
        raise TrainingError(
            f"the network was built for the conditions {network.condition_names} over {network.window_steps} "
            f"steps, but the targets hold {targets.condition_names} over {bin_steps * targets.n_bins} "
            f"steps; build the network again from these targets"
        )

    def smooth_psth(psth: NDArray[np.float64]) -> NDArray[np.float64]:
        return smooth(psth, targets.bin_size_s, targets.smoothing["kernel"], targets.smoothing["width_s"], axis=1)

    problem = Problem(
        simulator=Simulator(network),
        rate_hz=np.ascontiguousarray(targets.wanted_hz[:, :, network.trained_unit]),
        bin_steps=bin_steps,
        smooth=smooth_psth,
        rate_floor_hz=config.rate_floor_hz,
        sharpening=config.sharpening,
        threads=threads,
    )
    rule = make_rule(problem, config)
    return Training(problem=problem, rule=rule, validation_trials=config.validation_trials, best=rule.weights)


def make_rule(problem: Problem, config: TrainConfig) -> Rule:
    """Build the learning rule the config asks for."""
    if config.rule == "ridge":
        options = config.ridge.model_dump()
        penalties = Penalties(
            plastic=options.pop("penalty"),
            row_sum=options.pop("penalty_row_sum"),
            feed_forward=options.pop("penalty_feed_forward"),
        )
        return Ridge(problem, penalties=penalties, **options)
    return Rls(problem, **config.rls.model_dump())


def _checkpoint(training: Training, identity: dict[str, str]) -> Checkpoint:
    values = {"curve": training.curve, "seconds": training.seconds, "best_correlation": _finite(training.best_correlation)}
    best = {"best.plastic": training.best.plastic, "best.feed_forward": training.best.feed_forward}
    state = {f"rule.{name}": values for name, values in training.rule.state().items()}
    return Checkpoint(loops=len(training.curve), identity=identity, values=values, arrays={**best, **state})


def _restore(training: Training, checkpoint: Checkpoint | None) -> None:
    if checkpoint is None:
        return
    arrays, values = checkpoint.arrays, checkpoint.values
    training.rule.restore({name.removeprefix("rule."): array for name, array in arrays.items() if name.startswith("rule.")})
    training.best = Weights(plastic=arrays["best.plastic"], feed_forward=arrays["best.feed_forward"])
    training.best_correlation = float("-inf") if values["best_correlation"] is None else values["best_correlation"]
    training.curve, training.seconds = values["curve"], values["seconds"]
    logger.info("resumed after loop %d of %d", checkpoint.loops, training.rule.n_loops)


def _finite(value: float) -> Any:
    return value if np.isfinite(value) else None
