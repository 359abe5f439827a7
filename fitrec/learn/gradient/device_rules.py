"""The gradient rules of `rules` for batches of trials on a device, with the same bits."""

from typing import Any

import numpy as np

from fitrec.kernels.cpu.model_loop import left_of_arrivals
from fitrec.kernels.cuda import model_gradient as cuda
from fitrec.kernels.cuda.model import Wiring
from fitrec.learn.gradient.device_base import DeviceAdjoints, DeviceGradient, DeviceRule, DeviceRuleBase
from fitrec.learn.gradient.device_e_prop_plus import DeviceEPropPlus
from fitrec.learn.gradient.rules import Bptt, DRtrl, EPropPlus, LocalAdjoint, PpProp, Rule, Signals
from fitrec.learn.gradient.rules.pp_prop import trace_correction
from fitrec.simulate.device_network import DeviceModelNetwork, DeviceTrials


class DeviceLocalAdjoint(DeviceRuleBase):
    """`rules.LocalAdjoint`."""

    goes_back = True

    def add(
        self,
        wiring: Wiring,
        trials: DeviceTrials,
        signals: cuda.Signals,
        gradient: DeviceGradient,
        after: DeviceAdjoints | None = None,
    ) -> None:
        """Add the gradients of trials recorded with their tape."""
        after = self._nothing(trials.n_trials) if after is None else after
        sums = self._sums(trials.n_trials)
        self._go_back(self._window(wiring, trials, signals), after, sums, gradient.plastic)
        cuda.add_trials(self.network.kernels, sums.reshape(1, -1), gradient.parameters.reshape(-1))

    def look_back(self, wiring: Wiring, trials: DeviceTrials, signals: cuda.Signals) -> DeviceAdjoints:
        """Return what comes from a window to the time before it."""
        before, sums = self._nothing(trials.n_trials), self._sums(trials.n_trials)
        self._go_back(self._window(wiring, trials, signals), before, sums, None)
        return before

    def _go_back(self, window: cuda.Window, adjoints: DeviceAdjoints, sums: Any, gradient: Any) -> None:
        window.go_back(adjoints.rows, adjoints.filters, sums, gradient)

    def _nothing(self, n: int, delay: int = 0) -> DeviceAdjoints:
        shape = self.network.shape
        return DeviceAdjoints(
            rows=self._zeros(n, shape.rows * shape.width),
            filters=self._zeros(n, shape.filters * shape.width),
            arriving=self._zeros(n, delay, shape.ports * shape.width),
        )

    def _sums(self, n: int) -> Any:
        return self._zeros(n, self.network.shape.trainable * self.network.shape.width)


class DeviceBptt(DeviceLocalAdjoint):
    """`rules.Bptt`."""

    kind = "bptt"

    def _go_back(self, window: cuda.Window, adjoints: DeviceAdjoints, sums: Any, gradient: Any) -> None:
        window.go_back_through_time(adjoints.rows, adjoints.filters, adjoints.arriving, sums, gradient)

    def _nothing(self, n: int, delay: int = 0) -> DeviceAdjoints:
        return super()._nothing(n, self.network.shape.delay)


class DevicePpProp(DeviceRuleBase):
    """`rules.PpProp`."""

    kind = "pp-prop"

    def __init__(self, network: DeviceModelNetwork, rule: PpProp) -> None:
        super().__init__(network)
        self._decay_pre, self._decay_post = rule.decay_pre, rule.decay_post
        self._filter_decay = rule.filter_decay()
        self._on_device = network.device.asarray(self._filter_decay)

    def begin(self, n_trials: int) -> None:
        """Set all traces to 0."""
        shape = self.network.shape
        self._post = self._zeros(n_trials, shape.ports, shape.rows * shape.width)
        self._pre = self._zeros(n_trials, 2, shape.ports, shape.n + shape.n_inputs)
        self._steps = 0

    def add(
        self,
        wiring: Wiring,
        trials: DeviceTrials,
        signals: cuda.Signals,
        gradient: DeviceGradient,
        after: DeviceAdjoints | None = None,
    ) -> None:
        """Add the gradients of trials recorded with their tape; what comes after has its part in later windows."""
        n_steps, put = trials.n_steps, self.network.device.asarray
        every = 1 if signals.with_spikes else signals.every
        correction = trace_correction(self._decay_post, self._steps, n_steps, every)
        left = left_of_arrivals(self._decay_pre, self._filter_decay, n_steps)
        self._window(wiring, trials, signals).products(
            cuda.Postsynaptic(self._decay_post, put(correction), self._post),
            cuda.Presynaptic(self._decay_pre, self._on_device, put(left), self._pre),
            gradient.plastic,
        )
        self._steps += n_steps


