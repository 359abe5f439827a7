"""Balanced random E/I wiring, weights of order 1/sqrt(K) (van Vreeswijk & Sompolinsky 1998; parameters of Kim et al. 2023)."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu.wiring import STATIC_WIRING
from fitrec.kernels.cuda.device import Device
from fitrec.networks.limits import require_out_degree, require_partners
from fitrec.networks.rows import sample_rows, transpose_rows

# Factors of the static weights in Kim et al. 2023 and TrainSpikingNet, for `balanced_projection`.
PUBLISHED_FACTORS = {"j_ee": 0.15, "j_ie": 1.0, "j_ei": 0.75, "j_ii": 1.0}


@dataclass(frozen=True, kw_only=True)
class StaticProjection:
    """Static synapses as CSR by presynaptic neuron, or procedural: then the CSR has no synapses.

    Attributes
    ----------
    indptr : (neuron + 1,) int64
    indices : (synapse,) int32
        Postsynaptic neurons, ascending within a row.
    weight : (synapse,) float32
        Charge in threshold x ms; negative from inhibitory neurons.
    out_degree : int
        Targets per neuron of procedural wiring; 0 when the synapses are stored.
    pair_weight : list or None
        Weights of procedural wiring, E to E, E to I, I to E, I to I.

    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    weight: NDArray[np.float32]
    out_degree: int = 0
    pair_weight: list[float] | None = None

    def network_fields(self) -> dict[str, Any]:
        """Return the fields of a Network that hold these synapses."""
        return {
            "static_indptr": self.indptr,
            "static_indices": self.indices,
            "static_weight": self.weight,
            "static_out_degree": self.out_degree,
            "static_pair_weight": self.pair_weight,
        }


def no_projection(n: int) -> StaticProjection:
    """Return the static projection of `n` neurons without static synapses."""
    return StaticProjection(indptr=np.zeros(n + 1, np.int64), indices=np.zeros(0, np.int32), weight=np.zeros(0, np.float32))


def balanced_projection(
    *,
    n_exc: int,
    n_inh: int,
    k: int,
    degree: str,
    gain: float,
    j_ee: float,
    j_ie: float,
    j_ei: float,
    j_ii: float,
    tau_m_ms: float,
    seed: int,
    connectivity: str = "stored",
    threads: int | None = None,
    device: Device | None = None,
) -> StaticProjection:
    """Draw the static wiring, or, if it is procedural, say how it will be drawn.

    With ``degree="out"`` every neuron has exactly 2k targets among all other neurons; with ``"in"`` every neuron receives exactly
    k E and k I synapses. No autapses, no multiple synapses. Weights are ``j * 2 g tau_m / sqrt(k)``, negative from I neurons
    (rls.md 1.2). With ``connectivity="procedural"``, for ``degree="out"`` only, nothing is stored. Stored synapses are drawn on
    all threads, or on the device; they do not depend on either.

    Raises
    ------
    NetworkError
        If the degree exceeds the number of other neurons.

    """
    n = n_exc + n_inh
    if k == 0:
        return no_projection(n)
    require_partners(n_exc=n_exc, n_inh=n_inh, k=k, degree=degree)
    # From E and from I neurons (rows) onto E and onto I neurons.
    pair_weight = (np.array([[j_ee, j_ie], [-j_ei, -j_ii]]) * (2.0 * gain * tau_m_ms / np.sqrt(k))).astype(np.float32)
    if connectivity == "procedural":
        require_out_degree(degree)
        return replace(no_projection(n), out_degree=2 * k, pair_weight=pair_weight.ravel().tolist())
    everyone = np.arange(n, dtype=np.int32)
    if degree == "out":
        wanted = 2 * k
        targets = np.empty((n, wanted), np.int32)
        sample_rows(targets, everyone, np.arange(n), STATIC_WIRING, 0, seed, threads, device)
        indptr = np.arange(n + 1, dtype=np.int64) * wanted
        indices = targets.ravel()
    else:
        sources = np.empty((n, 2 * k), np.int32)
        of_exc, of_inh = np.full(n, -1), np.full(n, -1)
        of_exc[:n_exc] = np.arange(n_exc)
        of_inh[n_exc:] = np.arange(n_inh)
        sample_rows(sources[:, :k], everyone[:n_exc], of_exc, STATIC_WIRING, 0, seed, threads, device)
        sample_rows(sources[:, k:], everyone[n_exc:], of_inh, STATIC_WIRING, n, seed, threads, device)
        indptr, indices, _ = transpose_rows(sources, n, slots=False, threads=threads)
    onto_inh, first_of_inh = indices >= n_exc, indptr[n_exc]
    weight = np.where(onto_inh, *pair_weight[0, ::-1])
    weight[first_of_inh:] = np.where(onto_inh[first_of_inh:], *pair_weight[1, ::-1])
    return StaticProjection(indptr=indptr, indices=indices, weight=weight)


def balanced_drive(*, n_exc: int, n_inh: int, k: int, gain: float, drive_exc: float, drive_inh: float) -> NDArray[np.float32]:
    """Return the constant drive of each neuron, ``drive * g sqrt(k)`` (threshold units); zero without static synapses."""
    scale = gain * np.sqrt(k)
    return np.concatenate([np.full(n_exc, drive_exc * scale), np.full(n_inh, drive_inh * scale)]).astype(np.float32)
