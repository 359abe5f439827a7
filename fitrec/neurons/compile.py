"""A neuron model ready to run: its code and the values of its constants."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fitrec.errors import ModelError
from fitrec.kernels.cpu.model_state import FIXED_BITS, Parameters, padded
from fitrec.kernels.cuda.source import add_source
from fitrec.neurons.blocks import Blocks, make_blocks
from fitrec.neurons.cache import load_module
from fitrec.neurons.evaluate import evaluate
from fitrec.neurons.expression import names
from fitrec.neurons.model import DT, Model
from fitrec.neurons.print_cuda import cuda_module, noise_state
from fitrec.neurons.print_numba import numba_module


@dataclass(frozen=True, kw_only=True)
class CompiledModel:
    """A model with its kernels.

    Attributes
    ----------
    model : Model
    blocks : Blocks
        Its code, whatever the backend.
    vector_constants : tuple of int
        Constants that may differ between neurons.
    cpu : module
        numba functions ``simulate``, ``go_back``, ``trace0``, ... (`fitrec.neurons.templates`).

    """

    model: Model
    blocks: Blocks
    vector_constants: tuple[int, ...]
    cpu: ModuleType

    def parameters(
        self, dt_ms: float, n: int, dtype: np.dtype[Any], changed: Mapping[str, ArrayLike] | None = None
    ) -> Parameters:
        """Values of the constants for a network of n neurons.

        Parameters
        ----------
        changed : mapping, optional
            Values of parameters other than the model's own: a number, or one per neuron for those compiled so.

        Raises
        ------
        ModelError
            If a constant is not finite, or there is no such parameter.

        """
        values: dict[str, Any] = {p.name: np.float64(p.value) for p in self.model.parameters} | {DT: np.float64(dt_ms)}
        for name, value in (changed or {}).items():
            if name not in values:
                raise ModelError(f"there is no parameter {name!r}; there are {', '.join(values)}", source=self.model.name)
            values[name] = np.asarray(value, np.float64)
        width = padded(n)
        scalars = np.zeros(len(self.blocks.constants), dtype)
        vectors = np.zeros((len(self.vector_constants), width), dtype)
        for i, expression in enumerate(self.blocks.constants):
            with np.errstate(all="ignore"):
                value = evaluate(expression, values)
            if not np.isfinite(value).all():
                used = ", ".join(f"{k} = {np.ravel(values[k])[0]:g}" for k in sorted({u.name for u in names(expression)}))
                raise ModelError(f"a constant of the step is not finite with {used}", source=self.model.name)
            if i in self.vector_constants:
                vectors[self.vector_constants.index(i), :n] = value
                vectors[self.vector_constants.index(i), n:] = np.ravel(value)[-1]  # padding runs along, harmlessly
            else:
                scalars[i] = value
        noise = np.zeros(0, dtype)
        if self.model.noise is not None:
            amplitude = np.broadcast_to(np.asarray(evaluate(self.model.noise.amplitude, values), dtype), n)
            if amplitude.any():
                noise = np.zeros(width, dtype)
                noise[:n] = amplitude
        bits = FIXED_BITS[np.dtype(dtype)]
        return Parameters(
            scalars=scalars,
            vectors=vectors.reshape(-1),
            noise=noise,
            scale=np.dtype(dtype).type(2.0**-bits),
            one=2.0**bits,
            width=width,
        )

    def cuda(self, dtype: np.dtype[Any]) -> str:
        """Return the name of the model's CUDA module (`kernels.cuda.source`), in float32 or float64."""
        model = self.model
        return add_source(cuda_module(model.name, self.blocks, self.vector_constants, np.dtype(dtype), noise_state(model)))

    def initial(self) -> NDArray[np.float64]:
        """Values of the states at the beginning of a trial."""
        return np.array([s.initial for s in self.model.states])


def compile_model(
    model: Model, *, per_neuron: tuple[str, ...] = (), trainable: tuple[str, ...] = (), spike_signal: bool = False
) -> CompiledModel:
    """Compile a model.

    Parameters
    ----------
    per_neuron : tuple of str
        Parameters that may differ between neurons; trainable ones may without being named.
    trainable : tuple of str
        Parameters to differentiate by.
    spike_signal : bool
        Whether the loss may depend on spikes themselves.

    Raises
    ------
    ModelError
        If the model cannot be compiled.

    """
    blocks = make_blocks(model, trainable, spike_signal=spike_signal)
    free = {*per_neuron, *trainable}
    vectors = tuple(i for i, c in enumerate(blocks.constants) if any(n.name in free for n in names(c)))
    return CompiledModel(
        model=model, blocks=blocks, vector_constants=vectors, cpu=load_module(numba_module(model.name, blocks, vectors))
    )
