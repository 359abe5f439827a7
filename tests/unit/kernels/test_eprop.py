"""The e-prop kernels: numba equals the reference, the published surrogate values, what the cutoff leaves alone."""

import numpy as np
import pytest

from fitrec.kernels.cpu import eprop as cpu
from fitrec.kernels.cpu import eprop_plus as cpu_plus
from fitrec.kernels.eprop import FeedbackRule, Neurons, Surrogate, beginning, rest
from fitrec.kernels.optimise import Optimization
from fitrec.kernels.reference import eprop as reference
from fitrec.kernels.reference import eprop_plus as reference_plus
from fitrec.kernels.reference.eprop_neurons import step
from tests.eprop_cases import N_IN, STEPS, N, network, task


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-11), ("float32", 1e-4)])
@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("surrogate", list(Surrogate))
def test_interval_equals_the_reference(dtype: str, tolerance: float, softmax: bool, surrogate: Surrogate) -> None:
    neurons, rule, learned = network(dtype, reset=0, surrogate=int(surrogate))
    inputs, targets = task()
    late = np.arange(N_IN) % 3 == 0
    found, wanted = (form.interval(neurons, rule, learned, inputs, targets, late, 60, softmax) for form in (cpu, reference))
    assert wanted.spikes.sum() > 50
    np.testing.assert_array_equal(found.spikes, wanted.spikes)
    for name in ("y", "output", "gradient", "gradient_out"):
        a, b = getattr(found, name), getattr(wanted, name)
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())
    assert not found.gradient[~learned.w_plastic].any()


def test_only_late_inputs_lose_the_last_learning_signal() -> None:
    neurons, rule, learned = network("float64", reset=0)
    inputs, targets = task()
    late = np.arange(N_IN) == 5
    with_loss, without = (
        cpu.interval(neurons, rule, learned, inputs, targets, mask, 60, False).gradient for mask in (late, np.zeros_like(late))
    )
    differs = (with_loss != without).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(differs), [5])


@pytest.mark.parametrize("optimizer", [0, 1])
@pytest.mark.parametrize("reset", [1, 2])
@pytest.mark.parametrize("feedback", [0, 1, 2])
def test_sequence_equals_the_reference(optimizer: int, reset: int, feedback: int) -> None:
    inputs, targets = task(0.05)
    optimization = Optimization(optimizer, 1e-4, 0.9, 0.999, 1e-7, -100.0, 100.0)
    results = []
    for form in (cpu_plus, reference_plus):
        neurons, rule, learned = network("float64", reset=reset)
        state = beginning(neurons, learned)
        for _ in range(2):
            y, spikes = form.sequence(
                neurons, rule, learned, optimization, FeedbackRule(feedback, 2.0, 0.01), state, inputs, targets, 100
            )
        results.append((y, spikes, learned, state))
    (y, spikes, learned, state), (y_wanted, spikes_wanted, learned_wanted, state_wanted) = results
    assert spikes_wanted.sum() > 50
    np.testing.assert_array_equal(spikes, spikes_wanted)
    np.testing.assert_allclose(y, y_wanted, rtol=1e-10, atol=1e-12)
    for name in ("w", "w_out", "feedback"):
        np.testing.assert_allclose(getattr(learned, name), getattr(learned_wanted, name), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(state.ebar_reg, state_wanted.ebar_reg, rtol=1e-9, atol=1e-14)
    np.testing.assert_array_equal(state.moments.done, state_wanted.moments.done)
    initial = network("float64", reset=reset)[2]
    assert (learned.w != initial.w).sum() > 100
    np.testing.assert_array_equal(learned.w[~learned.w_plastic], initial.w[~learned.w_plastic])


def test_a_cutoff_beyond_the_longest_interval_changes_nothing_in_gradient_descent() -> None:
    """A synapse past its cutoff stands still until its next spike; without a cutoff it need not, hence only the trace counts."""
    inputs, targets = task(0.3)
    inputs[::10] = True
    weights = []
    for cutoff in (STEPS, 10**9, 4):
        neurons, rule, learned = network("float64", reset=1, threshold=0.2)
        rule = rule._replace(cutoff_steps=cutoff)
        args = (Optimization(0, 1e-3, 0.9, 0.999, 1e-7, -100.0, 100.0), FeedbackRule(0, 1.0, 0.0), beginning(neurons, learned))
        cpu_plus.sequence(neurons, rule, learned, *args, inputs, targets, STEPS)
        weights.append(learned.w)
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).any()


@pytest.mark.parametrize(
    ("kind", "published"),
    [
        (Surrogate.PIECEWISE_LINEAR, [0.21030100902759, 0.18933659619924, 0.17036721102500, 0.15320300152221, 0.13767218251307]),
        (Surrogate.EXPONENTIAL, [0.28011776848615, 0.26861558105999, 0.25861553046549, 0.24988832085299, 0.24224569105944]),
    ],
)
def test_published_surrogate_values(kind: Surrogate, published: list[float]) -> None:
    one = np.ones(1)
    neurons = Neurons(
        decay=np.exp(-1 / 10) * one,
        gain=one,
        threshold=0.6 * one,
        adapt_beta=0 * one,
        adapt_decay=0 * one,
        v_min=-np.inf,
        v_reset=0.0,
        refractory_steps=3,
        reset=1,
        surrogate=int(kind),
        height=0.5,
        width=1 / 1.7,
    )
    state = rest(neurons)
    psi = []
    for t in range(19):
        step(neurons, state, 0.3 * one * (t in (2, 3, 4, 6, 10, 12)))
        psi.append(state.psi[0])
    np.testing.assert_allclose(psi[14:], published, rtol=1e-8)


def test_a_hard_reset_takes_no_input_while_refractory() -> None:
    neurons, _, _ = network("float64", reset=2)
    state = rest(neurons)
    step(neurons, state, np.full(N, 5.0))
    assert state.spikes.all()
    for left in (2, 1, 0):
        step(neurons, state, np.full(N, 5.0))
        np.testing.assert_array_equal(state.v, np.full(N, -0.2))
        np.testing.assert_array_equal(state.refractory, np.full(N, left))
        assert not state.spikes.any()
    step(neurons, state, np.full(N, 5.0))
    assert state.spikes.all()
