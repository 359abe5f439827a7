"""The traces of e-prop-plus, touched when their source spikes, against those of D-RTRL, which are followed in every step."""

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fitrec.kernels.cpu.eligibility import NEVER, SLOTS
from fitrec.learn.gradient.rules import DRtrl, EPropPlus, Rule, Signals
from fitrec.neurons.compile import CompiledModel, compile_model
from fitrec.simulate.model_network import Recording, Trial, events
from tests.model_cases import LIBRARY, STEPS, Case, make_case, model_of
from tests.plain_numba import as_python

EXACT, SINGLE = 1e-10, 1e-5
MODELS = [(name, preset) for name, preset in LIBRARY if "bsshslm" not in name]  # those are reset after each interval
CODE = [*((name, preset, True) for name, preset in (*MODELS, ("everything", None))), ("everything", None, False)]
IDS = [f"{name}{'/' + preset if preset else ''}-{'python' if plain else 'numba'}" for name, preset, plain in CODE]
# Bins of one stretch and of several, and so many short ones that silent sources are touched.
CUTS = (0, 7, 77, *range(80, 80 + 4 * SLOTS, 2), STEPS)


@cache
def compiled(name: str, preset: str | None, plain: bool) -> CompiledModel:
    made = compile_model(model_of(name, preset))
    return as_python(made) if plain else made


def bins(case: Case) -> list[tuple[Trial, Signals]]:
    """Run a trial bin by bin; with learning signals at their ends, by all rows and by one that nothing reaches."""
    rng, rows, found = np.random.default_rng(5), case.net.compiled.blocks.rows, []
    before = None
    for first, last in pairwise(CUTS):
        before = case.net.run(
            case.net.plastic.weight,
            events(case.inputs[first:last], case.net.n),
            recording=Recording(tape=True),
            current=case.current[first:last],
            before=before,
            first_step=first,
        )
        signals = Signals(rows=rows, every=last - first, states=rng.normal(size=(1, len(rows), case.net.n)))
        found.append((before, signals))
    return found


def gradients(rule: Rule, case: Case) -> NDArray[Any]:
    """(bin, synapse): the gradient of each bin."""
    found = []
    rule.begin()
    for trial, signals in bins(case):
        gradient = rule.new_gradient()
        rule.add(case.net.plastic.weight, trial, signals, gradient)
        found.append(gradient.plastic)
    return np.stack(found)


@pytest.mark.parametrize(("name", "preset", "plain"), CODE, ids=IDS)
def test_the_gradient_of_every_bin_is_that_of_d_rtrl(name: str, preset: str | None, plain: bool) -> None:
    asked = [("float64", 13, EXACT), ("float64", None, EXACT), *([] if plain else [("float32", 13, SINGLE)])]
    for dtype, cutoff, tolerance in asked:
        case = make_case(compiled(name, preset, plain), preset, delay=2, dtype=dtype)
        wanted = gradients(DRtrl(case.net, cutoff_steps=cutoff), case)
        found = gradients(EPropPlus(case.net, cutoff_steps=cutoff), case)
        assert (wanted != 0).mean() > 0.2
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())
        np.testing.assert_array_equal(found != 0, wanted != 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_change_no_bit_and_a_trial_forgets_the_one_before(dtype: str) -> None:
    case = make_case(compiled("everything", None, False), n=70, dtype=dtype, density=0.3)
    one, three = (EPropPlus(case.net, threads, cutoff_steps=20) for threads in (1, 3))
    wanted = gradients(one, case)
    assert wanted.any()
    for rule in (one, three, three):
        np.testing.assert_array_equal(gradients(rule, case), wanted)


def test_sources_are_touched_when_they_spike_and_now_and_then() -> None:
    case = make_case(compiled("lif_psc_exp", None, True), delay=2)
    case.inputs[:] = 0
    case.inputs[3, 0] = 1
    rule, source = EPropPlus(case.net), case.net.n
    touched = []
    for trial, signals in bins(case):
        rule.add(case.net.plastic.weight, trial, signals, rule.new_gradient())
        touched.append(rule._traces.touched[source : source + 2].tolist())
    assert {other for _, other in touched} == {NEVER}  # it never spikes
    assert sorted({own for own, _ in touched}) == list(range(1, touched[-1][0] + 1, SLOTS))
    assert touched[-1][0] > 2 * SLOTS


def test_other_learning_signals_are_refused() -> None:
    case = make_case(compiled("lif_psc_exp", None, True))
    trial, rule, n = case.run(), EPropPlus(case.net), case.net.n
    for signals in (
        Signals(rows=("v",), every=70, states=np.zeros((2, 1, n))),
        Signals(rows=("v",), every=STEPS, states=np.zeros((1, 1, n)), spikes=np.zeros((STEPS, n))),
    ):
        with pytest.raises(ValueError, match="at the end of a window of 140 steps, and no others"):
            rule.add(case.net.plastic.weight, trial, signals, rule.new_gradient())
