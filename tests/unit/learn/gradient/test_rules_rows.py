"""States that no input reaches have no part in a gradient, and a loss of them alone is refused."""

import numpy as np
import pytest

from fitrec.errors import ModelError
from fitrec.learn.gradient.rules import LocalAdjoint, Signals
from fitrec.neurons.compile import compile_model
from fitrec.neurons.load import library_model
from fitrec.simulate.model_network import ModelNetwork, Recording, events
from fitrec.simulate.synapses import make_synapses

RNG = np.random.default_rng(3)


def network() -> ModelNetwork:
    plastic = make_synapses(20, 5, RNG.integers(0, 25, 200), RNG.integers(0, 20, 200), RNG.random(200), RNG.integers(0, 2, 200))
    return ModelNetwork(compile_model(library_model("gif_coba")), n=20, n_inputs=5, dt_ms=1.0, plastic=plastic)


def test_the_threshold_of_gif_is_moved_by_spikes_only() -> None:
    assert network().compiled.blocks.rows == ("v", "g_exc", "g_inh")


def test_a_loss_of_reached_and_unreached_states_is_that_of_the_reached() -> None:
    net = network()
    trial = net.run(net.plastic.weight, events(RNG.random((60, 5)) < 0.2, 20), recording=Recording(tape=True))
    signal = RNG.standard_normal((60, 2, 20))
    both, one = LocalAdjoint(net).new_gradient(), LocalAdjoint(net).new_gradient()
    LocalAdjoint(net).add(net.plastic.weight, trial, Signals(rows=("theta", "v"), states=signal), both)
    LocalAdjoint(net).add(net.plastic.weight, trial, Signals(rows=("v",), states=signal[:, 1:]), one)
    assert one.plastic.any()
    np.testing.assert_array_equal(both.plastic, one.plastic)


@pytest.mark.parametrize(("row", "sentence"), [("theta", "no input reaches by a path"), ("thta", "is no state")])
def test_a_loss_of_unreached_states_alone_is_refused(row: str, sentence: str) -> None:
    net = network()
    trial = net.run(net.plastic.weight, events(np.zeros((3, 5)), 20), recording=Recording(tape=True))
    with pytest.raises(ModelError, match=sentence):
        LocalAdjoint(net).add(
            net.plastic.weight, trial, Signals(rows=(row,), states=np.ones((3, 1, 20))), LocalAdjoint(net).new_gradient()
        )
