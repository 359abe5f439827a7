"""`rules.EPropPlus` for batches of trials on a device, with the same bits."""

import numpy as np

from fitrec.kernels.cpu.eligibility import NEVER, SLOTS
from fitrec.kernels.cuda import model_gradient as cuda
from fitrec.kernels.cuda.eligibility import Eligibility, TouchedWindow
from fitrec.kernels.cuda.model import Wiring
from fitrec.learn.gradient.device_base import DeviceAdjoints, DeviceGradient, DeviceRuleBase
from fitrec.learn.gradient.rules.e_prop_plus import EPropPlus, stretches
from fitrec.simulate.device_network import DeviceModelNetwork, DeviceTrials


class DeviceEPropPlus(DeviceRuleBase):
    """`rules.EPropPlus`."""

    kind = "e-prop-plus"

    def __init__(self, network: DeviceModelNetwork, rule: EPropPlus) -> None:
        super().__init__(network)
        self._rule = rule

    def begin(self, n_trials: int) -> None:
        """Set all traces to 0."""
        net, shape, rule = self.network, self.network.shape, self._rule
        size, xp, put = len(rule.followed), net.device.xp, net.device.asarray
        sources = shape.n + shape.n_inputs
        self._eligibility = Eligibility(
            rows=self._zeros(n_trials, SLOTS, size, size, shape.width),
            filters=self._zeros(n_trials, SLOTS, shape.filters, size, shape.width),
            vectors=self._zeros(n_trials, size, net.network.plastic.n),
            of_source=self._zeros(n_trials, shape.filters, sources),
            touched=xp.full((n_trials, sources), NEVER, np.int64),
            quiet=xp.full((n_trials, sources), np.iinfo(np.int64).max // 2, np.int64),
            filtered=put(rule.filtered),
            followed=put(rule.followed),
            depends=put(rule.depends),
            driven=put(rule.driven),
            decay=self._zeros(SLOTS, shape.filters),
            slots=np.int32(SLOTS),
            size=np.int32(size),
        )
        self._decay = np.zeros((SLOTS, shape.filters), net.network.dtype)
        self._now = 0

    def add(
        self,
        wiring: Wiring,
        trials: DeviceTrials,
        signals: cuda.Signals,
        gradient: DeviceGradient,
        after: DeviceAdjoints | None = None,
    ) -> None:
        """Add the gradients of trials recorded with their tape, at whose end alone there are learning signals."""
        self._rule.require_signal_at_the_end(trials.n_steps, signals.every, with_spikes=signals.with_spikes)
        if not self._rule.followed.size:
            return
        window = TouchedWindow(self.network.kernels, wiring, trials.inputs, trials.record, signals)
        put = self.network.device.asarray
        for low, high in stretches(trials.n_steps):
            left = self._rule.filter_left(high - low)
            slot, self._decay = self._now % SLOTS, self._decay * left[:, -1]
            self._decay[slot] = left[:, -1]
            self._now += 1
            decay = put(self._decay)
            window.go_on(self._eligibility, decay, put(left), self._now, low, high)
            self._eligibility = self._eligibility._replace(decay=decay)
        window.weigh(self._eligibility, self._now, self._rule.cutoff_steps, gradient.plastic)
