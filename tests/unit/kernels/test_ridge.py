"""The regressions' kernels against the textbook form, and the tiles they are made of."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from fitrec.kernels.cpu import ridge, ridge_pool, shared_gram, tiles
from fitrec.kernels.cpu.aligned import aligned_zeros
from fitrec.kernels.cpu.ridge import Eliminated, Regressions, Traces
from fitrec.kernels.reference import ridge as reference

F = np.float32


def problems(n_inputs: int, n_exc: int, seed: int = 0) -> tuple[Traces, Regressions]:
    """Three neurons that listen to a pool of 80, over 330 samples in two conditions."""
    rng = np.random.default_rng(seed)
    kept = rng.integers(0, 65536, (2, 80, 4, 55)).astype(np.uint16)  # the last slot is not in use
    scale = rng.uniform(1e-7, 2e-7, (2, 80, 4)).astype(F)
    inputs = np.stack([rng.permutation(80)[:n_inputs] for _ in range(3)]).astype(np.int32)
    initial = rng.normal(0, 0.5, inputs.shape).astype(F)
    target = rng.normal(0.1, 0.3, (2, 55, 3))
    traces = Traces(kept, scale, np.sqrt(rng.uniform(0.2, 1, (2, 3))).astype(F))
    return traces, Regressions(target, inputs, initial, np.int32(n_exc), F(4e-4), F(1e-4))


@pytest.mark.parametrize(("n_inputs", "n_exc"), [(1, 1), (12, 7), (16, 16), (17, 0), (64, 30), (70, 41)])
@pytest.mark.parametrize("n_columns", [0, 5, 300])
def test_equals_the_textbook_form(n_inputs: int, n_exc: int, n_columns: int) -> None:
    """Eliminated columns count as samples whose products are taken away; few enough that the problem keeps a solution."""
    traces, given = problems(n_inputs, n_exc)
    rng = np.random.default_rng(1)
    reduction = rng.normal(0, 2e-4, (80, n_columns)).astype(F)
    moment = rng.normal(0, 1e-3, (3, n_columns)).astype(F)
    found = np.empty_like(given.initial)
    ridge.solve(traces, Eliminated(reduction, moment), given, 0, 3, found)
    for u, inputs in enumerate(given.inputs):
        weighted = traces.kept[:, :, :3].astype(float) * traces.scale[:, :, :3, None] * traces.root_weight[:, None, :, None]
        x = np.moveaxis(weighted[:, inputs], 1, -1).reshape(-1, n_inputs)
        y = (given.target[:, None, :, u] * traces.root_weight[:, :, None]).ravel()
        taken = reduction[inputs].astype(float).T
        # (x, i taken)'(x, i taken) = x'x - taken'taken
        everything = np.concatenate([x, 1j * taken]), np.concatenate([y, 1j * moment[u].astype(float)])
        expected = reference.solve(
            *everything, given.initial[u].astype(float), n_exc, float(given.diagonal), float(given.same_kind)
        )
        assert np.abs(expected.imag).max() < 1e-9
        np.testing.assert_allclose(found[u], expected.real, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_neurons_are_solved_independently() -> None:
    traces, given = problems(20, 9)
    none = Eliminated(np.zeros((80, 0), F), np.zeros((3, 0), F))
    together, alone = np.empty_like(given.initial), np.empty_like(given.initial)
    ridge.solve(traces, none, given, 0, 3, together)
    for u in (2, 0, 1):
        ridge.solve(traces, none, given, u, u + 1, alone)
    np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("rows", [4, 16])
def test_tiles_are_sums_in_the_order_of_the_samples(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever number of rows the processor is given at a time; compared with fused operations one by one, in float64."""
    monkeypatch.setattr(tiles, "ROWS", rows)

    @njit
    def products(x: Any, y: Any, out: Any) -> None:
        tiles.add_product(x, 3, x.shape[1], y, 1, y.shape[1], len(x), out[0], 2, out.shape[2], False)
        tiles.add_product(x, 3, x.shape[1], y, 1, y.shape[1], len(x), out[1], 2, out.shape[2], True)
        tiles.subtract_product(x, 3, x.shape[1], y, 1, y.shape[1], len(x), out[2], 2, out.shape[2])

    rng = np.random.default_rng(0)
    x, y, start = (rng.normal(size=shape).astype(F) for shape in ((40, 24), (40, 18), (16, 20)))
    out = np.stack([start] * 3)
    products(x, y, out)
    piece, onto = np.zeros((16, 16), F), start[:, 2:18].copy()
    for a, b in zip(x[:, 3:19], y[:, 1:17], strict=True):
        product = np.outer(a.astype(float), b.astype(float))  # exact; the sum is rounded once more, to float32
        piece, onto = (piece + product).astype(F), (onto - product).astype(F)
    np.testing.assert_array_equal(out[0, :, 2:18], start[:, 2:18] + piece)
    np.testing.assert_array_equal(out[1, :, 2:18], start[:, 2:18] - piece)
    np.testing.assert_array_equal(out[2, :, 2:18], onto)
    np.testing.assert_array_equal(out[:, :, [0, 1, 18, 19]], np.stack([start] * 3)[:, :, [0, 1, 18, 19]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transpose(dtype: type) -> None:
    @njit
    def transpose(source: Any, out: Any, past_caches: Any) -> None:
        tiles.transpose(source, 2, source.shape[1], out, 5, out.shape[1])
        tiles.stream_transpose(source, 2, source.shape[1], past_caches, 32, past_caches.shape[1])

    source, expected = np.arange(16 * 21, dtype=dtype).reshape(16, 21), np.zeros((18, 48), dtype)
    out, past_caches = aligned_zeros((18, 48), dtype), aligned_zeros((18, 48), dtype)
    transpose(source, out, past_caches)
    expected[:16, 5:21] = source[:, 2:18].T
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(past_caches, np.roll(expected, 27, axis=1))


@pytest.mark.parametrize(("n_inputs", "n_exc"), [(1, 1), (17, 5), (48, 30)])
def test_neurons_with_the_same_inputs_get_the_bits_of_each_alone(n_inputs: int, n_exc: int) -> None:
    rng = np.random.default_rng(n_inputs)
    samples = rng.gamma(0.8, 1.0, (90, 60)).astype(F)
    gram, columns = samples.T @ samples, rng.permutation(60)[:n_inputs].astype(np.int32)
    moment, initial = (rng.normal(0, s, (18, n_inputs)).astype(F) for s in (30.0, 0.5))
    alone = np.empty_like(initial)
    given = Regressions(np.zeros((1, 1, 18)), np.tile(columns, (18, 1)), initial, np.int32(n_exc), F(2.0), F(0.5))
    shared_gram.solve(gram, moment, given, 0, 18, alone)
    own, panels = ridge.own_block(gram, columns), np.empty((2, n_inputs, 16), F)
    parts = [slice(0, 16), slice(16, 18)]
    for part, panel in zip(parts, panels, strict=True):
        ridge_pool.right_sides(own, moment[part], initial[part], panel)
    inverse = ridge_pool.factor_block(own, n_inputs, given.n_exc, given.diagonal, given.same_kind)
    together = np.empty_like(initial)
    for part, panel in zip(parts, panels, strict=True):
        ridge_pool.solve_panel(own, inverse, panel, initial[part], together[part])
    np.testing.assert_array_equal(together, alone)
    assert np.ptp(alone) > 0.1
