"""A trial that learns as it goes, with recursive least squares: on the processor, and on a device without the host's help."""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif
from fitrec.kernels.cuda import lif as cuda
from fitrec.kernels.cuda import weights as kernel
from fitrec.kernels.cuda.rls import Learners
from fitrec.learn.rls_learner import CpuLearner, LearnerOptions, rule_options
from fitrec.learn.rule import Arrays, Problem, not_finite
from fitrec.networks.weights import Weights
from fitrec.simulate.simulator import Simulator
from fitrec.threads import available_threads


class Outcome(NamedTuple):
    """What a trial gives besides what it learned.

    Attributes
    ----------
    counts : (neuron,) uint16
        Spikes in the window.
    bad : (bin, trained neuron) or None
        Where the learning became unstable first; then the weights are of no use.

    """

    counts: NDArray[np.uint16]
    bad: tuple[int, int] | None


class Learner(Protocol):
    """What remains from trial to trial besides the weights."""

    def arrays(self) -> Arrays:
        """P as it is stored."""

    def restore(self, arrays: Arrays) -> None:
        """Take over a stored P."""


class Trials(Protocol):
    """Runs trials that learn.

    Attributes
    ----------
    weights : Weights
        After the newest trial, on the host. May be set.

    """

    weights: Weights

    @property
    def learner(self) -> Learner:
        """All trained neurons' learners."""

    def aim_at(self, wanted: NDArray[np.float64]) -> None:
        """Set the drives (condition, bin, trained) that the plastic inputs should give.

        They are without the static current if that is taken as it is at the moment.
        """

    def run(self, condition: int, index: int) -> Outcome:
        """Run trial `index` of a condition, with an update at the end of each bin."""

    def not_finite(self) -> tuple[int, int] | None:
        """See `fitrec.learn.rule.not_finite`."""


def learning_decay(simulator: Simulator, bin_steps: int) -> np.float32:
    """Decay of the traces from one update to the next, exactly the factor that the time loop multiplies them with."""
    return np.float32(simulator.trace_power(bin_steps)[bin_steps] / simulator.constants.charge_p)


def parted(weights: Weights, condition: int, learned: NDArray[np.float32]) -> Weights:
    """Put the learned weights of a condition, (trained, feed-forward and plastic input), in place of those in `weights`."""
    n_ff, feed_forward = weights.feed_forward.shape[2], weights.feed_forward.copy()
    feed_forward[condition] = learned[:, :n_ff]
    return Weights(plastic=learned[:, n_ff:].copy(), feed_forward=feed_forward)


def joined(weights: Weights, condition: int) -> NDArray[np.float32]:
    """(trained, feed-forward and plastic input) weights of a condition."""
    return np.concatenate([weights.feed_forward[condition], weights.plastic], axis=1)


class CpuTrials:
    """Trials on the processor."""

    def __init__(self, problem: Problem, learner: CpuLearner, weights: Weights, *, instantaneous: bool) -> None:
        self.learner, self.weights, self._problem, self._instantaneous = learner, weights, problem, instantaneous
        self._wanted = np.zeros((0, 0, 0))

    def aim_at(self, wanted: NDArray[np.float64]) -> None:
        """See `Trials.aim_at`."""
        self._wanted = wanted

    def not_finite(self) -> tuple[int, int] | None:
        """See `Trials.not_finite`."""
        return not_finite(self.weights)

    def run(self, condition: int, index: int) -> Outcome:
        """See `Trials.run`."""
        problem, simulator, learner, weights = self._problem, self._problem.simulator, self.learner, self.weights
        network, wanted = simulator.network, self._wanted[condition]
        n, n_ff = network.n_neurons, network.n_feed_forward
        learner.begin_trial(joined(weights, condition), n)
        threads = problem.threads or available_threads()
        wiring = simulator.wiring(weights, condition, threads, learned=learner.padded_weights)
        state = simulator.initial_state(condition, index)
        steps, start = problem.bin_steps, network.window_start_step
        power, rho = simulator.trace_power(max(steps, start)), learning_decay(simulator, steps)
        counts, silent = np.zeros(n, np.uint16), np.zeros(n, np.uint16)
        simulator.advance(wiring, state, condition, network.drive, 0, start, trial=index, power=power, counts=silent)
        for k in range(len(wanted)):
            step = start + k * steps
            simulator.advance(wiring, state, condition, network.drive, step, steps, trial=index, power=power, counts=counts)
            current = state.u_static[network.trained].astype(np.float64)
            bias = ((current if self._instantaneous else 0.0) - wanted[k]).astype(np.float32)
            bad = learner.update(rho, state.trace, state.ff_trace, bias)
            if bad is not None:
                return Outcome(counts, (k, bad))
            if n_ff:
                wiring.ff_fixed[:] = np.rint(learner.weights[:, :n_ff].T.astype(np.float64) * lif.FIXED_ONE)
        learner.end_trial()
        self.weights = parted(weights, condition, learner.weights)
        return Outcome(counts, None)


