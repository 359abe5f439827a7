"""The random draws of the published set-ups, from NumPy's legacy generator in their order (eprop.md 3.1, 3.2)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitrec.learn.eprop.learners import Sequence
from fitrec.tasks.mersenne import normals

Single = NDArray[np.float32]

SINE_PERIODS = (1000, 500, 333, 200)
CUES, CUE_STEPS, PAUSE_STEPS, DELAY_STEPS, RECALL_STEPS = 7, 100, 50, 1050, 150
EVIDENCE_STEPS = CUES * (CUE_STEPS + PAUSE_STEPS) + DELAY_STEPS + RECALL_STEPS
POPULATION = 10  # inputs: cue 0, cue 1, recall, noise
CUE_PROBABILITY, NOISE_PROBABILITY = 0.04, 0.01


class Weights(NamedTuple):
    """Initial weights: w_in (input, neuron), w_rec (neuron, neuron), w_out (neuron, output), feedback (output, neuron)."""

    w_in: Single
    w_rec: Single
    w_out: Single
    feedback: Single


class Draws(NamedTuple):
    """A task: weights, a function that draws the sequences of the next iteration, given their number, and deviates of neurons."""

    weights: Weights
    batch: Callable[[int], list[Sequence]]
    deviates: NDArray[np.float64] | None = None  # (neuron,) normal, of the membrane time constants; None: they are all alike


def regression(n_steps: int, *, first_inputs: bool, seed: int = 1) -> Draws:
    """Frozen Poisson-like input, a sum of four sines as target: 100 inputs, 100 neurons, 1 output, the same in every iteration.

    Parameters
    ----------
    n_steps : int
        Steps of a sequence.
    first_inputs : bool
        Whether inputs may spike in the first step.
    seed : int
        The published figures have 1.

    """
    random = np.random.RandomState(seed)
    n = 100
    w_in = (random.randn(n, n) / np.sqrt(n)).astype(np.float32)
    w_rec = _recurrent(random, n)
    w_out = (random.randn(n, 1) / np.sqrt(n)).astype(np.float32)
    feedback = (random.randn(n, 1) / np.sqrt(n)).astype(np.float32).T
    inputs = random.rand(n_steps, n) < 0.05
    inputs[0] &= first_inputs
    sequence = Sequence(inputs, _sines(random, n_steps)[:, None])
    return Draws(Weights(w_in, w_rec, w_out, feedback), lambda number: [sequence] * number)


def pattern(coordinates: NDArray[np.float64], *, seed: int = 1) -> Draws:
    """Frozen Poisson-like input, two coordinates (time, 2) as target: 100 inputs, 200 neurons, 2 outputs."""
    random = np.random.RandomState(seed)
    n_in, n, n_out = 100, 200, 2
    w_in = (random.randn(n_in, n) / np.sqrt(n_in)).astype(np.float32)
    w_rec = _recurrent(random, n)
    w_out = (random.randn(n, n_out) / np.sqrt(n)).astype(np.float32)
    feedback = (random.randn(n, n_out) / np.sqrt(n)).astype(np.float32).T
    inputs = random.rand(len(coordinates), n_in) < 0.05
    inputs[0] = False
    sequence = Sequence(inputs, coordinates)
    return Draws(Weights(w_in, w_rec, w_out, feedback), lambda number: [sequence] * number, normals(seed, n))


def classification(*, seed: int = 1) -> Draws:
    """Evidence accumulation: tell which of two cues came more often.

    40 inputs, 100 neurons, 2 outputs; new sequences in every iteration.
    """
    random = np.random.RandomState(seed)
    n_in, n, n_out = 4 * POPULATION, 100, 2
    w_in = (random.randn(n_in, n) / np.sqrt(n_in)).astype(np.float32)
    w_rec = _recurrent(random, n)
    limit = np.sqrt(3 / max(1.0, (n + n_out) / 2))
    w_out = random.uniform(-limit, limit, (n, n_out)).astype(np.float32)
    feedback = random.randn(n, n_out).astype(np.float32).T
    return Draws(Weights(w_in, w_rec, w_out, feedback), lambda number: _evidence(random, number))


def _recurrent(random: np.random.RandomState, n: int) -> Single:
    weights: Single = (random.randn(n, n) / np.sqrt(n)).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return weights


def _sines(random: np.random.RandomState, n_steps: int) -> NDArray[np.float64]:
    """Sum of four sines, from 0, its largest absolute value 1. A period longer than the sequence contributes a constant."""
    amplitudes = random.uniform(0.5, 2, 4)
    phases = random.uniform(0, 2 * np.pi, 4)
    total = np.zeros(n_steps)
    for period, amplitude, phase in zip(SINE_PERIODS, amplitudes, phases, strict=True):
        total += amplitude * np.sin(np.linspace(phase, phase + 2 * np.pi * (n_steps // period), n_steps))
    total -= total[0]
    return np.asarray(total / max(np.abs(total).max(), 1e-6))


def _evidence(random: np.random.RandomState, number: int) -> list[Sequence]:
    sides = random.choice([0, 1], number)
    odds = np.array([[0.3, 0.7], [0.7, 0.3]], dtype=np.float32)
    cues = np.array([random.choice([0, 1], CUES, p=odds[side]) for side in sides])
    probability = np.zeros((number, EVIDENCE_STEPS, 4 * POPULATION))
    for cue in range(CUES):
        start = cue * (CUE_STEPS + PAUSE_STEPS) + PAUSE_STEPS
        for of, which in zip(probability, cues[:, cue], strict=True):
            of[start : start + CUE_STEPS, which * POPULATION : (which + 1) * POPULATION] = CUE_PROBABILITY
    probability[:, -RECALL_STEPS:, 2 * POPULATION : 3 * POPULATION] = CUE_PROBABILITY
    probability[:, :, 3 * POPULATION :] = NOISE_PROBABILITY
    inputs = probability > random.rand(probability.size).reshape(probability.shape)
    inputs[:, 0] = False
    classes = (cues.sum(axis=1) > CUES // 2).astype(np.int64)
    return [Sequence(each, np.eye(2)[np.full(EVIDENCE_STEPS, label)]) for each, label in zip(inputs, classes, strict=True)]
