"""A `Device` that compiles the CUDA sources with g++ and runs them on the CPU, on NumPy arrays (see cuda_on_host.hpp)."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitrec.kernels.cuda.arguments import address
from fitrec.kernels.cuda.source import kernels, source

SHIM = [Path(__file__).with_name(name) for name in ("races.hpp", "cuda_on_host.hpp")]
FLAGS = ("-std=c++20", "-O2", "-march=native", "-ffp-contract=off", "-fPIC", "-shared", "-U_FORTIFY_SOURCE", "-Wall", "-Werror",
         "-Wno-unused-function", "-Wno-unknown-pragmas", "-Wno-unused-variable")  # fmt: skip
if os.environ.get("FITREC_CUDA_RACES"):  # see test_races.py
    FLAGS = (*FLAGS, "-O1", "-g", "-fsanitize=thread", "-fno-omit-frame-pointer", "-fno-ipa-ra", "-DLOOK_FOR_RACES")
RUBBISH = 0xFF  # of floating-point numbers: not a number


class HostError(RuntimeError):
    """A kernel did on the host what it must not do on a device."""


class DeviceArray(np.ndarray):
    """An array that counts as one of the device: kernels take no others, and it does not meet arrays of the host."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute, if all arrays are of the device."""
        if any(type(x) is np.ndarray for x in (*inputs, *options.get("out", ()))):
            raise HostError(f"{ufunc.__name__} is given arrays of the device and of the host")
        plain = [x.view(np.ndarray) if isinstance(x, DeviceArray) else x for x in inputs]
        if "out" in options:
            options["out"] = tuple(x.view(np.ndarray) for x in options["out"])
        return _on_device(getattr(ufunc, method)(*plain, **options))

    def __getitem__(self, places: Any) -> Any:
        """Take a part, by numbers of the host or arrays of the device."""
        _require_no_host_array("an index", places)
        return super().__getitem__(places)

    def __setitem__(self, places: Any, values: Any) -> None:
        """Set a part, as above."""
        _require_no_host_array("an index", places)
        _require_no_host_array("values", values)
        super().__setitem__(places, values)


def _require_no_host_array(what: str, given: Any) -> None:
    if any(type(one) is np.ndarray for one in (given if isinstance(given, tuple) else (given,))):
        raise HostError(f"an array of the device is given {what} of the host")


class _Module:
    """NumPy, but arrays are those of the device; new ones that nobody has filled are full of rubbish."""

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        return lambda *args, **options: _on_device(function(*args, **options))

    def empty(self, shape: Any, dtype: Any = np.float64) -> DeviceArray:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return np.full(size, RUBBISH, np.uint8).view(dtype).reshape(shape).view(DeviceArray)


def _on_device(value: Any) -> Any:
    return value.view(DeviceArray) if isinstance(value, np.ndarray) else value


class HostDevice:
    """Runs kernels as fibers on one core.

    Attributes
    ----------
    reverse : bool
        Run threads and blocks in descending instead of ascending order.
    blocks : int
        How many blocks of a cooperative launch it claims to hold.
    memory : int
        Bytes it claims to have free.
    shared_bytes : int
        Bytes of shared memory it claims that a block can have.

    """

    def __init__(self, *, reverse: bool = False, blocks: int = 3, memory: int = 2**40, shared_bytes: int = 99 * 1024) -> None:
        self.name = "host shim"
        self.xp: Any = _Module()
        self.out_of_memory: type[Exception] = MemoryError
        self.reverse, self.blocks, self.memory, self.shared_bytes = reverse, blocks, memory, shared_bytes

    def asarray(self, host: NDArray[Any]) -> NDArray[Any]:
        if isinstance(host, DeviceArray):
            raise HostError("an array of the device is copied there as if it were the host's")
        return np.array(host, order="C").view(DeviceArray)

    def to_host(self, array: NDArray[Any]) -> NDArray[Any]:
        if not isinstance(array, DeviceArray):
            raise HostError("an array of the host is copied there as if it were the device's")
        return np.array(array).view(np.ndarray)

    def launch(
        self,
        module: str,
        kernel: str,
        grid: int,
        block: int,
        args: tuple[Any, ...],
        *,
        shared: int = 0,
        cooperative: bool = False,
    ) -> None:
        assert grid >= 1, f"{kernel} is started with {grid} blocks"
        assert 1 <= block <= 1024, f"{kernel} is started with {block} threads"
        assert not cooperative or grid <= self.blocks, f"{kernel}: {grid} blocks cannot run together, {self.blocks} can"
        for value in args:
            if type(value) is np.ndarray and value.dtype.names is None:
                raise HostError(f"{kernel} is given an array of the host, of shape {value.shape}")
        run(library(source(module)), kernel, grid, block, args, shared=shared, cooperative=cooperative, reverse=self.reverse)

    def resident_blocks(self, module: str, kernel: str, block: int, shared: int = 0) -> int:
        return self.blocks

    def free_bytes(self) -> int:
        return self.memory

    def seconds(self, work: Callable[[], object]) -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started


