"""Gradient rules as the config asks for them."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.config.train import GradientConfig
from fitrec.errors import TrainingError
from fitrec.learn.gradient.fit import FitOptions, GradientFit
from fitrec.learn.gradient.losses import FiringRate, Loss, MeanSquared, PoissonCounts, RegionMean
from fitrec.learn.gradient.neuron_parameters import Trainable
from fitrec.learn.gradient.online import OnlineFit
from fitrec.learn.gradient.optimisers import Settings
from fitrec.learn.gradient.rate_errors import observation
from fitrec.learn.gradient.rules import Bptt, LocalAdjoint, PpProp, Rule
from fitrec.learn.gradient.rules import DRtrl as DRtrlRule
from fitrec.learn.gradient.schedules import Schedule
from fitrec.learn.gradient.windows import Windows, plan_windows
from fitrec.learn.rule import Problem
from fitrec.learn.rule import Rule as FitRule
from fitrec.neurons.algebra import NOWHERE
from fitrec.neurons.derive import derive
from fitrec.neurons.expression import Number
from fitrec.neurons.model import SPIKE, Model, Surrogate
from fitrec.neurons.observation import Filter
from fitrec.neurons.paths import ports_with_path
from fitrec.neurons.verify import largest_eigenvalue, stability
from fitrec.simulate.model_network import ModelNetwork
from fitrec.simulate.model_trials import ModelTrials
from fitrec.simulate.network_model import network_model
from fitrec.threads import available_threads

logger = logging.getLogger(__name__)

LARGEST_BPTT = 2_000  # neurons; every step of BPTT touches every synapse
GO_BACK = ("local-adjoint", "e-prop", "bptt")
_GB = 1e9


def make_gradient_fit(problem: Problem, rule: str, config: GradientConfig) -> FitRule:
    """Build a gradient rule.

    Raises
    ------
    TrainingError
        If nothing is left to learn, no derivative leads from a projection to the loss, a window does not fit into memory, or a
        network is too large for BPTT.

    """
    network = problem.simulator.network
    if rule == "bptt" and network.n_neurons > LARGEST_BPTT:
        raise TrainingError(
            f"train.rule is bptt, which touches every synapse in every step, but the network has {network.n_neurons:,} neurons; "
            f"use local-adjoint, or at most {LARGEST_BPTT:,} neurons"
        )
    inputs = {
        "exc": network.n_plastic_exc,
        "inh": network.plastic_pre.shape[1] - network.n_plastic_exc,
        "feed_forward": network.n_feed_forward,
    }
    _require_something_to_learn(inputs, config)
    require_trainable(rule, config)
    if network.model is not None:
        model, _ = network_model(network)
        require_paths(model, network.model["ports"], inputs, config)
        stable = stability(model, network.dt_ms)
        if not stable.ok:
            logger.warning("neuron model %s: %s", model.name, stable.text)
    online = rule == "e-prop-plus"
    trials = ModelTrials(network, trainable=tuple(config.trainable), **derived(rule, config))
    conditions = min(config.conditions_per_loop or len(problem.fitted), len(problem.fitted))
    updates_per_loop = conditions * problem.rate_hz.shape[1] if online else 1
    options = FitOptions(
        name=rule,
        make_rule=_rule_maker(rule, config, trials, problem),
        loops=config.loops,
        trials=config.trials,
        conditions_per_loop=config.conditions_per_loop,
        loss=_loss(config, problem),
        is_poisson=config.loss == "poisson",
        regularisation=FiringRate(strength=config.rate_penalty, target_hz=config.rate_target_hz) if config.rate_penalty else None,
        optimiser=_optimiser(config, updates_per_loop),
        common_mode=config.common_mode,
        trainable=tuple(
            Trainable(name=name, learning_rate=t.learning_rate, low=t.min, high=t.max, shared=t.shared)
            for name, t in config.trainable.items()
        ),
        dale=config.dale,
        bounds=(-np.inf if config.w_min is None else config.w_min, np.inf if config.w_max is None else config.w_max),
        frozen=tuple(config.frozen),
        windows=_windows(problem, rule, config, trials),
        averaging=config.averaging,
        seen_through=seen_through(rule, config),
        evaluate_every=config.evaluate_every,
    )
    if online:
        return OnlineFit(problem, trials, options, cutoff_ms=config.cutoff_ms)
    return GradientFit(problem, trials, options)


def _loss(
    config: GradientConfig, problem: Problem
) -> Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[float, NDArray[np.float64]]]:
    bin_s = problem.bin_s
    scale, of_each = (1.0, MeanSquared()) if config.loss != "poisson" else (bin_s, PoissonCounts(bin_s=bin_s))
    chosen: Loss = of_each if problem.regions is None else RegionMean(problem.regions, of_each)

    def loss(observed_hz: NDArray[np.float64], target_hz: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, derivative = chosen(observed_hz, target_hz * scale, np.isfinite(target_hz))
        return value, np.asarray(derivative, np.float64)

    return loss


def _rule_maker(rule: str, config: GradientConfig, trials: ModelTrials, problem: Problem) -> Callable[[ModelNetwork], Rule]:
    if rule == "bptt":
        return Bptt
    if rule == "d-rtrl":
        return DRtrlRule
    if rule != "pp-prop":
        return LocalAdjoint
    dt_ms = problem.simulator.network.dt_ms
    trace_ms = config.trace_ms or 2 * _longest_time_constant_ms(trials, dt_ms)
    reach_ms = _observation_ms(problem, seen_through(rule, config))
    if trace_ms < reach_ms:
        logger.warning(
            "the traces of pp-prop forget within %.3g ms, but a rate is smoothed over %.3g ms; what a spike does to it later is "
            "not learned: raise train.gradient.trace_ms",
            trace_ms,
            reach_ms,
        )
    decay = float(np.exp(-dt_ms / trace_ms))
    return lambda network: PpProp(network, decay_pre=decay, decay_post=decay)


def _longest_time_constant_ms(trials: ModelTrials, dt_ms: float) -> float:
    """Slowest decay of a neuron's own states and of its align_pre ports."""
    model = trials.compiled.model
    values = {p.name: p.value for p in model.parameters}
    taus = [values[port.tau] for port in model.ports if port.tau]
    largest = largest_eigenvalue(model, dt_ms)
    return max([-dt_ms / np.log(largest) if 0 < largest < 1 else dt_ms, *taus])


