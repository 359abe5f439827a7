"""How close each gradient rule comes to backpropagation through time, on the networks that Wang et al. 2026 are measured on.

Two ways of counting stand beside each other. ``once``: the learning signals are the derivatives of the loss. ``published``: those
of the published program's single-step mode, whose learning signal is the derivative by a perturbation of every hidden state, so
that a spike, which the perturbed voltage, the spike itself and the counter all lead to, is seen two (M1) or three times (M2) in
the step in which it falls; and in M1 the readout's memory is not followed. Its figures come out to the last digit then, the norm
of 0.9 included: it is no better gradient, it is one that counts some of its terms three times.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.bench.anchors import Anchor, fly, raster_of, readout
from fitrec.kernels.cuda.device import Device
from fitrec.learn.gradient.device_rules import device_rule, device_signals
from fitrec.learn.gradient.rules import Bptt, DRtrl, LocalAdjoint, PpProp, Rule, Signals
from fitrec.simulate.device_network import DeviceModelNetwork
from fitrec.simulate.model_network import Recording, Trial

DECAYS = {"M1": (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99), "M2": (0.5, 0.9, 0.95, 0.98, 0.99), "fly": (0.9, 0.99, 0.999, 0.9999)}
TIMES_COUNTED = {"M1": 2, "M2": 3}
LOSSES = {"M1": 27.815, "M2": 27.815, "fly": 781.854}
# Cosine and norm of w_in and of w_rec as published (pp_prop.md 5.3, 5.4); float keys are decays of pp-prop.
_Cells = tuple[float, float, float, float]
PUBLISHED: dict[str, dict[str | float, _Cells]] = {
    "M1": {
        "d-rtrl": (0.8154, 0.1499, 0.8143, 0.1551),
        "d-rtrl, multi-step": (0.8278, 0.0755, 0.8264, 0.0781),
        0.0: (0.7308, 0.0082, 0.6437, 0.0097),
        0.5: (0.7514, 0.0152, 0.6778, 0.0176),
        0.8: (0.7816, 0.0324, 0.7387, 0.0362),
        0.9: (0.8032, 0.0527, 0.7855, 0.0565),
        0.95: (0.8164, 0.0771, 0.8142, 0.0797),
        0.98: (0.8159, 0.1082, 0.8194, 0.1071),
        0.99: (0.8076, 0.1261, 0.8110, 0.1212),
    },
    "M2": {
        "d-rtrl": (0.8192, 0.8912, 0.8259, 0.9027),
        "d-rtrl, multi-step": (0.8198, 0.7432, 0.8274, 0.7501),
        0.5: (0.7535, 0.0288, 0.6800, 0.0334),
        0.9: (0.8027, 0.1911, 0.7847, 0.2051),
        0.95: (0.8158, 0.3424, 0.8133, 0.3539),
        0.98: (0.8161, 0.5642, 0.8200, 0.5592),
        0.99: (0.8082, 0.6999, 0.8124, 0.6741),
    },
    "fly": {
        "d-rtrl": (1.0, 1.0, 1.0, 1.0),
        0.9: (0.389, 5.2e-4, 0.327, 3.5e-4),
        0.99: (0.7355, 0.0223, 0.8721, 0.0174),
        0.999: (0.9769, 0.262, 0.9900, 0.254),
        0.9999: (0.9929, 0.279, 0.9931, 0.274),
    },
}


class _Measured:
    """A trial of one of the networks, of which rules take gradients: on a device, or on the CPU, with the same bits."""

    def __init__(self, anchor: Anchor, device: Device | None) -> None:
        self.anchor, recording = anchor, Recording(tape=True, rows=anchor.rows)
        self.trial = anchor.net.run(anchor.weights, anchor.inputs, recording=recording)
        self._network = None if device is None else DeviceModelNetwork(device, anchor.net)
        if self._network is not None:
            self._wiring = self._network.wiring(anchor.weights)
            self._there = self._network.run(self._wiring, [anchor.inputs], recording=recording, trials=[0])

    def gradient(self, rule: Rule, signals: Signals) -> dict[str, NDArray[Any]]:
        """Return the gradient by each part of the weights; that of BPTT, to compare with, is the CPU's."""
        if self._network is None or isinstance(rule, Bptt):
            summed = rule.new_gradient()
            rule.add(self.anchor.weights, self.trial, signals, summed)
            return self.anchor.parts(summed.plastic)
        made = device_rule(self._network, rule)
        gradient = made.new_gradient(1)
        made.begin(1)
        made.add(self._wiring, self._there, device_signals(rule, [signals], self._network), gradient)
        return self.anchor.parts(self._network.device.to_host(gradient.plastic[0]))


