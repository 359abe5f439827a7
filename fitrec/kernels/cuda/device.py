"""A device that kernels run on: the few operations that the code driving them needs.

`CudaDevice` is a GPU through CuPy. The tests have a second implementation that compiles the same sources with a host compiler and
works on NumPy arrays, so that all code written against `Device` runs without a GPU.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fitrec.errors import DeviceError
from fitrec.kernels.cuda.compile import architecture, compiled
from fitrec.kernels.cuda.source import source

# Larger arrays do not go through pinned memory, of which CuPy takes the next power of two and which it never gives back.
_STAGED_BYTES = 2**25


class Device(Protocol):
    """What the drivers of the kernels use.

    Attributes
    ----------
    name : str
        For messages and provenance.
    xp : module
        cupy or numpy: the module whose arrays live on the device.
    out_of_memory : exception class
        What making an array raises when there is no memory for it.
    shared_bytes : int
        Shared memory that one block can have.

    """

    name: str
    xp: Any
    shared_bytes: int
    out_of_memory: type[Exception]

    def asarray(self, host: NDArray[Any]) -> Any:
        """Copy of a host array on the device."""

    def to_host(self, array: Any) -> NDArray[Any]:
        """Copy of a device array on the host; waits for the kernels that fill it."""

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
        """Start a kernel of ``module.cu`` with `grid` blocks of `block` threads and `shared` bytes of dynamic shared memory.

        `cooperative` guarantees that all blocks run at the same time, as a barrier over the grid needs; then `grid` is at most
        `resident_blocks`. Does not wait for the kernel.
        """

    def resident_blocks(self, module: str, kernel: str, block: int, shared: int = 0) -> int:
        """Return the number of blocks of this kernel that can run at the same time."""

    def free_bytes(self) -> int:
        """Memory that is left for new arrays."""

    def seconds(self, work: Callable[[], object]) -> float:
        """Call `work`, which starts kernels, and return the seconds from its start to their end by the device's clock; waits."""


def memory_error(device: Device, needed: int, what: str, remedy: str) -> DeviceError:
    """Say how many bytes `what` needs and how many there are."""
    free = device.free_bytes()
    return DeviceError(
        f"{what} needs {needed / 1e9:.3g} GB on {device.name}, of which {free / 1e9:.3g} GB are free; {remedy}, "
        "or use --device cpu"
    )


def require_memory(device: Device, needed: int, what: str, remedy: str) -> None:
    """Raise DeviceError, with the figures, if `needed` bytes are not left on the device."""
    if needed > device.free_bytes():
        raise memory_error(device, needed, what, remedy)


@contextmanager
def reserving(device: Device, needed: int, what: str, remedy: str) -> Iterator[None]:
    """Where arrays of `needed` bytes are made: as `require_memory`, and the same if making one of them fails all the same.

    The memory that is free may lie in pieces, or another process takes it.
    """
    require_memory(device, needed, what, remedy)
    try:
        yield
    except device.out_of_memory as error:
        raise memory_error(device, needed, what, remedy) from error