def run(
    built: ctypes.CDLL,
    kernel: str,
    grid: int,
    block: int,
    args: tuple[Any, ...],
    *,
    shared: int = 0,
    cooperative: bool = False,
    reverse: bool = False,
) -> None:
    """Launch a kernel of a built library and wait for it; the sizes of the arguments are checked against its parameters."""
    values = [_bytes_of(kernel, value) for value in args]
    sizes = (ctypes.c_size_t * 64)()
    count = getattr(built, f"sizes_{kernel}")(sizes)
    given = [len(value) for value in values]
    if given != sizes[:count]:
        raise HostError(f"{kernel} has parameters of {sizes[:count]} bytes, but was given {given}")
    buffers = [ctypes.create_string_buffer(value, len(value)) for value in values]
    pointers = (ctypes.c_void_p * len(buffers))(*(ctypes.addressof(buffer) for buffer in buffers))
    launch = getattr(built, f"launch_{kernel}")
    launch.restype = ctypes.c_char_p
    failure = launch(grid, block, ctypes.c_size_t(shared), int(cooperative), int(reverse), pointers)
    if failure is not None:
        raise HostError(f"{kernel}: {failure.decode()}")


@cache
def library(text: str) -> ctypes.CDLL:
    """Compile a CUDA source for the CPU; the result is kept in the temporary folder for later test runs."""
    entries = "\n".join(
        f'extern "C" const char* launch_{name}(unsigned grid, unsigned block, std::size_t shared, int cooperative, int reverse, '
        f"void** args) {{ return cuda_on_host::launch(&{name}, grid, block, shared, cooperative, reverse, args); }}\n"
        f'extern "C" int sizes_{name}(std::size_t* out) {{ return cuda_on_host::sizes(&{name}, out); }}'
        for name in kernels(text)
    )
    shim = "\n".join(path.read_text() for path in SHIM)
    whole = f'{shim}\n{text}\n#line 1 "entries"\n{entries}\n'
    key = hashlib.sha256(repr((FLAGS, platform.processor(), platform.node(), whole)).encode()).hexdigest()[:32]
    folder = Path(tempfile.gettempdir()) / f"fitrec-cuda-on-host-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    built = folder / f"{key}.so"
    if not built.exists():
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            code, result = Path(temporary) / "kernels.cpp", Path(temporary) / "kernels.so"
            code.write_text(whole)
            done = subprocess.run([compiler(), *FLAGS, "-o", result, code], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise HostError(f"the CUDA source does not compile for the host:\n{done.stderr}")
            result.rename(built)
    return ctypes.CDLL(str(built))


def compiler() -> str:
    """Return the path of g++, or an empty string."""
    return shutil.which("g++") or ""


def _bytes_of(kernel: str, value: Any) -> bytes:
    if isinstance(value, np.generic):
        return value.tobytes()
    if isinstance(value, np.ndarray) and value.dtype.names is not None:
        return value.tobytes()
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(address(value)).value.to_bytes(8, "little") if value.size else bytes(8)
    raise HostError(f"{kernel} was given a {type(value).__name__}; give an array or a NumPy scalar of the C type")
