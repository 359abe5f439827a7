"""f-I curve of isolated neurons: the membrane equation of the time loop without the network."""

import numpy as np
from numba import njit

from fitrec.kernels.cpu.math import fma
from fitrec.kernels.cpu.noise import deviate


@njit(nogil=True, cache=True)
def count_spikes(drives, current, noise, decay_v, gain_x, gain_s, threshold, reset, refractory_steps, skip, replica, seed):
    """Spikes of one neuron per value of `drives` under the same fluctuating current and the same noise.

    Parameters
    ----------
    drives : (point,) float32
        Constant drives.
    current : (step,) float32
        Fluctuating synaptic current, in threshold units.
    noise : float32
        Standard deviation of the voltage noise per step.
    skip : int
        Steps at the beginning that are not counted.
    replica : int
        Counter of the noise.

    Returns
    -------
    (point,) int64

    """
    n = drives.shape[0]
    v = np.empty(n, np.float32)
    v[:] = reset
    waiting = np.zeros(n, np.int32)
    spikes = np.zeros(n, np.int64)
    for step in range(current.shape[0]):
        kick = noise * deviate(replica, step, 0, 0, seed) if noise > 0 else np.float32(0.0)
        input_now = gain_s * current[step]
        for i in range(n):
            ready = waiting[i] == 0
            vi = v[i] + kick
            vi = fma(decay_v, vi, fma(gain_x, drives[i], input_now)) if ready else vi
            fires = ready and vi > threshold
            v[i] = reset if fires else vi
            waiting[i] = refractory_steps if fires else (np.int32(0) if ready else waiting[i] - np.int32(1))
            spikes[i] += np.int64(fires and step >= skip)
    return spikes
