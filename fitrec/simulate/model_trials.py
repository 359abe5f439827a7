"""Trials of a Network by the kernels compiled from its neurons' equations."""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import ModelError, NetworkError
from fitrec.kernels.cpu import lif, philox
from fitrec.kernels.cpu.feed_forward import feed_forward_events
from fitrec.kernels.cpu.model_state import Events
from fitrec.networks.network import Network
from fitrec.networks.weights import Weights
from fitrec.neurons.compile import CompiledModel, compile_model
from fitrec.neurons.model import Surrogate
from fitrec.neurons.observation import Filter
from fitrec.neurons.source import suggestion
from fitrec.simulate.inputs import condition_inputs
from fitrec.simulate.model_network import ModelNetwork, Recording, Trial
from fitrec.simulate.network_model import port_numbers, trials_model
from fitrec.simulate.network_synapses import plastic_synapses, static_synapses
from fitrec.simulate.record import TrialRecord

F = np.float32


class _Condition(NamedTuple):
    """What the trials of a condition share."""

    inputs: lif.Inputs
    driven: NDArray[np.float32] | None  # currents during the stimulus


class ModelTrials:
    """Runs trials of a network with the kernels compiled from its neurons' equations; safe to use from several threads.

    A network without a model of its own has the library's ``lif``, whose kernels give the bits of the hand-written ones.

    Parameters
    ----------
    network : Network
    trainable : tuple of str
        Parameters of the neurons to differentiate by.
    per_neuron : tuple of str
        Further parameters that may differ between neurons.
    spike_signal : bool
        Whether derivatives by spikes are wanted.
    surrogate : Surrogate, optional
        In place of the model's own.
    observed : Filter, optional
        Neurons observe their own rate so (`fitrec.neurons.observation`).

    """

    def __init__(
        self,
        network: Network,
        *,
        trainable: tuple[str, ...] = (),
        per_neuron: tuple[str, ...] = (),
        spike_signal: bool = False,
        surrogate: Surrogate | None = None,
        observed: Filter | None = None,
    ) -> None:
        if network.static_out_degree:
            raise NetworkError(
                "this network draws its static synapses when they are needed, which compiled neuron models cannot; set "
                "network.balanced.connectivity: stored"
            )
        self.network, self.observed = network, observed
        model, changed = trials_model(network, surrogate, observed)
        self.compiled: CompiledModel = compile_model(
            model, per_neuron=(*changed, *per_neuron), trainable=trainable, spike_signal=spike_signal
        )
        self._changed, self._names = changed, {p.name for p in model.parameters}
        ports = port_numbers(network, model)
        self._n_ff = network.n_feed_forward
        self.model_network = ModelNetwork(
            self.compiled,
            n=network.n_neurons,
            n_inputs=self._n_ff,
            dt_ms=network.dt_ms,
            plastic=plastic_synapses(network, ports),
            static=static_synapses(network, ports),
            changed=changed,
            seed=network.seed,
        )
        self._conditions: dict[int, _Condition] = {}
        self._lock = Lock()
        self.constant = self._currents(np.zeros((1, network.n_neurons), F))

    def values(self, parameter: str) -> NDArray[np.float64]:
        """(neuron,): values of a parameter in the untrained network.

        Raises
        ------
        ModelError
            If there is no such parameter.

        """
        model = self.compiled.model
        if parameter not in self._names:
            raise ModelError(
                f"there is no parameter {parameter!r}{suggestion(parameter, sorted(self._names))}", source=model.name
            )
        value = next(p.value for p in model.parameters if p.name == parameter)
        return np.array(np.broadcast_to(self._changed.get(parameter, value), self.network.n_neurons), np.float64)

    def adopt(self, weights: Weights) -> None:
        """Give the trained neurons the parameters that were trained with these weights."""
        if weights.parameters is not None:
            self.adopt_values(weights.parameter_names or [], weights.parameters)

    def adopt_values(self, names: Sequence[str], values: NDArray[np.float32]) -> None:
        """Give the trained neurons values of some parameters, (parameter, trained)."""
        changed: dict[str, NDArray[np.float64]] = dict(self._changed)
        for name, trained in zip(names, values, strict=True):
            changed[name] = self.values(name)
            changed[name][self.network.trained] = trained
        self.model_network.change(changed)

    def flat_weights(self, weights: Weights, condition: int) -> NDArray[np.float32]:
        """Plastic and the condition's feed-forward weights in the order of the compiled network's synapses."""
        both = np.concatenate((weights.plastic.reshape(-1), weights.feed_forward_of(condition).reshape(-1)))
        return np.ascontiguousarray(both[self.model_network.plastic.order])

    def unflatten(self, flat: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Values per synapse as (trained, input) and (trained, ff)."""
        both = np.empty_like(flat)
        both[self.model_network.plastic.order] = flat
        n_trained, n_inputs = self.network.plastic_pre.shape
        cut = n_trained * n_inputs
        return both[:cut].reshape(n_trained, n_inputs), both[cut:].reshape(n_trained, self._n_ff)

    def inputs(self, condition: int, trial: int) -> Events:
        """Feed-forward spikes of a trial, from its first step on."""
        net = self.network
        given = self._condition(condition).inputs
        indptr, source = feed_forward_events(
            given.ff_probability,
            given.steps_per_ms,
            given.ff_start,
            net.window_start_step + net.window_steps,
            net.n_neurons,
            trial,
            condition,
            net.seed,
        )
        return Events(indptr, source)

    def before_window(self, weights: NDArray[np.float32], inputs: Events, condition: int, trial: int) -> Trial | None:
        """Run a trial up to its window; None if that begins at once."""
        rest = self.model_network.rest(self.initial(condition, trial))
        part: Trial | None = None
        for first, last, current in self.parts_before_window(condition):
            part = self._run(weights, inputs, condition, trial, first, last, part, Recording(), current, rest)
        return part

    def parts_before_window(self, condition: int) -> list[tuple[int, int, NDArray[np.float32]]]:
        """First step and end of the parts of a trial before its window, with their currents."""
        net, driven = self.network, self._condition(condition).driven
        parts = [
            (0, net.stimulus_start_step, self.constant),
            (net.stimulus_start_step, net.window_start_step, self.constant if driven is None else driven),
        ]
        return [part for part in parts if part[1] > part[0]]

    def window(
        self,
        weights: NDArray[np.float32],
        inputs: Events,
        condition: int,
        trial: int,
        before: Trial | None,
        *,
        first: int = 0,
        last: int | None = None,
        tape: NDArray[Any] | None = None,
        rows: tuple[str, ...] = (),
    ) -> Trial:
        """Run steps `first` to `last` of a trial's window, of all of it by default.

        With a `tape` of that length it is kept; the states named in `rows` are recorded at the end.
        """
        net = self.network
        start, end = net.window_start_step + first, net.window_start_step + (net.window_steps if last is None else last)
        rest = self.model_network.rest(self.initial(condition, trial)) if before is None else None
        return self._run(
            weights,
            inputs,
            condition,
            trial,
            start,
            end,
            before,
            Recording(tape=tape is not None, rows=rows, every=end - start),
            self.constant,
            rest,
            tape,
        )

    def record(self, weights: Weights, condition: int, trial: int, *, chunk_steps: int, spikes: bool = False) -> TrialRecord:
        """Run one trial with frozen weights; see `Simulator.run_trial`. Traces and currents are not recorded."""
        flat, inputs = self.flat_weights(weights, condition), self.inputs(condition, trial)
        run = self.window(flat, inputs, condition, trial, self.before_window(flat, inputs, condition, trial))
        none = np.zeros((0, 0), F)
        step, neuron = spike_list(run)
        kept = slice(None) if spikes else slice(0)
        return TrialRecord(
            counts=bin_counts(run, chunk_steps, self.network.n_neurons),
            traces=none,
            ff_traces=none,
            static_current=none,
            spike_step=step[kept],
            spike_neuron=neuron[kept],
        )

    def _run(
        self,
        weights: NDArray[np.float32],
        inputs: Events,
        condition: int,
        trial: int,
        first: int,
        last: int,
        before: Trial | None,
        recording: Recording,
        current: NDArray[np.float32],
        rest: Any,
        tape: NDArray[Any] | None = None,
    ) -> Trial:
        return self.model_network.run(
            weights,
            Events(inputs.indptr[first : last + 1], inputs.source),
            recording=recording,
            current=current,
            state=rest if before is None else None,
            before=before,
            tape=tape,
            first_step=first,
            trial=trial,
            condition=condition,
        )

    def _condition(self, condition: int) -> "_Condition":
        """Return the inputs of a condition, made when first asked for."""
        with self._lock:
            if condition not in self._conditions:
                inputs = condition_inputs(self.network, condition)
                driven = self._currents(inputs.stimulus) if len(inputs.stimulus) else None
                self._conditions[condition] = _Condition(inputs, driven)
            return self._conditions[condition]

    def _currents(self, stimulus: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values of the currents, row by row: the constant drive with the stimulus (row, neuron) on top."""
        model, drive = self.compiled.model, self._drive_name()
        table = np.zeros((len(stimulus), len(model.currents), self.network.n_neurons), F)
        if drive:
            table[:, [c.name for c in model.currents].index(drive)] = self.network.drive + stimulus
        return self.model_network.currents(table)

    def _drive_name(self) -> str:
        return "drive" if self.network.model is None else str(self.network.model["drive"])

    def initial(self, condition: int, trial: int) -> Mapping[str, NDArray[np.float32]]:
        """Random beginning of one state, as `Simulator.initial_state` draws it."""
        net = self.network
        deviates = np.zeros(net.n_neurons, F)
        if net.model is None:
            philox.fill_normal(deviates, trial, condition, 0, net.seed, philox.INITIAL_VOLTAGE)
            for neuron, part in ((net.exc_neuron, slice(0, net.n_exc)), (net.inh_neuron, slice(net.n_exc, None))):
                deviates[part] = deviates[part] * F(neuron.threshold - neuron.reset) + F(neuron.reset)
            return {"v": deviates}
        name = str(net.model["scattered"])
        if not name:
            return {}
        philox.fill_normal(deviates, trial, condition, 0, net.seed, philox.INITIAL_VOLTAGE)
        start = next(s.initial for s in self.compiled.model.states if s.name == name)
        return {name: deviates * F(net.model["scatter"]) + F(start)}


def spike_list(run: Trial) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return steps and neurons of a run's spikes."""
    indptr = run.emitted.indptr
    step = np.repeat(np.arange(run.n_steps, dtype=np.int32), np.diff(indptr))
    return step, run.emitted.source[indptr[0] : indptr[-1]]


def bin_counts(run: Trial, bin_steps: int, n: int) -> NDArray[np.uint16]:
    """(bin, neuron): spikes of a run per bin."""
    bins = run.n_steps // bin_steps
    step, neuron = spike_list(run)
    inside = step < bins * bin_steps
    flat = (step[inside] // bin_steps).astype(np.int64) * n + neuron[inside]
    return np.bincount(flat, minlength=bins * n).astype(np.uint16).reshape(bins, n)