def find_gpu(number: int) -> Any:
    """Return the module cupy if it can compute on GPU `number`; takes no memory there.

    Raises
    ------
    DeviceError
        If CuPy, its compiler or that GPU is missing; the sentence says which.

    """
    try:
        import cupy
        from cupy_backends.cuda.libs import nvrtc
    except ImportError as error:
        raise DeviceError(
            f"cuda:{number} needs CuPy, which cannot be imported ({error}); pip install 'fitrec[cuda13]'"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise DeviceError(f"cuda:{number} cannot be used: {error}") from error
    if number >= count:
        raise DeviceError(f"there is no cuda:{number}: CUDA finds {count} device{'s' * (count != 1)}, numbered from 0")
    try:
        nvrtc.getVersion()
    except Exception as error:  # CuPy's class for a library that is not found differs between its versions
        raise DeviceError(
            f"cuda:{number} needs the compiler NVRTC, which CuPy does not find ({error}); pip install 'fitrec[cuda13]'"
        ) from error
    return cupy


def gpu_versions() -> dict[str, str]:
    """Versions of CuPy, of the compiler and of CUDA as the driver has it; where there is a GPU."""
    import cupy
    from cupy_backends.cuda.libs import nvrtc

    driver = int(cupy.cuda.runtime.driverGetVersion())
    compiler = ".".join(map(str, nvrtc.getVersion()))
    return {"cupy": cupy.__version__, "nvrtc": compiler, "cuda_driver": f"{driver // 1000}.{driver % 1000 // 10}"}


def open_device(name: str) -> Device | None:
    """Open "cuda:<number>"; None for "cpu", which needs no opening."""
    return None if name == "cpu" else CudaDevice(int(name.removeprefix("cuda:")))


class CudaDevice:
    """An NVIDIA GPU. Opening it makes it the current device of the calling thread.

    Raises
    ------
    DeviceError
        If it cannot be used; see `find_gpu`.

    """

    def __init__(self, number: int = 0) -> None:
        cupy = find_gpu(number)
        self.xp, self.out_of_memory = cupy, cupy.cuda.memory.OutOfMemoryError
        self._device = cupy.cuda.Device(number)
        self._device.use()
        properties = cupy.cuda.runtime.getDeviceProperties(number)
        try:
            cupy.ones(1, np.float32)
        except Exception as error:  # of the driver, of memory, of CuPy's compiler: anything that will fail again later
            raise DeviceError(f"cuda:{number} cannot be used: {error}; see docs/gpu.md, or use --device cpu") from error
        self.shared_bytes = int(properties["sharedMemPerBlockOptin"])
        self._multiprocessors = int(properties["multiProcessorCount"])
        self.name = f"cuda:{number} ({properties['name'].decode()})"

    def asarray(self, host: NDArray[Any]) -> Any:
        """Copy of a host array on the device."""
        host = np.ascontiguousarray(host)
        if host.nbytes <= _STAGED_BYTES:
            return self.xp.asarray(host)
        copy = self.xp.empty(host.shape, host.dtype)
        copy.set(host)
        self.xp.cuda.get_current_stream().synchronize()  # where a device reads the host's memory itself, `host` may go only now
        return copy

    def to_host(self, array: Any) -> NDArray[Any]:
        """Copy of a device array on the host; waits for the kernels that fill it."""
        return np.asarray(self.xp.asnumpy(array))

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
        """Start a kernel; see `Device.launch`."""
        function = _kernel(self._device.id, module, kernel).function(shared)
        function((grid,), (block,), args, shared_mem=shared, enable_cooperative_groups=cooperative)

    def resident_blocks(self, module: str, kernel: str, block: int, shared: int = 0) -> int:
        """Return the number of blocks of this kernel that can run at the same time."""
        from cupy_backends.cuda.api import driver

        function = _kernel(self._device.id, module, kernel).function(shared)
        blocks = int(driver.occupancyMaxActiveBlocksPerMultiprocessor(function.ptr, block, shared))
        if blocks == 0:
            sizes = f"{block} threads with {shared} bytes of shared memory"
            raise DeviceError(f"{self.name} cannot run {kernel}: a block of {sizes} does not fit")
        return self._multiprocessors * blocks

    def free_bytes(self) -> int:
        """Memory that is left for new arrays, what CuPy's pool holds for reuse included; CUPY_GPU_MEMORY_LIMIT counts."""
        pool = self.xp.get_default_memory_pool()
        free, limit = int(self._device.mem_info[0]) + int(pool.free_bytes()), int(pool.get_limit())
        return min(free, max(0, limit - int(pool.used_bytes()))) if limit else free

    def seconds(self, work: Callable[[], object]) -> float:
        """Return the seconds between two events of the device before and after `work`; see `Device.seconds`."""
        begin, end = self.xp.cuda.Event(), self.xp.cuda.Event()
        begin.record()
        work()
        end.record()
        end.synchronize()
        return 1e-3 * float(self.xp.cuda.get_elapsed_time(begin, end))


class _Kernel:
    """A kernel of one device, and how much dynamic shared memory its launches may take so far."""

    def __init__(self, function: Any) -> None:
        self._function, self._allowed = function, 0

    def function(self, shared: int) -> Any:
        """Return the function for launches that take `shared` bytes. More than 48 KB, static ones included, must be asked for."""
        if shared > self._allowed:  # never lowered: a launch that took more may come again
            from cupy_backends.cuda.api import driver

            driver.funcSetAttribute(self._function.ptr, driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared)
            self._allowed = shared
        return self._function


@cache
def _kernel(number: int, module: str, kernel: str) -> _Kernel:
    """Compiled kernel on device `number`, which is the current one."""
    return _Kernel(_module(number, module).get_function(kernel))


@cache
def _module(number: int, module: str) -> Any:
    import cupy
    from cupy_backends.cuda.libs import nvrtc

    target = architecture(cupy.cuda.Device(number).compute_capability, nvrtc.getSupportedArchs())
    loaded = cupy.cuda.function.Module()
    loaded.load(compiled(source(module), target))
    return loaded
