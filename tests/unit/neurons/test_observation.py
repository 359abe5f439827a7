from collections.abc import Callable

import numpy as np
import pytest

from fitrec.errors import ModelError
from fitrec.neurons.evaluate import evaluate
from fitrec.neurons.load import library_model, library_names, parse_model
from fitrec.neurons.model import Model
from fitrec.neurons.observation import Filter, observe_calcium, observe_count, observe_rate


def observed(model: Model, state: str, spikes: list[float], dt: float) -> np.ndarray:
    """Values of an observation state while a neuron spikes as told."""
    values = {p.name: p.value for p in model.parameters} | {s.name: s.initial for s in model.states} | {"dt": dt}
    trace = []
    for z in spikes:
        for statement in model.observe:
            values[statement.target] = evaluate(statement.expression, values | {"z": z})
        trace.append(values[state])
    return np.array(trace)


def test_the_mean_of_the_filtered_rate_is_the_rate() -> None:
    dt = 0.5
    model = observe_rate(library_model("lif_psc_delta"), 30.0)
    spikes = [float(step % 40 == 0) for step in range(4000)]
    assert observed(model, "rate", spikes, dt)[-40:].mean() == pytest.approx(1 / (40 * dt), rel=1e-6)


@pytest.mark.parametrize("rise_ms", [0.0, 12.0])
def test_what_is_seen_through_a_filter_has_the_rate_as_its_mean(rise_ms: float) -> None:
    dt, seen = 0.5, Filter(decay_ms=30.0, rise_ms=rise_ms)
    spikes = [float(step % 40 == 0) for step in range(4000)]
    trace = observed(seen.observed_by(library_model("lif_psc_delta")), seen.row, spikes, dt)
    assert seen.hz(dt) * trace[-40:].mean() == pytest.approx(1e3 / (40 * dt), rel=1e-6)


def test_calcium_of_one_spike() -> None:
    steps, dt = np.arange(200), 2.0
    single = observed(observe_calcium(library_model("alif"), 100.0), "calcium", [1.0] + [0.0] * 199, dt)
    np.testing.assert_allclose(single, np.exp(-steps * dt / 100), rtol=1e-12)
    double = observed(observe_calcium(library_model("alif"), 100.0, 20.0), "calcium", [1.0] + [0.0] * 199, dt)
    kernel = np.exp(-(steps + 1) * dt / 100) - np.exp(-(steps + 1) * dt / 20)
    np.testing.assert_allclose(double / double.max(), kernel / kernel.max(), rtol=1e-12)
    assert 0.999 < double.max() <= 1


def test_counts() -> None:
    assert observed(observe_count(library_model("lif")), "count", [1, 0, 1, 1], 0.1).tolist() == [1, 1, 2, 3]


@pytest.mark.parametrize("name", library_names())
def test_every_model_can_be_observed_in_every_way(name: str) -> None:
    model = observe_count(observe_calcium(observe_rate(library_model(name), 50.0), 400.0, 50.0))
    assert {"rate", "calcium", "calcium_rise", "count"} <= {s.name for s in model.states}


@pytest.mark.parametrize(
    "observe",
    [
        lambda m: observe_rate(m, 0.0),
        lambda m: observe_calcium(m, -1.0),
        lambda m: observe_calcium(m, 10.0, 10.0),
        lambda m: observe_calcium(m, 10.0, 0.0),
        lambda m: observe_count(observe_count(m)),
    ],
)
def test_what_cannot_be_observed_is_refused(observe: Callable[[Model], Model]) -> None:
    with pytest.raises(ModelError):
        observe(library_model("lif"))


def test_a_name_in_use_is_refused() -> None:
    text = library_model("lif_psc_delta").source.replace("t_ref", "tau_rate")
    with pytest.raises(ModelError, match="'tau_rate'"):
        observe_rate(parse_model(text, "mine"), 10.0)
