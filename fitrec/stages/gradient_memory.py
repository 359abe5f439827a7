"""The memory that the trials of a gradient fit need, from the network and the settings alone."""

from fitrec.config.train import TrainConfig
from fitrec.errors import DeviceError
from fitrec.kernels.cuda.device import Device
from fitrec.learn.device_memory import GradientTrial
from fitrec.learn.gradient.device_base import Kind
from fitrec.learn.memory import Parts
from fitrec.networks.network import Network
from fitrec.neurons.blocks import make_blocks
from fitrec.neurons.model import Model
from fitrec.simulate.device_network import shape_of
from fitrec.simulate.network_model import network_model, observed_model
from fitrec.stages.train_gradient import derived, seen_through, windows_of

KINDS: dict[str, Kind] = {
    "local-adjoint": "local-adjoint",
    "e-prop": "local-adjoint",
    "bptt": "bptt",
    "pp-prop": "pp-prop",
    "d-rtrl": "d-rtrl",
    "e-prop-plus": "e-prop-plus",
}
_GB, _ITEM = 1e9, 4


def gradient_trial(network: Network, bin_steps: int, config: TrainConfig, threads: int = 1) -> GradientTrial | None:
    """Return the sizes of a trial of a gradient fit; None for rules of least squares.

    Raises
    ------
    TrainingError
        If windows do not fit into train.gradient.memory_gb.

    """
    return trial_of(
        network_model(network)[0],
        config,
        n=network.n_neurons,
        n_ff=network.n_feed_forward,
        synapses=len(network.trained) * (int(network.plastic_pre.shape[1]) + network.n_feed_forward),
        dt_ms=network.dt_ms,
        before_steps=network.window_start_step,
        window_steps=network.window_steps,
        bin_steps=bin_steps,
        threads=threads,
    )


def trial_of(
    model: Model,
    config: TrainConfig,
    *,
    n: int,
    n_ff: int,
    synapses: int,
    dt_ms: float,
    before_steps: int,
    window_steps: int,
    bin_steps: int,
    threads: int,
) -> GradientTrial | None:
    """Return `gradient_trial` of so many neurons and plastic synapses, those of feed-forward inputs included.

    Raises
    ------
    TrainingError
        As there.

    """
    if config.rule not in KINDS:
        return None
    options = derived(config.rule, config.gradient)
    model = observed_model(model, options["surrogate"], options["observed"])
    blocks = make_blocks(model, tuple(config.gradient.trainable), spike_signal=options["spike_signal"])
    shape = shape_of(model, blocks, n, n_ff, 1)
    step_bytes = shape.trial_bytes(_ITEM, 1, tape=True)
    windows = windows_of(config.rule, config.gradient, step_bytes, window_steps, bin_steps, dt_ms, threads)
    return GradientTrial(
        kind=KINDS[config.rule],
        shape=shape,
        synapses=synapses,
        steps=max(window_steps, before_steps),
        window_steps=windows.steps,
        bin_steps=bin_steps,
        dt_ms=dt_ms,
        own_targets=seen_through(config.rule, config.gradient) is not None,
        tapes=1 + (windows.overlap and windows.steps < window_steps),
        workers=windows.workers,
    )


def require_window(trial: GradientTrial, parts: Parts, device: Device) -> None:
    """Refuse a window too long for a device that holds everything else.

    Parameters
    ----------
    parts : dict
        All that the training needs there.

    Raises
    ------
    DeviceError
        Naming the longest window that fits, if there is one.

    """
    total, free = sum(parts.values()), device.free_bytes()
    if total <= free:
        return
    longest = trial.longest_window(free - total + sum(trial.parts().values()))
    if longest:
        raise DeviceError(
            f"this training needs {total / _GB:.3g} GB on {device.name}, {parts['tape of one trial'] / _GB:.3g} GB of it for the "
            f"derivatives of {trial.window_steps * trial.dt_ms:.5g} ms of one trial, but {free / _GB:.3g} GB are free; set "
            f"train.gradient.window_ms to at most {longest * trial.dt_ms:.5g}, or use --device cpu"
        )
