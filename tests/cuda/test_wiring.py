"""Connections drawn on the device, and their index by presynaptic neuron, equal the CPU's."""

from typing import Any

import numpy as np
import pytest

from fitrec.kernels.cuda import wiring as cuda
from fitrec.networks.balanced import balanced_projection
from fitrec.networks.plastic import plastic_inputs
from fitrec.networks.rows import sample_rows, transpose_rows
from tests.small_network import KIM_WEIGHTS


@pytest.mark.parametrize(
    ("n_rows", "pool_size", "draws"), [(50, 30, 29), (7, 200, 1), (300, 5000, 45), (3, 900, 300), (2, 60_000, 4000), (0, 9, 3)]
)
def test_samples(n_rows: int, pool_size: int, draws: int, device: Any) -> None:
    """Nearly the whole pool; more draws than a block has room for with all its warps."""
    pool = np.arange(7, 7 + 3 * pool_size, 3, dtype=np.int32)
    excluded = np.where(np.arange(n_rows) % 3 == 0, -1, np.arange(n_rows) % pool_size)
    expected, found = np.empty((n_rows, draws), np.int32), np.full((n_rows, draws + 5), -1, np.int32)
    sample_rows(expected, pool, excluded, 17, 12, 2**31, 1)
    sample_rows(found[:, 2:-3], pool, excluded, 17, 12, 2**31, device=device)
    np.testing.assert_array_equal(found[:, 2:-3], expected)
    assert (found[:, :2] == -1).all()


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("target", [np.uint16, np.uint32])
def test_index(ordered: bool, target: Any, device: Any) -> None:
    """Values that stand nowhere, and one that stands in every row."""
    rng = np.random.default_rng(1)
    table = np.stack([rng.permutation(90)[:9] for _ in range(70)]).astype(np.int32)
    table[:, 4] = 93
    neuron = rng.permutation(200)[:70].astype(np.int32)
    order = None if ordered else np.argsort(neuron).astype(np.int32)
    expected, found = transpose_rows(table, 95, order), cuda.transpose_rows(device, table, 95, neuron, order, np.dtype(target))
    for name in ("indptr", "row", "slot"):
        np.testing.assert_array_equal(device.to_host(getattr(found, name)), getattr(expected, name), err_msg=name, strict=True)
    np.testing.assert_array_equal(device.to_host(found.target), neuron[expected.row].astype(target), strict=True)
    nothing = cuda.transpose_rows(device, table[:0], 95, neuron[:0], None, np.dtype(target))
    assert not device.to_host(nothing.indptr).any()


def test_networks(one_device: Any) -> None:
    sizes = {"n_exc": 60, "n_inh": 50, "seed": 4}
    plastic = {"trained": np.arange(3, 100, 4, dtype=np.int32), "inputs_exc": 12, "inputs_inh": 20, "exc_sources": "trained"}
    expected, found = (plastic_inputs(**sizes, **plastic, pool_size=2, device=device) for device in (None, one_device))
    np.testing.assert_array_equal(found, expected, strict=True)
    for degree in ("in", "out"):
        static = {**sizes, "k": 14, "degree": degree, "gain": 1.0, **KIM_WEIGHTS}
        fields = [balanced_projection(**static, device=device).network_fields() for device in (None, one_device)]
        for name in ("static_indptr", "static_indices", "static_weight"):
            np.testing.assert_array_equal(fields[1][name], fields[0][name], err_msg=name, strict=True)
