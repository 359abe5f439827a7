"""Regions of neurons, such as brain areas, and the mean activity in them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse


class Regions:
    """Which region each neuron belongs to.

    Sums run over a region's neurons in their order, so they do not depend on threads.

    Parameters
    ----------
    region : (neuron,) str
        Name of its region; "" for none.

    Attributes
    ----------
    names : tuple of str
        In alphabetical order.

    """

    def __init__(self, region: ArrayLike) -> None:
        of_neuron = np.asarray(region, str)
        self.names = tuple(sorted(set(of_neuron.tolist()) - {""}))
        rows = [np.flatnonzero(of_neuron == name) for name in self.names]
        indptr = np.cumsum([0, *map(len, rows)])
        members = np.concatenate([np.zeros(0, np.int64), *rows])
        self._members = sparse.csr_array((np.ones(len(members)), members, indptr), shape=(len(self.names), len(of_neuron)))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(region,): number of neurons."""
        return np.asarray(np.diff(self._members.indptr), np.int64)

    def means(
        self, values: NDArray[Any], seen: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Average over each region's neurons, of those that were seen.

        Parameters
        ----------
        values : (..., neuron)
        seen : (..., neuron), optional
            By default all.

        Returns
        -------
        means, numbers : (..., region)
            Means, 0 where no neuron was seen, and the neurons they are taken over.

        """
        seen = np.ones(values.shape, np.bool_) if seen is None else seen
        numbers = self._sums(seen)
        return self._sums(np.where(seen, values, 0)) / np.maximum(numbers, 1), numbers

    def to_neurons(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Give each neuron the value of its region, or 0: (..., region) -> (..., neuron)."""
        return self._product(self._members.T.tocsr(), values)

    def _sums(self, values: NDArray[Any]) -> NDArray[np.float64]:
        return self._product(self._members, values)

    @staticmethod
    def _product(matrix: Any, values: NDArray[Any]) -> NDArray[np.float64]:
        flat = np.ascontiguousarray(values.reshape(-1, values.shape[-1]).T, np.float64)
        return np.asarray((matrix @ flat).T.reshape(*values.shape[:-1], matrix.shape[0]))