class CudaTrials:
    """Trials on a device: the host starts kernels and waits for counts and word of mistakes only.

    Weights, P and wanted drives stay on the device from trial to trial; the host gets the weights when it asks for them.
    """

    def __init__(self, problem: Problem, learner: Learners, weights: Weights, *, instantaneous: bool) -> None:
        self.learner, self._problem, self._instantaneous = learner, problem, instantaneous
        assert problem.simulator.device is not None
        self._device = problem.simulator.device
        self._trained = self._device.asarray(problem.simulator.network.trained.astype(np.int32))
        self._wanted: Any = None
        self._feed_forward: Any = None  # (condition, trained, ff), on the device
        self._on_host: Weights | None = None
        self.weights = weights

    @property
    def weights(self) -> Weights:
        """See `Trials.weights`; copied from the device if a trial changed them."""
        if self._on_host is None:
            n_ff = self._problem.simulator.network.n_feed_forward
            plastic = np.ascontiguousarray(self.learner.weights[:, n_ff:])
            self._on_host = Weights(plastic=plastic, feed_forward=self._device.to_host(self._feed_forward))
            self._problem.simulator.device_weights_are(self.learner.padded_weights, plastic)
        return self._on_host

    @weights.setter
    def weights(self, weights: Weights) -> None:
        self._on_host = weights
        self._feed_forward = self._device.asarray(weights.feed_forward)
        self.learner.set_weights(weights.plastic, weights.feed_forward.shape[2])

    def aim_at(self, wanted: NDArray[np.float64]) -> None:
        """See `Trials.aim_at`."""
        self._wanted = self._device.asarray(wanted)

    def run(self, condition: int, index: int) -> Outcome:
        """See `Trials.run`."""
        device, learner, simulator = self._device, self.learner, self._problem.simulator
        network, steps, rho = simulator.network, self._problem.bin_steps, learning_decay(simulator, self._problem.bin_steps)
        n, n_ff, start, drives = network.n_neurons, network.n_feed_forward, network.window_start_step, self._wanted[condition]
        learner.begin(n)
        learner.set_weights(self._feed_forward[condition])
        wiring = simulator.device_wiring_of(learner.padded_weights)
        batch = simulator.device_batch(wiring, condition, steps, np.array([index]))
        if start > 0:
            batch.advance(0, 1, start, cuda.new_output(device, 1, 0, n, n_ff))
        output, state = cuda.new_output(device, 1, 1, n, n_ff), batch.state
        for k in range(len(drives)):
            batch.advance(start + k * steps, 1, steps, output)
            learner.set_bias(state.u_static[0], self._trained, drives[k], instantaneous=self._instantaneous)
            learner.step(rho, state.trace[0], state.ff_trace[0])
            simulator.device_wiring_of(learner.padded_weights)
        learner.flush()
        self._feed_forward[condition] = learner.padded_weights[:, :n_ff]
        self._on_host = None
        return Outcome(device.to_host(output.counts)[0, 0], learner.bad())

    def not_finite(self) -> tuple[int, int] | None:
        """See `Trials.not_finite`."""
        if kernel.all_finite(self._device, self.learner.padded_weights, self._feed_forward):
            return None
        return not_finite(self.weights)


def make_trials(
    problem: Problem, p0: NDArray[np.float64], weights: Weights, options: LearnerOptions, *, instantaneous: bool
) -> Trials:
    """Learn where the simulator runs.

    Parameters
    ----------
    p0 : (input, input)
    weights : Weights
        To begin with.
    instantaneous : bool
        Take the static current as it is at each update.

    Raises
    ------
    DeviceError
        If the device has too little memory.

    """
    network, device, start = problem.simulator.network, problem.simulator.device, joined(weights, 0)
    if device is not None:
        rule = rule_options(options, network.n_feed_forward, network.n_plastic_exc)
        pre = np.ascontiguousarray(network.plastic_pre[:: options.pool_size])
        learners = Learners(device, p0, start, pre, rule, options.rank, options.storage, half_flush=options.half_flush)
        return CudaTrials(problem, learners, weights, instantaneous=instantaneous)
    learner = CpuLearner(p0, start, network.plastic_pre, network.n_plastic_exc, options, problem.threads)
    return CpuTrials(problem, learner, weights, instantaneous=instantaneous)
