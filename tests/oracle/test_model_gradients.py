"""Networks of compiled neurons and all gradient rules against the NumPy reference, for every model of the library.

The reference evaluates a model's text and differentiates it by dual numbers, and knows nothing of the compiler. Every model's
printed code is run by Python (`tests.plain_numba`); some are compiled.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from fitrec.learn.gradient.rules import Bptt, DRtrl, Gradient, LocalAdjoint, PpProp, Rule, Signals
from fitrec.neurons.compile import CompiledModel, compile_model
from fitrec.neurons.reference import gradient as reference
from fitrec.neurons.reference.network import simulate
from fitrec.neurons.verify import differentiable_parameters
from fitrec.simulate.model_network import ModelNetwork, Recording, Trial, events
from fitrec.simulate.synapses import make_synapses
from tests.model_cases import LIBRARY, Case, make_case, model_of
from tests.plain_numba import as_python

Array = NDArray[np.float64]
EXACT, SINGLE = 1e-10, 1e-5
CASES = [*LIBRARY, ("everything", None)]
COMPILED = [("lif_psc_exp", None), ("everything", None)]
CODE = [*((name, preset, True) for name, preset in CASES), *((name, preset, False) for name, preset in COMPILED)]
IDS = [f"{name}{'/' + preset if preset else ''}-{'python' if plain else 'numba'}" for name, preset, plain in CODE]


@cache
def compiled(name: str, preset: str | None, plain: bool, *, parameters: bool = False) -> CompiledModel:
    model = model_of(name, preset)
    made = compile_model(model, trainable=trainable(name, preset) if parameters else (), spike_signal=True)
    return as_python(made) if plain else made


@cache
def trainable(name: str, preset: str | None) -> tuple[str, ...]:
    return differentiable_parameters(model_of(name, preset))


def added(rule: Rule, case: Case, trial: Trial) -> Gradient:
    gradient = rule.new_gradient()
    rule.add(case.net.plastic.weight, trial, case.signals(), gradient)
    return gradient


def pp(net: ModelNetwork, threads: int = 1) -> PpProp:
    return PpProp(net, decay_pre=0.9, decay_post=0.95, threads=threads)


def close(found: Array, wanted: Array, tolerance: float) -> None:
    """Compare relative to the largest element."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


@pytest.mark.parametrize(("name", "preset", "plain"), CODE, ids=IDS)
def test_a_network_runs_as_its_text_says(name: str, preset: str | None, plain: bool) -> None:
    case = make_case(compiled(name, preset, plain), preset, delay=3, steps=400)
    trial = case.run()
    run = simulate(case.reference, case.inputs, case.current)
    np.testing.assert_array_equal(case.given(trial).spikes, run.spikes)
    assert len(trial.emitted.source) >= 20
    for k, state in enumerate(case.net.compiled.model.states):
        close(trial.sampled[:, k], run.state(state.name), 1e-12)


@pytest.mark.parametrize(("name", "preset", "plain"), CODE, ids=IDS)
def test_rules_are_automatic_differentiation_with_the_recurrent_path_cut(name: str, preset: str | None, plain: bool) -> None:
    case = make_case(compiled(name, preset, plain), preset, delay=2)
    trial = case.run()
    wanted, _ = reference.automatic(case.reference, case.inputs, case.signal, case.current)
    assert np.count_nonzero(wanted) > 0.5 * case.net.plastic.n
    for rule in (LocalAdjoint(case.net), DRtrl(case.net)):
        close(case.dense(added(rule, case, trial).plastic), wanted, EXACT)
    tape = reference.record(case.reference, case.inputs, case.current)
    close(reference.local_adjoint(tape, case.signal)[0], wanted, EXACT)
    close(reference.d_rtrl(tape, case.signal)[0], wanted, EXACT)
    close(case.dense(added(pp(case.net), case, trial).plastic), reference.pp_prop(tape, case.signal, 0.9, 0.95), EXACT)


@pytest.mark.parametrize(("name", "preset", "plain"), CODE, ids=IDS)
def test_parameters_and_all_paths(name: str, preset: str | None, plain: bool) -> None:
    names = trainable(name, preset)
    case = make_case(compiled(name, preset, plain, parameters=True), preset, delay=2, density=1.0, per_neuron=names[:2])
    trial = case.run()
    rules: dict[bool, Rule] = {True: LocalAdjoint(case.net), False: Bptt(case.net)}
    for cut, rule in rules.items():
        synapses, parameters = reference.automatic(case.reference, case.inputs, case.signal, case.current, names, cut=cut)
        found = added(rule, case, trial)
        close(case.dense(found.plastic), synapses, EXACT)
        for k in range(len(names)):
            close(found.parameters[k], parameters[k], EXACT)
    tape = reference.record(case.reference, case.inputs, case.current, names)
    for wanted, got in zip((synapses, parameters), reference.bptt(tape, case.signal), strict=True):
        close(got, wanted, EXACT)
    for wanted, got in zip(reference.d_rtrl(tape, case.signal), reference.local_adjoint(tape, case.signal), strict=True):
        close(got, wanted, EXACT)


@pytest.mark.parametrize(("name", "preset", "plain"), CODE, ids=IDS)
def test_rules_in_single_precision_on_the_same_trajectory(name: str, preset: str | None, plain: bool) -> None:
    case = make_case(compiled(name, preset, plain), preset, dtype="float32", density=0.7)
    trial = case.run()
    tape = reference.record(case.reference, case.inputs, case.current, given=case.given(trial))
    wanted = reference.local_adjoint(tape, case.signal)[0]
    for rule in (LocalAdjoint(case.net), DRtrl(case.net)):
        found = added(rule, case, trial).plastic
        assert found.dtype == np.float32
        close(case.dense(found), wanted, SINGLE)
    close(case.dense(added(pp(case.net), case, trial).plastic), reference.pp_prop(tape, case.signal, 0.9, 0.95), SINGLE)