def run(device: Device | None = None) -> dict[str, Any]:
    """Compare all rules on the three networks.

    Parameters
    ----------
    device : Device, optional
        That takes the gradients that are compared with BPTT's; by default the CPU.

    Returns
    -------
    dict
        ``rows``: model, rule, decay of pp-prop, counting (see above), cosine and norm ratio against BPTT for ``w_in`` and
        ``w_rec``, and for ``w_out``, which is the same for all rules; the published row, if there is one.
        ``loss``: of each model, with the published one, to tell that the networks are the same.

    """
    models = {"M1": readout(50, 100, 3, 200, inside=False), "M2": readout(50, 100, 3, 200, inside=True), "fly": fly()}
    rows, losses = [], {}
    for name, anchor in models.items():
        of_model, loss = compare(name, anchor, device)
        losses[name] = {"found": loss, "published": LOSSES[name]}
        rows += of_model
    return {"rows": rows, "loss": losses}


def compare(name: str, anchor: Anchor, device: Device | None) -> tuple[list[dict[str, Any]], float]:
    """Return the rows of one of the networks (see `run`), and its loss."""
    measured, rows = _Measured(anchor, device), []
    trial = measured.trial
    once = anchor.learn(trial, 1)
    w_out = None if name == "fly" else _compare(once.w_out, _readout_gradient(trial, once.error))
    # The fly-like network's recurrent spikes are detached in the published program: cut, as with us.
    exact = measured.gradient(LocalAdjoint(anchor.net) if name == "fly" else Bptt(anchor.net), once.signals)
    signals = {"once": once.signals}
    if name in TIMES_COUNTED:
        signals["published"] = anchor.learn(trial, TIMES_COUNTED[name]).signals
        signals["once, one step through recurrent weights"] = _one_step_further(anchor, trial, name == "M2")
    for counting, given in signals.items():
        for label, rule in _rules(anchor, name, further="step" in counting).items():
            rows.append(_row(name, label, counting, measured.gradient(rule, given), exact) | {"w_out": w_out})
    return rows, once.loss


def _rules(anchor: Anchor, name: str, further: bool) -> dict[str | float, Rule]:
    rules: dict[str | float, Rule] = {"local-adjoint": LocalAdjoint(anchor.net)}
    if further:
        return rules
    rules["d-rtrl"] = DRtrl(anchor.net)
    return rules | {d: PpProp(anchor.net, decay_pre=d, decay_post=d) for d in DECAYS[name]}


def _one_step_further(anchor: Anchor, trial: Trial, inside: bool) -> Signals:
    """Signals of the published program's multi-step mode: the error of a step is followed through the recurrent weights, once."""
    net, once, again = anchor.net, anchor.learn(trial, 1).signals, anchor.learn(trial, 2).signals
    assert again.spikes is not None
    at_once = again.spikes if inside else again.spikes / 2
    voltage = net.run(anchor.weights, anchor.inputs, recording=Recording(rows=("v",))).sampled[:, 0]
    psi = 0.3 * np.maximum(0, 1 - np.abs(voltage - 1))
    w_rec = anchor.weights.reshape(net.n_inputs + net.n, net.n)[: net.n]
    further = np.zeros_like(at_once)
    further[:-1] = (at_once * psi)[1:] @ w_rec.T
    return Signals(rows=once.rows, states=once.states, spikes=further) if inside else Signals(spikes=at_once + further)


def _row(
    model: str,
    label: str | float,
    counting: str,
    found: dict[str, NDArray[Any]],
    exact: dict[str, NDArray[Any]],
) -> dict[str, Any]:
    pp = isinstance(label, float)
    published: _Cells | None = None
    if "step" in counting:
        published = PUBLISHED[model]["d-rtrl, multi-step"]
    elif counting == "published" or model == "fly":
        published = PUBLISHED[model].get(label if pp else "d-rtrl")
    return {
        "model": model,
        "rule": "pp-prop" if pp else label,
        "decay": label if pp else None,
        "counting": counting,
        **{part: _compare(found[part], exact[part]) for part in ("w_in", "w_rec")},
        "published": None
        if published is None
        else {
            "w_in": {"cosine": published[0], "norm": published[1]},
            "w_rec": {"cosine": published[2], "norm": published[3]},
        },
    }


def _readout_gradient(trial: Trial, error: NDArray[Any]) -> NDArray[Any]:
    """Gradient of the readout's weights, summed up forward in time with the readout's own trace of the spikes."""
    n = int(trial.sampled.shape[2])
    raster = raster_of(trial, n)
    trace, gradient = np.zeros(n), np.zeros((n, error.shape[1]))
    for spikes, e in zip(raster, error, strict=True):
        trace = 0.9 * trace + spikes
        gradient += np.outer(trace, e)
    return gradient


def _compare(found: NDArray[Any], exact: NDArray[Any]) -> dict[str, float]:
    norms = float(np.linalg.norm(found)), float(np.linalg.norm(exact))
    return {"cosine": float((found * exact).sum()) / (norms[0] * norms[1]), "norm": norms[0] / norms[1]}