def _observation_ms(problem: Problem, seen: Filter | None) -> float:
    """Root mean square width, in ms, of what rates are compared through: smoothing, or a filter that looks back."""
    matrix = observation(problem, seen)[0]
    at = len(matrix) // 2 if seen is None else len(matrix) - 1
    lag_ms = (np.arange(len(matrix)) - at) * problem.bin_s * 1e3
    return float(np.sqrt((matrix[at] * lag_ms**2).sum()))


def _optimiser(config: GradientConfig, updates_per_loop: int) -> Settings:
    schedule = Schedule(kind="cosine", total=config.loops * updates_per_loop) if config.schedule == "cosine" else Schedule()
    return Settings(
        kind=config.optimizer,
        learning_rate=config.learning_rate,
        beta_1=config.beta_1,
        beta_2=config.beta_2 ** (1 / updates_per_loop),
        clip_norm=np.inf if config.clip_norm is None else config.clip_norm,
        schedule=schedule,
    )


def derived(rule: str, config: GradientConfig) -> dict[str, Any]:
    """Return what a rule needs of the neurons' model, as options of `ModelTrials`."""
    online = rule == "e-prop-plus"
    observed = seen_through(rule, config) if online else None
    return {"spike_signal": not online, "surrogate": _surrogate(config), "observed": observed}


def seen_through(rule: str, config: GradientConfig) -> Filter | None:
    """Return the filter through which rates and targets are compared, if there is one."""
    causal = rule.startswith("e-prop")
    if config.loss == "calcium":
        return Filter(decay_ms=config.calcium_ms, rise_ms=config.calcium_rise_ms, smoothed=not causal)
    return Filter(decay_ms=config.readout_ms) if causal else None


def _surrogate(config: GradientConfig) -> Surrogate | None:
    if config.surrogate is None:
        return None
    s = config.surrogate
    return Surrogate(kind=s.kind, height=Number(s.height, NOWHERE), width=Number(s.width, NOWHERE))


