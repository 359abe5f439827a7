"""Networks and sequences that the e-prop kernels are tested with."""

from typing import Any

import numpy as np

from fitrec.kernels.eprop import Learned, Neurons, Rule

N_IN, N, N_OUT, STEPS = 12, 16, 2, 150


def network(
    dtype: str, *, reset: int, surrogate: int = 0, threshold: float = 0.6, sizes: tuple[int, int] = (N_IN, N)
) -> tuple[Neurons, Rule, Learned]:
    """Neurons with parameters of their own, half of them adaptive; some synapses are not plastic."""
    (n_in, n), random = sizes, np.random.default_rng(3)
    decay = np.exp(-1 / random.uniform(8, 30, n))
    neurons = Neurons(
        decay=decay.astype(dtype),
        gain=(1 - 0.5 * decay).astype(dtype),
        threshold=random.uniform(0.8 * threshold, 1.2 * threshold, n).astype(dtype),
        adapt_beta=np.where(np.arange(n) < n // 2, 0, 0.2).astype(dtype),
        adapt_decay=np.full(n, np.exp(-1 / 50)).astype(dtype),
        v_min=-1.0,
        v_reset=-0.2,
        refractory_steps=3,
        reset=reset,
        surrogate=surrogate,
        height=0.5,
        width=0.6,
    )
    rule = Rule(kappa=0.9, kappa_reg=0.95, readout_decay=0.92, readout_gain=0.7, c_reg=0.5, target_rate=0.01, cutoff_steps=12)
    learned = Learned(
        w=random.normal(0.1, 0.3, (n_in + n, n)).astype(dtype),
        w_plastic=random.random((n_in + n, n)) < 0.9,
        w_out=random.normal(0, 0.3, (n, N_OUT)).astype(dtype),
        feedback=random.normal(0, 0.3, (N_OUT, n)).astype(dtype),
    )
    return neurons, rule, learned


def task(rate: float = 0.08, *, steps: int = STEPS, n_in: int = N_IN, seed: int = 4) -> tuple[Any, Any]:
    """Inputs and targets of one sequence."""
    random = np.random.default_rng(seed)
    return random.random((steps, n_in)) < rate, random.normal(size=(steps, N_OUT))
