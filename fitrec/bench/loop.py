"""One training loop with an anchor's settings: seconds, where they go, and a hash that any two machines can compare."""

import hashlib
import time
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.bench import presets
from fitrec.config.train import Rls, TrainConfig
from fitrec.kernels.cpu import lif
from fitrec.learn.rule import Rule
from fitrec.networks.network import Network
from fitrec.simulate.simulator import Simulator
from fitrec.stages.train import make_rule
from fitrec.stages.train_memory import require_memory

WARM_UP_NEURONS = 400  # a loop of so few neurons compiles everything


class TimedSimulator(Simulator):
    """Counts seconds and spikes of the trials that are advanced piece by piece, and keeps the last state."""

    def __init__(self, network: Network, threads: int) -> None:
        super().__init__(network)
        self._threads = threads
        self.state: lif.State | None = None
        self.restart()

    def restart(self) -> None:
        """Count from zero."""
        self.seconds, self.spikes = 0.0, np.zeros(self.network.n_neurons, np.int64)
        self.phase_ns = np.zeros((self._threads, len(lif.PHASES)), np.int64)

    def advance(self, wiring: lif.Wiring, state: lif.State, *args: Any, counts: NDArray[np.uint16], **kwargs: Any) -> None:
        """Advance as the Simulator does."""
        self.spikes -= counts
        started = time.perf_counter()
        super().advance(wiring, state, *args, counts=counts, phase_ns=self.phase_ns, **kwargs)
        self.seconds += time.perf_counter() - started
        self.spikes += counts
        self.state = state

    def phases(self) -> dict[str, float]:
        """Seconds in each phase of the time loop, mean over the threads that took part; `starting` is what is left of it."""
        took_part = self.phase_ns[self.phase_ns.any(axis=1)]
        phases = dict(zip(lif.PHASES, (1e-9 * took_part.mean(axis=0)).tolist(), strict=True))
        return phases | {"starting": self.seconds - sum(phases.values())}

    def rates_hz(self) -> dict[str, float]:
        """Mean rates of E, I and all neurons over the whole trial, its initial transient included, as published rates are."""
        net = self.network
        rate = self.spikes / ((net.window_start_step + net.window_steps) * net.dt_ms * 1e-3)
        return {"E": float(rate[: net.n_exc].mean()), "I": float(rate[net.n_exc :].mean()), "all": float(rate.mean())}


def run(*, preset: str, neurons: int | None, loops: int, threads: int, p_storage: str = "full", seed: int = 1) -> dict[str, Any]:
    """Train for some loops and time them.

    Returns
    -------
    dict
        ``seconds_per_loop`` is the median; ``rate_hz`` are the mean rates of the first loop's trial;
        ``state_sha256`` hashes the learner's state (weights, P) and the neurons' state after the last loop.

    Raises
    ------
    TrainingError
        If the machine has too little memory.

    """
    settings = presets.PRESETS[preset]
    if neurons is not None:
        settings = presets.scaled(settings, neurons)
    config = _config(settings, p_storage)
    require_memory(presets.sizes(settings), config, threads)
    small = presets.scaled(settings, min(settings.neurons, WARM_UP_NEURONS))
    make_rule(presets.problem(small, TimedSimulator(presets.network(small, seed), threads), threads), config).loop(0)

    simulator = TimedSimulator(presets.network(settings, seed), threads)
    rule = make_rule(presets.problem(settings, simulator, threads), config)
    seconds, breakdowns, rates = [], [], []
    for index in range(loops):
        simulator.restart()
        started = time.perf_counter()
        rule.loop(index)
        seconds.append(time.perf_counter() - started)
        breakdowns.append(simulator.phases())
        rates.append(simulator.rates_hz())
    typical = int(np.argsort(seconds)[(loops - 1) // 2])
    return {
        "preset": preset,
        "seconds_per_loop": median(seconds),
        "breakdown": breakdowns[typical] | {"learning": seconds[typical] - sum(breakdowns[typical].values())},
        "rate_hz": rates[0],
        "published_rate_hz": settings.published_hz,
        "anchor_seconds": settings.anchor_seconds,
        "state_sha256": _digest(rule, simulator),
        "loops": loops,
        "neurons": settings.neurons,
        "static_out_degree": 2 * settings.k,
        "connectivity": settings.connectivity,
        "plastic_inputs": 2 * settings.inputs,
        "p_storage": p_storage,
        "steps": simulator.network.window_start_step + simulator.network.window_steps,
        "updates": round(settings.window_ms / settings.bin_ms),
        "seconds": seconds,
        "rates_hz": rates,
    }


def _config(settings: presets.Preset, p_storage: str) -> TrainConfig:
    """Return the published rule: lambda in absolute units, the static current of the moment in the error."""
    rls = Rls(
        penalty=settings.penalty,
        penalty_row_sum=settings.penalty_row_sum,
        scaling="published",
        static_current="instantaneous",
        p_storage=p_storage,
    )
    return TrainConfig(rule="rls", rls=rls)


def _digest(rule: Rule, simulator: TimedSimulator) -> str:
    """SHA-256 of the learner's arrays and of the neurons' state."""
    digest = hashlib.sha256()
    arrays = dict(rule.state())
    if simulator.state is not None:
        arrays.update({f"neuron.{name}": getattr(simulator.state, name) for name in ("v", "u_static", "u_plastic", "trace")})
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