def _windows(problem: Problem, rule: str, config: GradientConfig, trials: ModelTrials) -> Windows:
    """Cut the trials.

    Raises
    ------
    TrainingError
        If `window_ms` asks for more than memory_gb holds, or that does not hold a bin.

    """
    network, threads = problem.simulator.network, problem.threads or available_threads()
    step_bytes, whole = trials.model_network.new_tape(1).nbytes, network.window_steps
    windows = windows_of(rule, config, step_bytes, whole, problem.bin_steps, network.dt_ms, threads)
    if not config.window_ms and windows.steps < whole and rule != "e-prop-plus":
        logger.warning(
            "derivatives go back through windows of %.5g ms, of trials of %.5g ms: train.gradient.memory_gb holds no more",
            windows.steps * network.dt_ms,
            whole * network.dt_ms,
        )
    if windows.workers < threads and rule != "e-prop-plus":
        logger.info("%d trials at a time for %d threads: train.gradient.memory_gb holds no more", windows.workers, threads)
    return windows


def windows_of(
    rule: str, config: GradientConfig, step_bytes: int, whole: int, bin_steps: int, dt_ms: float, threads: int
) -> Windows:
    """Cut trials of `whole` steps, each of which leaves so many bytes; see `_windows`."""
    if rule == "e-prop-plus":  # learns after every bin
        return Windows(steps=bin_steps, overlap=False, workers=1)
    overlap, bin_ms = config.overlap and rule in GO_BACK, bin_steps * dt_ms
    wanted = max(1, round(config.window_ms / bin_ms)) * bin_steps if config.window_ms else 0
    windows = plan_windows(step_bytes, whole, bin_steps, wanted, config.memory_gb * _GB, threads, overlap=overlap)
    if isinstance(windows, Windows):
        return windows
    if not windows:
        raise TrainingError(
            f"train.gradient.memory_gb is {config.memory_gb:g}, but the derivatives of one bin of {bin_ms:g} ms need "
            f"{(1 + overlap) * bin_steps * step_bytes / _GB:.3g}; raise it"
        )
    raise TrainingError(
        f"train.gradient.window_ms is {config.window_ms:g}, but {config.memory_gb:g} GB (memory_gb) hold the steps of at "
        f"most {windows * dt_ms:.5g} ms; shorten it, or raise memory_gb"
    )


def require_paths(model: Model, ports: dict[str, str], inputs: dict[str, int], config: GradientConfig) -> None:
    """Refuse projections whose weights have no gradient: no derivative leads from where they end to the spikes that are fitted.

    Parameters
    ----------
    ports : dict
        Port of each kind of synapse, as in ``Network.model``.
    inputs : dict
        Number of ``exc``, ``inh`` and ``feed_forward`` inputs of a trained neuron.

    Raises
    ------
    TrainingError

    """
    alive = ports_with_path(derive(model), SPIKE)
    for projection, kind in (("exc", "plastic_exc"), ("inh", "plastic_inh"), ("feed_forward", "plastic_exc")):
        if inputs[projection] and projection not in config.frozen and ports[kind] not in alive:
            works = f"{', '.join(alive)} would do" if alive else "there is no port that would do"
            raise TrainingError(
                f"the weights of the plastic projection '{projection}' cannot be learned: they end at the port {ports[kind]!r} "
                f"of the neuron model {model.name!r}, from which no derivative leads to a spike (it never reaches the threshold, "
                f"or only through detach(...)); {works}: change the model or network.model.port_plastic, or leave the "
                f"projection alone with train.gradient.frozen: [{projection}]"
            )


def require_trainable(rule: str, config: GradientConfig) -> None:
    """Refuse parameters to be learned by a rule that has no gradient for them.

    Raises
    ------
    TrainingError

    """
    if config.trainable and rule not in GO_BACK:
        raise TrainingError(
            f"train.gradient.trainable names {', '.join(config.trainable)}, but {rule} has no gradient for them; "
            f"use {' or '.join(GO_BACK)}, or leave it empty"
        )


def _require_something_to_learn(inputs: dict[str, int], config: GradientConfig) -> None:
    if not any(size for name, size in inputs.items() if name not in config.frozen):
        raise TrainingError(
            f"nothing is left to learn: train.gradient.frozen is {list(config.frozen)} and trained neurons have {inputs['exc']} "
            f"plastic E, {inputs['inh']} plastic I and {inputs['feed_forward']} feed-forward inputs; leave one free"
        )