class DeviceDRtrl(DeviceRuleBase):
    """`rules.DRtrl`."""

    kind = "d-rtrl"

    def __init__(self, network: DeviceModelNetwork, rule: DRtrl) -> None:
        super().__init__(network)
        self._cutoff = np.int64(rule.cutoff_steps)
        self._filter_decay = network.device.asarray(rule.filter_decay())
        self._source = network.device.asarray(network.network.plastic.source())

    def begin(self, n_trials: int) -> None:
        """Set all traces to 0."""
        net, shape = self.network, self.network.shape
        self._traces = self._zeros(n_trials, shape.rows, net.network.plastic.n)
        self._filter = self._zeros(n_trials, shape.ports, shape.n + shape.n_inputs)
        self._quiet = net.device.xp.full((n_trials, shape.n + shape.n_inputs), np.iinfo(np.int64).max // 2, np.int64)

    def add(
        self,
        wiring: Wiring,
        trials: DeviceTrials,
        signals: cuda.Signals,
        gradient: DeviceGradient,
        after: DeviceAdjoints | None = None,
    ) -> None:
        """Add the gradients of trials recorded with their tape; what comes after has its part in later windows."""
        new_filter, new_quiet = self._filter.copy(), self._quiet.copy()
        followed = cuda.Synaptic(
            traces=self._traces,
            filter=self._filter,
            new_filter=new_filter,
            quiet=self._quiet,
            new_quiet=new_quiet,
            source=self._source,
            filter_decay=self._filter_decay,
            cutoff=self._cutoff,
        )
        self._window(wiring, trials, signals).follow(followed, gradient.plastic)
        self._filter, self._quiet = new_filter, new_quiet


def device_rule(network: DeviceModelNetwork, rule: Rule) -> DeviceRule:
    """Return the form that a rule has on a device."""
    if isinstance(rule, LocalAdjoint):
        return DeviceLocalAdjoint(network)
    if isinstance(rule, Bptt):
        return DeviceBptt(network)
    if isinstance(rule, PpProp):
        return DevicePpProp(network, rule)
    if isinstance(rule, EPropPlus):
        return DeviceEPropPlus(network, rule)
    assert isinstance(rule, DRtrl)
    return DeviceDRtrl(network, rule)


def device_signals(rule: Any, signals: list[Signals], network: DeviceModelNetwork) -> cuda.Signals:
    """Put the signals of some trials on the device, checked and padded by `rule`; one serves for all trials."""
    signals = [rule.with_a_path(s) for s in signals]
    first, dtype = signals[0], network.network.dtype
    put = network.device.asarray
    states = [rule.padded(s.states) if s.rows else np.zeros((0, 0), dtype) for s in signals]
    return cuda.Signals(
        rows=put(rule.row_numbers(first.rows)),
        states=put(np.stack(states)),
        every=first.every,
        spikes=put(np.stack([rule.spike_signal(s) for s in signals])),
        spikes_every=first.spikes_every,
    )


def spike_signals(by_spike: Any, every: int, network: DeviceModelNetwork) -> cuda.Signals:
    """Return signals by spikes alone, (row, padded) on the device: a row for `every` steps, the same for all trials."""
    xp, dtype = network.device.xp, network.network.dtype
    states = xp.zeros((1, 0, 0), dtype)
    return cuda.Signals(rows=xp.zeros(0, np.int64), states=states, every=1, spikes=by_spike[None], spikes_every=every)
