from typing import Any

import numpy as np
import pytest

from fitrec.errors import NetworkError
from fitrec.networks.balanced import StaticProjection, balanced_drive, balanced_projection

SIZES: dict[str, Any] = {"n_exc": 60, "n_inh": 40, "k": 12}
WEIGHTS: dict[str, Any] = {"gain": 1.0, "j_ee": 0.15, "j_ie": 1.0, "j_ei": 0.75, "j_ii": 1.0, "tau_m_ms": 10.0}


def draw(degree: str = "out", seed: int = 1, **changes: Any) -> StaticProjection:
    return balanced_projection(degree=degree, seed=seed, **{**SIZES, **WEIGHTS, **changes})


def pairs(projection: StaticProjection) -> tuple[np.ndarray, np.ndarray]:
    pre = np.repeat(np.arange(len(projection.indptr) - 1), np.diff(projection.indptr))
    return pre, projection.indices


@pytest.mark.parametrize("degree", ["out", "in"])
@pytest.mark.parametrize("seed", range(3))
def test_no_autapse_and_no_multiple_synapse(degree: str, seed: int) -> None:
    pre, post = pairs(draw(degree, seed))
    assert len(pre) == 2400
    assert (pre != post).all()
    assert len(np.unique(pre * 100 + post)) == len(pre)
    same_row = pre[1:] == pre[:-1]
    assert (np.diff(post)[same_row] > 0).all()  # ascending within a row


def test_out_degree_is_exact() -> None:
    projection = draw("out")
    np.testing.assert_array_equal(np.diff(projection.indptr), 24)
    in_degree = np.bincount(projection.indices, minlength=100)
    assert in_degree.min() < 24 < in_degree.max()


def test_in_degree_is_exact_from_each_population() -> None:
    pre, post = pairs(draw("in"))
    np.testing.assert_array_equal(np.bincount(post[pre < 60], minlength=100), 12)
    np.testing.assert_array_equal(np.bincount(post[pre >= 60], minlength=100), 12)
    out_degree = np.bincount(pre, minlength=100)
    assert out_degree.min() < out_degree.max()


def test_exc_and_inh_sources_are_drawn_independently() -> None:
    pre, post = pairs(draw("in", n_exc=50, n_inh=50))
    exc, inh = np.zeros((50, 100), bool), np.zeros((50, 100), bool)
    exc[pre[pre < 50], post[pre < 50]] = True
    inh[pre[pre >= 50] - 50, post[pre >= 50]] = True
    p = 12 / 50
    assert (exc & inh).mean() == pytest.approx(p * p, abs=4 * np.sqrt(p * p / exc.size))


@pytest.mark.parametrize("degree", ["out", "in"])
def test_every_target_is_equally_likely(degree: str) -> None:
    n, k, draws = 20, 4, 400
    count = np.zeros((n, n))
    for seed in range(draws):
        pre, post = pairs(draw(degree, seed, n_exc=10, n_inh=10, k=k))
        np.add.at(count, (pre, post), 1)
    exc = np.arange(n) < 10
    p = np.full((n, n), 8 / 19)
    if degree == "in":  # k of the other 9 of its own kind, k of the 10 of the other kind
        p = np.where(exc[:, None] == exc, k / 9, k / 10)
    off_diagonal = ~np.eye(n, dtype=bool)
    z = (count - draws * p)[off_diagonal] / np.sqrt(draws * p * (1 - p))[off_diagonal]
    assert np.abs(z).max() < 4.5
    assert z.std() == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize(
    ("k", "expected"),  # j_ee, j_ie, j_ei, j_ii (rls.md 1.2)
    [(205, (0.209529, 1.396861, -1.047646, -1.396861)), (512, (0.132583, 0.883883, -0.662913, -0.883883))],
)
@pytest.mark.parametrize("degree", ["out", "in"])
def test_weights_are_the_published_ones(k: int, expected: tuple[float, ...], degree: str) -> None:
    projection = draw(degree, n_exc=600, n_inh=600, k=k)
    pre, post = pairs(projection)
    kinds = (
        ((pre < 600), (post < 600)),
        ((pre < 600), (post >= 600)),
        ((pre >= 600), (post < 600)),
        ((pre >= 600), (post >= 600)),
    )
    for (of_pre, of_post), weight in zip(kinds, expected, strict=True):
        np.testing.assert_allclose(projection.weight[of_pre & of_post], weight, atol=5e-7)


def test_gain_scales_weights_and_drives() -> None:
    np.testing.assert_allclose(draw(gain=2.0).weight, 2 * draw().weight, rtol=1e-6)
    one, two = (balanced_drive(n_exc=1, n_inh=1, k=9, gain=gain, drive_exc=0.12, drive_inh=0.08) for gain in (1.0, 2.0))
    np.testing.assert_allclose(two, 2 * one)


@pytest.mark.parametrize(("k", "expected"), [(205, (1.718139, 1.145426)), (512, (2.715290, 1.810193)), (0, (0, 0))])
def test_drives_are_the_published_ones(k: int, expected: tuple[float, float]) -> None:
    drive = balanced_drive(n_exc=3, n_inh=2, k=k, gain=1.0, drive_exc=0.12, drive_inh=0.08)
    np.testing.assert_allclose(drive, [expected[0]] * 3 + [expected[1]] * 2, rtol=1e-6)


def test_without_synapses() -> None:
    projection = draw(k=0)
    np.testing.assert_array_equal(projection.indptr, np.zeros(101))
    assert len(projection.indices) == len(projection.weight) == 0


@pytest.mark.parametrize("degree", ["out", "in"])
def test_the_seed_alone_decides(degree: str) -> None:
    np.testing.assert_array_equal(draw(degree, 5).indices, draw(degree, 5).indices)
    assert (draw(degree, 5).indices != draw(degree, 6).indices).any()


@pytest.mark.parametrize(("degree", "k", "n_inh"), [("out", 50, 40), ("in", 40, 40), ("in", 5, 3)])
def test_a_degree_beyond_the_network_is_refused(degree: str, k: int, n_inh: int) -> None:
    with pytest.raises(NetworkError, match=rf"balanced\.k = {k} asks for .* lower k or enlarge"):
        draw(degree, k=k, n_inh=n_inh)


@pytest.mark.parametrize(("degree", "k", "n_inh"), [("out", 49, 40), ("in", 39, 40)])
def test_the_largest_degree_is_possible(degree: str, k: int, n_inh: int) -> None:
    pre, post = pairs(draw(degree, k=k, n_inh=n_inh))
    assert len(np.unique(pre * 100 + post)) == 200 * k
    assert (pre != post).all()
