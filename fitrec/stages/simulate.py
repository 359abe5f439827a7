"""The simulate command: a ground-truth network is recorded like a brain, and its truth kept beside the recording."""

import logging
import string
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitrec import store
from fitrec.config.simulate import SimulateConfig
from fitrec.errors import NetworkError
from fitrec.evaluate.truth import Truth
from fitrec.kernels.cuda.device import open_device
from fitrec.networks.ground_truth import areas, ground_truth_network
from fitrec.recordings.bad_units import bad_units
from fitrec.recordings.nwb_write import write_nwb
from fitrec.recordings.recording import Recording, exclusion_table
from fitrec.simulate.simulator import Simulator
from fitrec.simulate.trials import run_trials

_log = logging.getLogger(__name__)

_BIN_MS = 1
# The inputs begin with the simulated window; what the network does until it has settled again is not recorded.
_SETTLE_MS = 300
# Trial numbers are the counters of noise and initial states: the truth is of other trials than the recording.
_FIRST_TRUTH_TRIAL = 1_000_000
_BATCH = 50


def run(
    out: Path,
    config: SimulateConfig,
    *,
    seed: int,
    truth: Path | None = None,
    threads: int | None = None,
    device: str = "cpu",
    overwrite: bool = False,
) -> Recording:
    """Simulate trials of a ground-truth network and write the spikes of some of its neurons as an NWB file.

    Parameters
    ----------
    out : Path
        The NWB file.
    config : SimulateConfig
        The network and the recording.
    seed : int
        Seed of everything random.
    truth : Path or None
        Store for the true rates (`fitrec.evaluate.truth.Truth`), from further trials; without it they are not simulated.
    threads : int or None
        Threads; the result does not depend on them.
    device : str
        "cpu" or "cuda:<number>"; the result does not depend on it.
    overwrite : bool
        Replace existing outputs.

    Returns
    -------
    Recording
        What was written.

    Raises
    ------
    NetworkError
        If the network cannot be wired, or has fewer neurons that fire enough than units are wanted.
    StoreError
        If an output exists or cannot be written.

    """
    for path in (out, *([truth] if truth else [])):
        store.require_absent(path, overwrite)
    stimuli = list(string.ascii_uppercase[: config.stimuli])
    before_ms, after_ms = (round(seconds * 1e3) for seconds in (config.before_s, config.after_s))
    network, weights = ground_truth_network(
        n_exc=config.n_exc, n_inh=config.n_inh, k=config.k, n_inputs=config.n_inputs, stimuli=stimuli,
        quiet_ms=_SETTLE_MS + before_ms, stimulus_ms=after_ms, seed=seed,
    )  # fmt: skip
    simulator = Simulator(network, open_device(device))
    everyone = np.arange(config.n_exc, dtype=np.int32)
    bin_steps = round(_BIN_MS / network.dt_ms)
    n = config.trials_per_stimulus
    _log.info("simulating %d trials of each of %d stimuli", n, len(stimuli))
    batches = [
        run_trials(
            network, weights, c, np.arange(n), bin_steps=bin_steps * 100, neurons=everyone, record_spikes=n, threads=threads,
            simulator=simulator,
        )
        for c in range(len(stimuli))
    ]  # fmt: skip

    order = np.random.default_rng([seed, 0]).permutation(np.repeat(np.arange(len(stimuli)), n))
    length_s, skipped_s = (before_ms + after_ms) * 1e-3, _SETTLE_MS * 1e-3
    observed_start_s = np.round(1.0 + np.arange(len(order)) * (length_s + config.gap_s), 6)
    neuron, time_s = [], []
    for stimulus, batch in enumerate(batches):
        starts = observed_start_s[order == stimulus]
        trial = np.repeat(np.arange(n), np.diff(batch.spike_indptr))
        within_s = batch.spike_step * (network.dt_ms * 1e-3) - skipped_s
        kept = (within_s >= 0) & (batch.spike_neuron < config.n_exc)
        neuron.append(batch.spike_neuron[kept])
        time_s.append(np.round(starts[trial[kept]] + within_s[kept], 6))
    observed_s = np.stack([observed_start_s, np.round(observed_start_s + length_s, 6)], axis=1)
    start_s = np.round(observed_start_s + before_ms * 1e-3, 6)
    trials = pd.DataFrame({"start_time": start_s, "stop_time": observed_s[:, 1], "stimulus": [stimuli[c] for c in order]})
    chosen, spikes = _choose(np.concatenate(neuron), np.concatenate(time_s), len(order) * length_s, config, seed)
    recording = _recording(chosen, spikes, trials, observed_s, config, seed)
    with store.atomic_path(out, overwrite) as temporary:
        write_nwb(temporary, recording, observed_s, description=f"Simulated by fitrec from a ground-truth network, seed {seed}.")
    _log.info("wrote %d units, %d of them good, and %d trials to %s", recording.n_units, len(chosen), len(order), out)
    if truth is not None:
        _log.info("simulating %d further trials of each stimulus for the truth", config.truth_trials)
        counts = np.zeros((len(stimuli), (before_ms + after_ms) // _BIN_MS, len(chosen)), np.uint32)
        for condition in range(len(stimuli)):
            for first in range(0, config.truth_trials, _BATCH):
                numbers = _FIRST_TRUTH_TRIAL + np.arange(first, min(first + _BATCH, config.truth_trials))
                batch = run_trials(
                    network,
                    weights,
                    condition,
                    numbers,
                    bin_steps=bin_steps,
                    neurons=chosen,
                    threads=threads,
                    simulator=simulator,
                )
                counts[condition] += batch.counts[:, _SETTLE_MS // _BIN_MS :].sum(axis=0, dtype=np.uint32)
        known = Truth(
            unit_id=recording.units["unit_id"].to_numpy(np.int64)[: len(chosen)], condition_names=stimuli, counts=counts,
            trials=config.truth_trials, bin_size_s=_BIN_MS * 1e-3, t_start_s=-before_ms * 1e-3,
        )  # fmt: skip
        store.save(truth, known, {"source_sha256": store.file_sha256(out)}, overwrite=overwrite)
    return recording


def _choose(
    neuron: NDArray[np.int32], time_s: NDArray[np.float64], observed_s: float, config: SimulateConfig, seed: int
) -> tuple[NDArray[np.int32], list[NDArray[np.float64]]]:
    """Choose the neurons (unit,) that are recorded, with their sorted spike times."""
    counts = np.bincount(neuron, minlength=config.n_exc)
    loud = np.flatnonzero((counts > 0) & (counts >= config.min_rate_hz * observed_s))
    if len(loud) < config.units:
        raise NetworkError(
            f"only {len(loud)} of {config.n_exc} excitatory neurons fire at least {config.min_rate_hz:g} Hz, but {config.units} "
            "units are wanted; ask for fewer, or enlarge the network"
        )
    chosen = np.sort(np.random.default_rng([seed, 2]).choice(loud, config.units, replace=False)).astype(np.int32)
    by_neuron = np.lexsort((time_s, neuron))
    spikes = np.split(time_s[by_neuron], np.cumsum(counts)[:-1])
    return chosen, [spikes[n] for n in chosen]


def _recording(
    chosen: NDArray[np.int32], spikes: list[NDArray[np.float64]], trials: pd.DataFrame, observed_s: NDArray[np.float64],
    config: SimulateConfig, seed: int,
) -> Recording:  # fmt: skip
    """Units as a spike sorter would leave them: the good ones first, then the bad ones."""
    location, quality = areas(config.n_exc)[chosen].tolist(), ["good"] * len(chosen)
    if config.bad_units:
        further, verdicts = bad_units(spikes, observed_s, seed)
        places = np.random.default_rng([seed, 3]).choice(areas(config.n_exc), len(further))
        spikes, location, quality = [*spikes, *further], [*location, *places], [*quality, *verdicts]
    return Recording(
        name="simulated",
        kind="spikes",
        units=pd.DataFrame({"unit_id": 1 + np.arange(len(spikes)), "location": location, "quality": quality}),
        excluded=exclusion_table(),
        trials=trials,
        spike_times_s=np.concatenate(spikes),
        spike_indptr=np.cumsum([0, *map(len, spikes)], dtype=np.int64),
        source={"identifier": f"fitrec-simulate-{seed}"},
    )
