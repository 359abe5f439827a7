"""The targets stage: `recording.zarr` becomes `targets.zarr`."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fitrec import store
from fitrec.config.hashing import config_hash
from fitrec.config.network import NetworkConfig
from fitrec.config.targets import DriveOptions, TargetsConfig
from fitrec.recordings.recording import Recording
from fitrec.targets import siegert
from fitrec.targets.build import TargetOptions, build_targets
from fitrec.targets.continuous import ContinuousOptions
from fitrec.targets.drive import inverse_curve, invert
from fitrec.targets.targets import Targets

_log = logging.getLogger(__name__)


def run(
    recording: Path, out: Path, config: TargetsConfig, *, network: NetworkConfig | None = None, overwrite: bool = False
) -> Targets:
    """Bin, pool, split, average and smooth a recording, and store the result.

    Parameters
    ----------
    recording : Path
        A `recording.zarr`.
    out : Path
        The store to write.
    config : TargetsConfig
        What the targets are.
    network : NetworkConfig or None
        Its neuron model converts rates to drives, where the config asks for it; the default network when None.
    overwrite : bool
        Replace an existing store.

    Raises
    ------
    TargetsError, StoreError
        If the targets cannot be made, or the stores cannot be read or written.

    """
    store.require_absent(out, overwrite)
    network = network or NetworkConfig()
    source = store.load(recording, Recording)
    targets = build_targets(source, target_options(config))
    if config.drive is not None:
        targets = replace(targets, drive=_drive(targets.wanted_hz, config.drive, network, config.split.seed))
    attrs = {
        "config_hash": config_hash(config, [network.neuron.model_dump(), network.dt_ms, network.integration]),
        "source_sha256": store.content_sha256(recording),
        "bin_size_s": targets.bin_size_s,
        "t_start_s": float(targets.bin_edges_s[0]),
    }
    store.save(out, targets, attrs, overwrite)
    _log.info(
        "%s: %d units, %d conditions, %d bins of %g s, %d of %d units left out here",
        source.name, targets.n_units, len(targets.condition_names), targets.n_bins, targets.bin_size_s,
        source.n_units - targets.n_units, source.n_units,
    )  # fmt: skip
    return targets


def target_options(config: TargetsConfig) -> TargetOptions:
    """Translate the configuration into the builder's plain arguments."""
    return TargetOptions(
        align_to=config.align_to,
        window_s=config.window_s,
        bin_size_s=config.bin_size_s,
        condition_by=config.condition_by,
        rules=None if config.conditions is None else {rule.name: rule.where for rule in config.conditions},
        smoothing=config.smoothing.model_dump(),
        already_smoothed=config.already_smoothed,
        test_fraction=config.split.test_fraction,
        held_out_units=config.split.held_out_units,
        seed=config.split.seed,
        modes=config.modes,
        continuous=None if config.continuous is None else ContinuousOptions(**config.continuous.model_dump()),
    )


def _drive(rate_hz: NDArray[np.float64], options: DriveOptions, network: NetworkConfig, seed: int) -> NDArray[np.float64]:
    neuron = network.neuron
    if options.method == "siegert":
        return siegert.inverse(
            rate_hz, options.sigma, neuron.tau_m_ms, neuron.threshold, neuron.reset, floor_hz=options.rate_floor_hz
        )
    # Compiles numba code: only where it is needed.
    from fitrec.simulate.fi import white_noise_fi

    fi_drive, fi_rate_hz = white_noise_fi(
        tau_m_ms=neuron.tau_m_ms,
        threshold=neuron.threshold,
        reset=neuron.reset,
        refractory_steps=round(neuron.t_ref_ms / network.dt_ms),
        sigma=options.sigma,
        dt_ms=network.dt_ms,
        integration=network.integration,
        seed=seed,
    )
    return invert(rate_hz, inverse_curve(fi_drive, fi_rate_hz), options.rate_floor_hz)
