"""A trial that learns as it goes, with recursive least squares: on the processor, and on a device without the host's help."""

import logging
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif
from fitrec.kernels.cuda import lif as cuda
from fitrec.kernels.cuda.rls import Learners
from fitrec.learn.rls_learner import CpuLearner, LearnerOptions, rule_options
from fitrec.learn.rule import Arrays, Problem
from fitrec.networks.weights import Weights
from fitrec.simulate.simulator import Simulator
from fitrec.simulate.threads import available_threads

logger = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """What a trial gives.

    Attributes
    ----------
    weights : Weights
        After it; those of feed-forward inputs in the other conditions are as they were.
    counts : (neuron,) uint16
        Spikes in the window.
    bad : (bin, trained neuron) or None
        Where the learning became unstable first; then the weights are of no use.

    """

    weights: Weights
    counts: NDArray[np.uint16]
    bad: tuple[int, int] | None


class Learner(Protocol):
    """What remains from trial to trial."""

    @property
    def weights(self) -> NDArray[np.float32]:
        """(neuron, input), feed-forward inputs first."""

    def arrays(self) -> Arrays:
        """P as it is stored."""

    def restore(self, arrays: Arrays) -> None:
        """Take over a stored P."""


class Trials(Protocol):
    """Runs trials that learn."""

    @property
    def learner(self) -> Learner:
        """All trained neurons' learners."""

    def run(self, weights: Weights, condition: int, index: int, wanted: NDArray[np.float64]) -> Outcome:
        """Run trial `index` of a condition from these weights on, with an update at the end of each bin.

        Parameters
        ----------
        wanted : (bin, trained)
            Drives that the plastic inputs should give, without the static current if that is taken as it is at the moment.

        """


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

    def __init__(self, problem: Problem, learner: CpuLearner, *, instantaneous: bool) -> None:
        self.learner, self._problem, self._instantaneous = learner, problem, instantaneous

    def run(self, weights: Weights, condition: int, index: int, wanted: NDArray[np.float64]) -> Outcome:
        """See `Trials.run`."""
        problem, simulator, learner = self._problem, self._problem.simulator, self.learner
        network = simulator.network
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
                return Outcome(weights, counts, (k, bad))
            if n_ff:
                wiring.ff_fixed[:] = np.rint(learner.weights[:, :n_ff].T.astype(np.float64) * lif.FIXED_ONE)
        learner.end_trial()
        return Outcome(parted(weights, condition, learner.weights), counts, None)


class CudaTrials:
    """Trials on a device: the host starts kernels and waits for the outcome only."""

    def __init__(self, problem: Problem, learner: Learners, *, instantaneous: bool) -> None:
        self.learner, self._problem, self._instantaneous = learner, problem, instantaneous
        assert problem.simulator.device is not None
        self._device = problem.simulator.device
        network = problem.simulator.network
        self._trained = self._device.asarray(network.trained.astype(np.int32))
        row, slot = problem.simulator.plastic_places()
        n_ff, width = network.n_feed_forward, learner.padded_weights.shape[1]
        # Where in the learner's weights those stand that the time loop delivers, in its order.
        self._plastic_source = self._device.asarray(row.astype(np.int64) * width + n_ff + slot)
        self._ff_source = self._device.asarray(np.arange(n_ff)[:, None] + width * np.arange(len(network.trained)))
        self._plastic: NDArray[np.float32] | None = None  # the host's copy of the plastic weights that are on the device

    def run(self, weights: Weights, condition: int, index: int, wanted: NDArray[np.float64]) -> Outcome:
        """See `Trials.run`."""
        device, learner, simulator = self._device, self.learner, self._problem.simulator
        network, steps, rho = simulator.network, self._problem.bin_steps, learning_decay(simulator, self._problem.bin_steps)
        n, n_ff, start = network.n_neurons, network.n_feed_forward, network.window_start_step
        is_there = weights.plastic is self._plastic
        learner.begin(weights.feed_forward[condition] if is_there else joined(weights, condition), n)
        batch = simulator.device_batch(weights, condition, steps, np.array([index]), learns=True)
        learner.fix_weights(self._plastic_source, batch.projections.plastic_fixed)
        if start > 0:
            batch.advance(0, 1, start, cuda.new_output(device, 1, 0, n, n_ff))
        output, drives = cuda.new_output(device, 1, 1, n, n_ff), device.asarray(wanted)
        state, projections = batch.state, batch.projections
        for k in range(len(wanted)):
            batch.advance(start + k * steps, 1, steps, output)
            learner.set_bias(state.u_static[0], self._trained, drives[k], instantaneous=self._instantaneous)
            learner.step(rho, state.trace[0], state.ff_trace[0])
            learner.fix_weights(self._plastic_source, projections.plastic_fixed)
            learner.fix_weights(self._ff_source, projections.ff_fixed)
        learner.flush()
        learned = parted(weights, condition, learner.weights)
        self._plastic = learned.plastic
        return Outcome(learned, device.to_host(output.counts)[0, 0], learner.bad())


def make_trials(
    problem: Problem, p0: NDArray[np.float64], weights: NDArray[np.float32], options: LearnerOptions, *, instantaneous: bool
) -> Trials:
    """Learn where the simulator runs, if P can be kept there; else on the processor.

    Parameters
    ----------
    p0 : (input, input)
    weights : (trained, input)
    instantaneous : bool
        Take the static current as it is at each update.

    Raises
    ------
    DeviceError
        If the device has too little memory.

    """
    network, device = problem.simulator.network, problem.simulator.device
    if device is not None and options.storage == "full":
        n_ff = weights.shape[1] - network.plastic_pre.shape[1]
        rule = rule_options(options, n_ff, network.n_plastic_exc)
        pre = np.ascontiguousarray(network.plastic_pre[:: options.pool_size])
        return CudaTrials(problem, Learners(device, p0, weights, pre, rule, options.rank), instantaneous=instantaneous)
    if device is not None:
        logger.warning(
            "trials that learn run on the CPU, not on %s: train.rls.p_storage is %s, and a GPU keeps P in full only",
            device.name,
            options.storage,
        )
    learner = CpuLearner(p0, weights, network.plastic_pre, network.n_plastic_exc, options, problem.threads)
    return CpuTrials(problem, learner, instantaneous=instantaneous)
