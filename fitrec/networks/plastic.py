"""Plastic inputs of the trained neurons, and which neuron is trained for which unit."""

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import NetworkError
from fitrec.kernels.cpu.wiring import PLASTIC_EXC_WIRING, PLASTIC_INH_WIRING
from fitrec.kernels.cuda.device import Device
from fitrec.networks.rows import sample_rows


def assign_neurons(
    method: str, unit_rate_hz: NDArray[np.float64], neuron_rate_hz: NDArray[np.float32], candidates: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Choose a model neuron for each unit.

    Parameters
    ----------
    method : {"rate_matched", "one_to_one"}
        ``rate_matched``: units in order of falling mean rate, each takes the unused candidate with the nearest untrained rate
        (Kim et al. 2023); ``one_to_one``: unit i takes candidate i.
    unit_rate_hz : (unit,)
    neuron_rate_hz : (neuron,)
    candidates : (candidate,)
        Neurons that may stand for units, ascending.

    Returns
    -------
    (unit,) int32
        Neuron of each unit.

    """
    n_units = len(unit_rate_hz)
    if n_units > len(candidates):
        raise NetworkError(
            f"the targets hold {n_units} units to be trained, but only {len(candidates)} model neurons may stand for them; "
            f"enlarge network.balanced, set network.assignment.population to all, or keep fewer units (ingest.units.max_units)"
        )
    if method == "one_to_one":
        return candidates[:n_units].copy()
    chosen = np.empty(n_units, np.int32)
    order = np.argsort(neuron_rate_hz[candidates], kind="stable")
    rates = neuron_rate_hz[candidates][order].astype(np.float64)
    free = np.ones(len(order), bool)
    for unit in np.argsort(-unit_rate_hz, kind="stable"):
        distance = np.where(free, np.abs(rates - unit_rate_hz[unit]), np.inf)
        nearest = int(np.argmin(distance))
        free[nearest] = False
        chosen[unit] = candidates[order[nearest]]
    return chosen


def plastic_inputs(
    *,
    trained: NDArray[np.int32],
    n_exc: int,
    n_inh: int,
    inputs_exc: int,
    inputs_inh: int,
    exc_sources: str,
    seed: int,
    pool_size: int = 1,
    threads: int | None = None,
    device: Device | None = None,
) -> NDArray[np.int32]:
    """Draw the presynaptic neurons of each trained neuron without replacement and without autapse.

    With a `pool_size` above 1 that many consecutive trained neurons have the inputs drawn for the first of them; the others may
    then feed themselves. The draws are the same for any number of threads, and on a device.

    Returns
    -------
    (trained, inputs_exc + inputs_inh) int32
        E sources first, ascending within each kind.

    """
    exc_pool = np.sort(trained[trained < n_exc]) if exc_sources == "trained" else np.arange(n_exc, dtype=np.int32)
    inh_pool = np.arange(n_exc, n_exc + n_inh, dtype=np.int32)
    n_trained, trained = len(trained), trained[::pool_size]
    pre = np.empty((len(trained), inputs_exc + inputs_inh), np.int32)
    parts = ((exc_pool, inputs_exc, PLASTIC_EXC_WIRING, 0, "exc"), (inh_pool, inputs_inh, PLASTIC_INH_WIRING, inputs_exc, "inh"))
    for pool, count, stream, first, name in parts:
        if count >= max(len(pool), 1):
            raise NetworkError(
                f"plastic.n_{name} = {count} asks for more different inputs than the {len(pool)} neurons of its pool allow (one "
                f"less, as no neuron feeds itself); lower it to at most {max(len(pool) - 1, 0)}"
            )
        position = np.searchsorted(pool, trained)
        inside = (position < len(pool)) & (pool[np.minimum(position, len(pool) - 1)] == trained)
        excluded = np.where(inside, position, -1)
        sample_rows(pre[:, first : first + count], pool, excluded, stream, 0, seed, threads, device)
    return pre if pool_size == 1 else np.repeat(pre, pool_size, axis=0)[:n_trained]
