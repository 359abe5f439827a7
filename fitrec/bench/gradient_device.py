"""What a gradient costs on a device beside the simulation it belongs to, by the device's own clock."""

import hashlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from fitrec.bench import gradient as cpu
from fitrec.kernels.cuda.device import Device
from fitrec.learn.gradient.constraints import Limits, Parameter
from fitrec.learn.gradient.device_rules import device_rule, device_signals
from fitrec.learn.gradient.optimisers import Optimiser, Settings
from fitrec.learn.gradient.rules import Signals
from fitrec.simulate.device_network import DeviceModelNetwork, DeviceTrials
from fitrec.simulate.model_network import Recording, Trial

REPEATS = 9


def run(device: Device, asked: cpu.Asked, trials: int = 1) -> dict[str, Any]:
    """Time simulation, gradient and update of a network; figures as of `gradient.run`.

    Times are the device's, but for loss and learning signals, which are the host's, by wall time. The update is the device's too:
    gradient, weights and moments stay there.

    Parameters
    ----------
    trials : int
        Equal trials that run at the same time; the figures are for one of them, and so is the hash.

    Raises
    ------
    ConfigError
        As of `gradient.make_setup`.

    """
    setup = cpu.make_setup(asked)
    net, on_device = setup.net, DeviceModelNetwork(device, setup.net)
    weights = device.asarray(net.plastic.weight)
    parameter = Parameter("synapses", net.plastic.weight, Limits(dale="clip"))
    optimiser = Optimiser([parameter], Settings(learning_rate=cpu.UNMOVED), device=device, on_device={"synapses": weights})
    on_cpu = cpu.make_rule(asked.rule, net, 1)
    made, wiring = device_rule(on_device, on_cpu), on_device.wired(weights)
    seconds: dict[str, list[float]] = {name: [] for name in ("simulate", "record", "signals", "gradient", "update")}

    def simulate(recording: Recording) -> tuple[DeviceTrials, float]:
        """Run the trials; returns them, and seconds per trial."""
        runs: list[DeviceTrials] = []
        options: dict[str, Any] = {"recording": recording, "trials": [0] * trials, "current": setup.current}
        took = device.seconds(lambda: runs.append(on_device.run(wiring, [setup.inputs] * trials, **options)))
        return runs[0], took / trials

    def windows(whole: DeviceTrials, trial: Trial, learned: Signals) -> Iterator[tuple[DeviceTrials, Signals]]:
        """Cut the trials where the rule has updates; then they run again, since a device's windows are runs of their own."""
        before, first = None, 0
        for part, signals in (parts := cpu.parts(asked.rule, trial, learned)):
            if len(parts) == 1:
                yield whole, signals
                continue
            options: dict[str, Any] = {"recording": Recording(tape=True), "trials": [0] * trials, "current": setup.current}
            before = on_device.run(wiring, [part.inputs] * trials, before=before, first_step=first, **options)
            first += part.n_steps
            yield before, signals

    def go_back(whole: DeviceTrials, trial: Trial, learned: Signals) -> tuple[Any, float]:
        """Return the gradients by synapses of the trials, and seconds per trial."""
        gradient, took = made.new_gradient(trials), 0.0
        made.begin(trials)
        for window, signals in windows(whole, trial, learned):
            given = device_signals(on_cpu, [signals], on_device)
            took += device.seconds(partial(made.add, wiring, window, given, gradient))
        return gradient.plastic, took / trials

    for repeat in range(REPEATS + 1):  # the first compiles
        took = {"simulate": simulate(Recording())[1]}
        window, took["record"] = simulate(Recording(tape=True, rows=setup.rows, every=setup.every))
        trial = on_device.to_host(window, [setup.inputs] * trials)[0]
        start = time.perf_counter()
        learned = setup.learn(trial)
        took["signals"] = time.perf_counter() - start
        gradient, took["gradient"] = go_back(window, trial, learned)
        took["update"] = device.seconds(partial(optimiser.step, {"synapses": gradient[0]}))
        if repeat:
            for name, values in seconds.items():
                values.append(took[name])
    moments, by_synapse = optimiser.state()["moments/synapses"].nbytes, device.to_host(gradient[0])
    kept = net.plastic.indptr.nbytes + net.plastic.target.nbytes + weights.nbytes + by_synapse.nbytes + moments
    return {
        **cpu.figures(asked, setup, seconds, trial),
        "trials": trials,
        "bytes_per_synapse": kept / net.plastic.n,
        "gradient_sha256": hashlib.sha256(by_synapse.tobytes()).hexdigest(),
        "clock": "device",
        "repeats": REPEATS,
    }
