"""Checks that foresee untrained networks which are silent or saturated, or which nothing can be taught."""

from collections.abc import Iterator

import numpy as np

from fitrec.checks.context import Context
from fitrec.checks.registry import register

# Cortical neurons in a balanced network fire at a few Hz; at such a rate something runs away.
SATURATED_HZ = 100.0
SILENT_HZ = 0.1
# A mean rate over the whole window that no neuron sustains: counts or bins in other units than the configuration says.
IMPLAUSIBLE_HZ = 200.0
# With more of the population trained than this, hardly any neuron is left to match rates with.
CROWDED = 0.95


@register("BEST_PRACTICE_VIOLATION")
def something_drives(context: Context) -> Iterator[str]:
    """Constant drive or noise makes the untrained network fire."""
    from fitrec.targets.siegert import rate

    if _driven(context) or context.run.network.model is not None:  # of other neurons it is not known what drives them
        return
    network = context.run.network
    neurons = [network.neuron] + ([network.neuron_inh] if network.neuron_inh else [])
    alone_hz = [float(rate(0.0, n.sigma, n.tau_m_ms, n.threshold, n.reset)) if n.sigma > 0 else 0.0 for n in neurons]
    if max(alone_hz) < SILENT_HZ:
        yield (
            "the untrained network stays silent: its constant drive is 0 or negative, or multiplied by network.balanced.k = 0, "
            f"and by the noise alone (network.neuron.sigma = {network.neuron.sigma:g}) neurons fire at {max(alone_hz):.2g} Hz; "
            "raise network.balanced.drive_exc and k, or sigma"
        )


@register("BEST_PRACTICE_VIOLATION")
def balanced_state(context: Context) -> Iterator[str]:
    """The balance equations have a solution with moderate rates (van Vreeswijk & Sompolinsky 1998).

    For many connections the mean input of both populations vanishes to leading order:
    ``drive_exc + 2 tau_m (j_ee r_e - j_ei r_i) = 0`` and ``drive_inh + 2 tau_m (j_ie r_e - j_ii r_i) = 0``.
    """
    network = context.run.network
    wiring = network.balanced
    if not _driven(context) or network.model is not None:
        return
    determinant = wiring.j_ei * wiring.j_ie - wiring.j_ee * wiring.j_ii
    if determinant <= 0:
        yield (
            f"excitation is stronger than inhibition (j_ei j_ie = {wiring.j_ei * wiring.j_ie:g} is not above j_ee j_ii = "
            f"{wiring.j_ee * wiring.j_ii:g} in network.balanced), so that the network runs away; raise j_ei or j_ie"
        )
        return
    scale = 1e3 / (2 * network.neuron.tau_m_ms * determinant)
    exc_hz = (wiring.drive_exc * wiring.j_ii - wiring.drive_inh * wiring.j_ei) * scale
    inh_hz = (wiring.drive_exc * wiring.j_ie - wiring.drive_inh * wiring.j_ee) * scale
    if min(exc_hz, inh_hz) <= 0:
        yield (
            f"the drives and weights of network.balanced allow no balanced state (the equations give E {exc_hz:.1f} Hz, I "
            f"{inh_hz:.1f} Hz), so that {'E' if exc_hz <= 0 else 'I'} neurons hardly fire; drive_exc / drive_inh should be above "
            "j_ei / j_ii, and that above j_ee / j_ie"
        )
    elif max(exc_hz, inh_hz) > SATURATED_HZ:
        yield (
            f"the balance equations of network.balanced give E {exc_hz:.0f} Hz and I {inh_hz:.0f} Hz for the untrained network; "
            "lower drive_exc and drive_inh"
        )


@register("BEST_PRACTICE_VIOLATION")
def conditions_differ(context: Context) -> Iterator[str]:
    """The network is told which condition it is in."""
    network = context.run.network
    silent_stimulus = network.stimulus.sd == 0 or network.stimulus.duration_ms == 0
    if context.targets is None or context.targets.is_continuous or len(context.targets.condition_names) < 2:
        return
    if silent_stimulus and network.feed_forward.n_inputs == 0:
        yield (
            f"the network cannot tell the {len(context.targets.condition_names)} conditions apart: there is neither a stimulus "
            f"(network.stimulus has duration_ms = {network.stimulus.duration_ms:g}, sd = {network.stimulus.sd:g}) nor a "
            "feed-forward input (network.feed_forward.n_inputs = 0); give it one of them"
        )


@register("CRITICAL")
def something_to_train(context: Context) -> Iterator[str]:
    """Trained neurons have plastic inputs."""
    network = context.run.network
    recorded = context.run.targets.continuous is not None
    if network.plastic.n_exc + network.plastic.n_inh + network.feed_forward.n_inputs == 0 and not recorded:
        yield "network.plastic.n_exc, n_inh and network.feed_forward.n_inputs are all 0: there is no weight to train; raise one"


@register("BEST_PRACTICE_VIOLATION")
def plausible_rates(context: Context) -> Iterator[str]:
    """Recorded rates are those of neurons."""
    if context.targets is None:
        return
    rates = np.nanmean(context.targets.rate_hz, axis=(0, 1))
    high = rates > IMPLAUSIBLE_HZ
    if high.any():
        ids = context.targets.units["unit_id"].to_numpy()
        yield (
            f"{int(high.sum())} units have mean rates above {IMPLAUSIBLE_HZ:g} Hz (unit {ids[rates.argmax()]}: "
            f"{rates.max():.0f} Hz); is the bin width of the recording (ingest.arrays.bin_size_s) right?"
        )


@register("SUGGESTION")
def room_to_match_rates(context: Context) -> Iterator[str]:
    """There are clearly more model neurons than units when neurons are chosen by their rates."""
    trained, neurons = context.n_trained, context.n_candidates
    if context.run.network.assignment.method == "rate_matched" and CROWDED * neurons < trained <= neurons:
        yield (
            f"{trained} of {neurons} neurons are trained, so that few are left to choose from by their rates; enlarge "
            "network.balanced, or keep fewer units"
        )


def _driven(context: Context) -> bool:
    wiring = context.run.network.balanced
    return wiring.k > 0 and max(wiring.drive_exc, wiring.drive_inh) > 0