@pytest.mark.parametrize("name", ["alif", "eprop_iaf_bsshslm_2020", "gif_coba", "everything"])
def test_bptt_is_the_finite_difference_of_a_smooth_network(name: str) -> None:
    case = make_case(compiled(name, None, True, parameters=True), delay=2)
    found = case.dense(added(Bptt(case.net), case, case.run()).plastic)
    net = case.reference
    base = simulate(net, case.inputs, case.current)
    assert base.spikes.sum() > 20
    rng = np.random.default_rng(0)
    for _ in range(4):  # directions in the space of all weights
        direction = np.where(net.weight != 0, rng.normal(size=net.weight.shape), 0.0) * np.abs(net.weight).max()

        def loss(step: float, direction: Array = direction) -> float:
            changed = replace(net, weight=net.weight + step * direction)
            run = simulate(changed, case.inputs, case.current, smooth=base)
            rows = [*(run.state(s.name) for s in net.model.states), run.spikes]
            return float((np.stack(rows, axis=1) * case.signal).sum())

        h = 1e-6
        assert (loss(h) - loss(-h)) / (2 * h) == pytest.approx((found * direction).sum(), rel=1e-5)


@pytest.mark.parametrize("make", [DRtrl, pp], ids=["d-rtrl", "pp-prop"])
def test_two_windows_are_one(make: Callable[[ModelNetwork], Rule]) -> None:
    case = make_case(compiled("everything", None, False), delay=3)
    whole = added(make(case.net), case, case.run())
    rule, middle = make(case.net), 70
    for _ in range(2):  # begin() forgets the trial before
        parts = rule.new_gradient()
        rule.begin()
        rows = tuple(s.name for s in case.net.compiled.model.states)
        before, weights = None, case.net.plastic.weight
        for first, last in ((0, middle), (middle, 72), (72, len(case.inputs))):  # the second is shorter than the delay
            before = case.net.run(
                weights,
                events(case.inputs[first:last], case.net.n),
                recording=Recording(tape=True, rows=rows),
                current=case.current[first:last],
                before=before,
                first_step=first,
            )
            rule.add(weights, before, case.signals(first, last), parts)
        close(parts.plastic, whole.plastic, EXACT)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_change_no_bit(dtype: str) -> None:
    case = make_case(compiled("everything", None, False), n=70, dtype=dtype, density=0.3)
    trial = case.run()
    for make in (LocalAdjoint, DRtrl, pp):
        one, three = (added(make(case.net, threads=threads), case, trial) for threads in (1, 3))
        assert one.plastic.any()
        np.testing.assert_array_equal(one.plastic, three.plastic)
    if dtype == "float64":
        case = make_case(compiled("everything", None, False, parameters=True), n=70, density=0.3)
        trial = case.run()
        one, three = (added(LocalAdjoint(case.net, threads=threads), case, trial) for threads in (1, 3))
        np.testing.assert_array_equal(one.parameters, three.parameters)


def test_the_order_of_neurons_does_not_matter() -> None:
    case = make_case(compiled("everything", None, False), n=40, density=0.3)
    net, n = case.net, case.net.n
    order = np.random.default_rng(1).permutation(n)  # the new number of each neuron
    old = net.plastic
    source = old.source()
    synapses = make_synapses(
        n,
        net.n_inputs,
        np.where(source < n, order[np.minimum(source, n - 1)], source),
        order[old.target % net.width],
        old.weight,
        old.target // net.width,
        dtype="float64",
    )
    other = ModelNetwork(net.compiled, n=n, n_inputs=net.n_inputs, dt_ms=net.dt_ms, plastic=synapses, dtype="float64")
    moved = Case(
        net=other,
        reference=case.reference,
        inputs=case.inputs,
        current=case.current[:, :, np.argsort(order)],
        signal=case.signal[:, :, np.argsort(order)],
    )
    trial, permuted = case.run(), moved.run()
    np.testing.assert_array_equal(permuted.sampled[:, :, order], trial.sampled)
    found, wanted = added(LocalAdjoint(other), moved, permuted).plastic, added(LocalAdjoint(net), case, trial).plastic
    np.testing.assert_array_equal(found, wanted[synapses.order])


def test_learning_signals_now_and_then() -> None:
    case = make_case(compiled("everything", None, False))
    trial = case.run()
    states = tuple(s.name for s in case.net.compiled.model.states)
    rare = Signals(rows=(states[1], states[0]), every=7, states=case.signal[6::7, [1, 0]])
    case.signal = np.where((np.arange(len(case.signal)) % 7 == 6)[:, None, None], case.signal, 0.0)
    case.signal[:, 2:] = 0
    for rule in (LocalAdjoint(case.net), DRtrl(case.net), pp(case.net), Bptt(case.net)):
        whole, found = added(rule, case, trial), rule.new_gradient()
        rule.begin()
        rule.add(case.net.plastic.weight, trial, rare, found)
        close(found.plastic, whole.plastic, EXACT)


@pytest.mark.parametrize("name", ["lif", "everything"])
def test_noise_is_the_generators(name: str) -> None:
    made = compiled(name, None, name == "lif")
    case = make_case(made, changed={"sigma": 0.3})
    trial = case.run(trial=4, condition=2)
    run = simulate(case.reference, case.inputs, case.current, trial=4, condition=2)
    np.testing.assert_array_equal(case.given(trial).spikes, run.spikes)
    close(trial.sampled[:, 0], run.state("v"), 1e-6)  # the kernel's deviates have single precision
    silent = make_case(made)
    assert np.abs(silent.run().sampled[:, 0] - trial.sampled[:, 0]).max() > 0.1
