"""The time loop in C, compiled on demand with the system's compiler: what the numba kernels are measured against."""

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cpu import lif
from fitrec.kernels.cpu.noise import DEVIATE_SCALE
from fitrec.kernels.cpu.philox import MEMBRANE_NOISE

SOURCE = Path(__file__).with_name("lif.c")
FLAGS = ["-O3", "-march=native", "-ffp-contract=off", "-fno-trapping-math", "-shared", "-fPIC"]


def compiler() -> str | None:
    """Path of the system's C compiler; None when there is none."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


class CompiledLoop:
    """The compiled time loop; usable as long as a compiler is found.

    Parameters
    ----------
    index : {"uint16_t", "uint32_t"}
        Type of the indices of the wiring it will be given.

    """

    def __init__(self, index: str) -> None:
        path = compiler()
        if path is None:
            raise FileNotFoundError("no C compiler (cc, gcc or clang) is on the PATH")
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "lif.so"
            wide = ["-mprefer-vector-width=512"]  # as numba was told; compilers for other processors refuse it
            command = [path, *FLAGS, f"-DINDEX={index}", str(SOURCE), "-o", str(library), "-lm"]
            if subprocess.run([*command, *wide], capture_output=True, check=False).returncode:
                subprocess.run(command, capture_output=True, check=True)
            self._advance = ctypes.CDLL(str(library)).advance

    def __call__(
        self,
        constants: lif.Constants,
        wiring: lif.Wiring,
        state: lif.State,
        drive: NDArray[np.float32],
        n_steps: int,
        counts: NDArray[np.uint16],
    ) -> None:
        """Advance all neurons, which share one membrane, from step 0 of trial 0, condition 0; no trace, no plastic input."""
        m = constants.exc
        values = _Constants(
            *(getattr(m, name) for name in lif.Membrane._fields),
            *(getattr(constants, name) for name in ("decay_s", "charge_s", "decay_p", "charge_p")),
        )
        wires = (wiring.static_indptr, wiring.static_indices, wiring.run_indptr, wiring.run_end, wiring.run_fixed)
        states = (state.v, state.u_static, state.u_plastic, state.in_static, state.in_plastic, state.refractory, state.spikes)
        self._advance(
            ctypes.c_int(len(drive)),
            ctypes.c_int(n_steps),
            ctypes.byref(values),
            ctypes.c_uint32(int(constants.seed)),
            ctypes.c_uint32(MEMBRANE_NOISE),
            ctypes.c_float(float(DEVIATE_SCALE)),
            *(_pointer(array) for array in (*wires, drive, *states, counts)),
        )


class _Constants(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_float) for name in lif.Membrane._fields[:-1]),
        ("refractory_steps", ctypes.c_int32),
        *((name, ctypes.c_float) for name in ("decay_s", "charge_s", "decay_p", "charge_p")),
    )


def _pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
