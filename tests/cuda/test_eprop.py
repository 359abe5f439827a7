"""The published e-prop rules on the device equal those on the CPU, bit for bit."""

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from fitrec.errors import DeviceError
from fitrec.kernels.cuda import eprop, eprop_plus
from fitrec.kernels.cuda.eprop_arguments import packed, unpacked
from fitrec.kernels.eprop import Feedback, FeedbackRule, Learned, Reset, Surrogate
from fitrec.kernels.optimise import Optimization, Optimizer
from fitrec.learn.eprop.learners import IntervalLearner, Network, Sequence, StepLearner
from tests.eprop_cases import network, task

SIZES, STEPS = (37, 40), 21  # a word of spikes is not enough; after two batches of three, traces have just been tidied
# Every reset with every surrogate; both optimisers, and every feedback, take their turns.
CASES = list(product(Reset, Surrogate))


def network_of(dtype: str, reset: Reset, surrogate: Surrogate) -> Network:
    neurons, rule, learned = network(dtype, reset=int(reset), surrogate=int(surrogate), sizes=SIZES)
    neurons.decay[:4] = 1e-20 if dtype == "float64" else 0.02  # traces become tiny, but are not yet 0
    optimizer, feedback = Optimizer((reset + surrogate) % 2), Feedback((2 * reset + surrogate) % 3)
    rate = 2e-3 if optimizer == Optimizer.ADAM else 1e-2
    learned = Learned(*(array.copy() for array in learned))
    optimization = Optimization(int(optimizer), rate, 0.9, 0.999, 1e-8, -0.4, 0.5)
    return Network(neurons, rule, learned, optimization, FeedbackRule(int(feedback), 0.7, 0.01))


def batches(seed: int) -> list[Sequence]:
    return [Sequence(*task(0.1, steps=STEPS, n_in=SIZES[0], seed=3 * seed + k)) for k in range(3)]


def compare(learners: list[Any], initial: Learned) -> None:
    """Learn from two batches of three sequences; the first learner is the CPU's."""
    rounds = [batches(k) for k in range(3)]
    for now, following in pairwise(rounds):
        expected, found = (learner.learn(now, following[0]) for learner in learners)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a.output, b.output, strict=True)
            np.testing.assert_array_equal(a.spikes, b.spikes, strict=True)
            assert b.spikes.any()
            assert not b.spikes.all()
    expected, found = (learner.learned() for learner in learners)
    for name in Learned._fields:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name, strict=True)
    assert (expected.w != initial.w).any()
    assert (expected.w_out != initial.w_out).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("reset", "surrogate"), CASES)
def test_intervals_equal_numba(
    dtype: str, reset: Reset, surrogate: Surrogate, one_device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eprop, "BLOCK", 32)
    learners = [
        IntervalLearner(
            network_of(dtype, reset, surrogate),
            window=15,
            softmax=surrogate % 2 == 0,
            average_gradient=reset == Reset.SUBTRACT,
            device=device,
        )
        for device in (None, one_device)
    ]
    compare(learners, network_of(dtype, reset, surrogate).learned)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("reset", "surrogate"), CASES)
def test_sequences_equal_numba(
    dtype: str, reset: Reset, surrogate: Surrogate, one_device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Synapses are past their cutoff for a while, and catch up; at the end traces are tidied."""
    monkeypatch.setattr(eprop_plus, "BLOCK", 32)
    learners = [StepLearner(network_of(dtype, reset, surrogate), window=15, device=device) for device in (None, one_device)]
    compare(learners, network_of(dtype, reset, surrogate).learned)
    here, there = learners[0]._state, learners[1]._sequences._state
    for name in ("zbar", "epsilon", "ebar", "ebar_reg", "zbar_out", "rate", "psi", "error", "last_arrival"):
        np.testing.assert_array_equal(one_device.to_host(getattr(there, name)), getattr(here, name), err_msg=name, strict=True)
    assert (here.zbar == 0).any()


@pytest.mark.parametrize("rule", [IntervalLearner, StepLearner])
def test_no_result_depends_on_the_order_of_threads(rule: Any, device: Any) -> None:
    options = {"softmax": True, "average_gradient": False} if rule is IntervalLearner else {}
    networks = [network_of("float32", Reset.NEXT_STEP, Surrogate.EXPONENTIAL) for _ in range(3)]
    learners = [rule(net, window=15, device=where, **options) for net, where in zip(networks, (None, device), strict=False)]
    compare(learners, networks[2].learned)


def test_sequences_that_do_not_fit_are_refused(one_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network_of("float64", Reset.NEXT_STEP, Surrogate.ARCTAN)
    learner = IntervalLearner(net, window=15, softmax=False, average_gradient=False, device=one_device)
    monkeypatch.setattr(one_device, "free_bytes", lambda: 1000)
    with pytest.raises(DeviceError, match=r"a batch of sequences needs .* GB on .* take fewer at a time, or use --device cpu"):
        learner.learn(batches(0), None)


def test_spikes_are_packed_into_words() -> None:
    spikes = np.random.default_rng(1).random((3, 5, 37)) < 0.3
    words = packed(spikes)
    assert words.shape == (3, 5, 2)
    assert words[1, 2, 1] == sum(int(bit) << k for k, bit in enumerate(spikes[1, 2, 32:]))
    np.testing.assert_array_equal(unpacked(words, 37), spikes, strict=True)
