"""One training loop with an anchor's settings: seconds, where they go, and a hash that any two machines can compare."""

import hashlib
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.bench import presets
from fitrec.bench.machine import require_memory
from fitrec.kernels.cpu import lif
from fitrec.kernels.cuda import lif as cuda
from fitrec.kernels.cuda.device import Device
from fitrec.learn.memory import rls_parts, shared_parts
from fitrec.learn.rls import Rls
from fitrec.learn.rule import Problem
from fitrec.networks.network import Network
from fitrec.simulate.simulator import Simulator

WARM_UP_NEURONS = 400  # a loop of so few neurons compiles everything


class WatchedDevice:
    """A device that can tell how long each kernel takes; otherwise it is the device that it was made from."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._taken: dict[str, float] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def launch(self, module: str, kernel: str, *args: Any, **options: Any) -> None:
        """Start a kernel; while the device is watched, wait for it."""
        if self._taken is None:
            self._device.launch(module, kernel, *args, **options)
            return
        seconds = self._device.seconds(lambda: self._device.launch(module, kernel, *args, **options))
        self._taken[kernel] = self._taken.get(kernel, 0.0) + seconds

    def watch(self, work: Callable[[], object]) -> dict[str, float]:
        """Return the seconds of each kernel in `work`; `rest` is what the host took besides."""
        taken: dict[str, float] = {}
        self._taken = taken
        started = time.perf_counter()
        work()
        total = time.perf_counter() - started
        self._taken = None
        return taken | {"rest": total - sum(taken.values())}


class TimedSimulator(Simulator):
    """Counts seconds and spikes of the trials that are advanced piece by piece on the CPU, and keeps the last state."""

    def __init__(self, network: Network, threads: int, device: Device | None = None) -> None:
        super().__init__(network, device)
        self._threads = threads
        self.state: lif.State | None = None
        self.batch: cuda.Batch | None = None
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

    def device_batch(self, *args: Any, **options: Any) -> cuda.Batch:
        """Make a batch as the Simulator does."""
        self.batch = super().device_batch(*args, **options)
        return self.batch

    def final_state(self) -> dict[str, NDArray[Any]]:
        """Return the neurons' state at the end of the last trial that learned."""
        names = ("v", "u_static", "u_plastic", "trace")
        if self.batch is not None and self.device is not None:
            return {name: self.device.to_host(getattr(self.batch.state, name))[0] for name in names}
        return {name: getattr(self.state, name) for name in names} if self.state is not None else {}

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


def run(
    *,
    preset: str,
    neurons: int | None,
    loops: int,
    threads: int,
    p_storage: str = "full",
    device: Device | None = None,
    seed: int = 1,
) -> dict[str, Any]:
    """Train for some loops and time them.

    On a device the breakdown is that of one loop more, in which each kernel is waited for; of the rates only those of the window
    are known.

    Returns
    -------
    dict
        ``seconds_per_loop`` is the median; ``rate_hz`` are the mean rates of the first loop's trial, ``window_rate_hz`` those of
        its window;
        ``state_sha256`` hashes the learner's state (weights, P) and the neurons' state after the last loop.

    Raises
    ------
    ConfigError
        If the machine has too little memory.

    """
    settings = presets.PRESETS[preset]
    if neurons is not None:
        settings = presets.scaled(settings, neurons)
    sizes = presets.sizes(settings)

    def needed(storage: str) -> int:
        return sum((shared_parts(sizes, threads) | rls_parts(sizes, rank="auto", storage=storage)).values())

    others = {f"--p-storage {storage}": needed(storage) for storage in ("packed", "int16")}
    require_memory(needed(p_storage), f"training loops of {settings.neurons} neurons", "give fewer --neurons", others)
    small = presets.scaled(settings, min(settings.neurons, WARM_UP_NEURONS))
    warm_up = TimedSimulator(presets.network(small, seed, threads, device), threads, device)
    _rule(settings, presets.problem(small, warm_up, threads), p_storage).loop(0)

    watched = None if device is None else WatchedDevice(device)
    simulator = TimedSimulator(presets.network(settings, seed, threads, device), threads, watched)
    rule = _rule(settings, presets.problem(settings, simulator, threads), p_storage)
    seconds, breakdowns, rates, window = [], [], [], []
    for index in range(loops):
        simulator.restart()
        started = time.perf_counter()
        result = rule.loop(index)
        seconds.append(time.perf_counter() - started)
        breakdowns.append({} if watched else simulator.phases())
        rates.append(simulator.rates_hz())
        window.append({"E": result.rate_exc_hz, "I": result.rate_inh_hz})
    digest = _digest(rule, simulator)
    typical = int(np.argsort(seconds)[(loops - 1) // 2])
    if watched is None:
        breakdown = breakdowns[typical] | {"learning": seconds[typical] - sum(breakdowns[typical].values())}
    else:
        rates, breakdown = window, watched.watch(lambda: rule.loop(loops))
    return {
        "preset": preset,
        "seconds_per_loop": median(seconds),
        "breakdown": breakdown,
        "rate_hz": rates[0],
        "window_rate_hz": window[0],
        "published_rate_hz": settings.published_hz,
        "anchor": settings.anchor,
        "state_sha256": digest,
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


def _rule(settings: presets.Preset, problem: Problem, p_storage: str) -> Rls:
    """Return the published rule: lambda in absolute units, the static current of the moment in the error."""
    return Rls(
        problem,
        loops=1,
        scaling="published",
        penalty=settings.penalty,
        penalty_row_sum=settings.penalty_row_sum,
        penalty_feed_forward=1.0,
        static_current="instantaneous",
        evaluate_every=1,
        rank="auto",
        p_storage=p_storage,
        flush="auto",
        dale=False,
    )


def _digest(rule: Rls, simulator: TimedSimulator) -> str:
    """SHA-256 of the learner's arrays and of the neurons' state."""
    digest = hashlib.sha256()
    arrays = dict(rule.state()) | {f"neuron.{name}": values for name, values in simulator.final_state().items()}
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
