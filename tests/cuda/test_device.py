"""What `CudaDevice` asks of CuPy and of the driver, against stand-ins that behave as these do."""

import sys
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from fitrec.errors import DeviceError
from fitrec.kernels.cuda import device as cuda
from fitrec.kernels.cuda.arguments import address, pack
from fitrec.kernels.cuda.compile import architecture, compile_cuda

NEWEST = (75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121)


@pytest.mark.parametrize(
    ("capability", "supported", "target"),
    [
        ("90", NEWEST, "sm_90"),
        ("80", NEWEST, "sm_80"),
        ("103", NEWEST, "sm_103"),
        ("100", (50, 60, 70, 75, 80, 90), "compute_90"),  # CUDA 12.0 on a Blackwell
        ("130", NEWEST, "compute_121"),
        ("70", (50, 60, 70, 75), "sm_70"),
    ],
)
def test_the_machine_code_of_the_device_or_ptx_for_a_younger_one(capability: str, supported: Sequence[int], target: str) -> None:
    assert architecture(capability, supported) == target


@pytest.mark.parametrize(("capability", "supported", "needed"), [("61", (50, 60, 61, 70), "7.0"), ("70", NEWEST, "7.5")])
def test_a_device_that_is_too_old_is_named(capability: str, supported: Sequence[int], needed: str) -> None:
    sentence = rf"capability is {int(capability) / 10}, but {needed} or more"
    with pytest.raises(DeviceError, match=sentence):
        architecture(capability, supported)


def test_ptx_is_what_the_driver_takes() -> None:
    pytest.importorskip("cupy", reason="NVRTC is reached through CuPy, which is not installed")
    made, _ = compile_cuda('extern "C" __global__ void f(float* x) { x[0] = 1.0f; }', "compute_80")
    assert b".target sm_80" in made
    assert b".visible .entry f" in made


class Struct(NamedTuple):
    values: Any
    number: np.int32
    factor: np.float32


def test_cupy_takes_the_arguments_that_kernels_get() -> None:
    """CuPy's own launch, up to where it calls the driver: it refuses what it cannot hand over before that."""
    cupy = pytest.importorskip("cupy")
    host = np.arange(12, dtype=np.float32).reshape(3, 4)
    memory = cupy.cuda.UnownedMemory(host.ctypes.data, host.nbytes, host, device_id=0)
    array = cupy.ndarray(host.shape, host.dtype, cupy.cuda.MemoryPointer(memory, 0))  # in the host's memory, as if of a device
    assert address(array) == host.ctypes.data
    assert address(array[1:]) == host[1:].ctypes.data
    with pytest.raises(ValueError, match="C-contiguous"):
        address(array[:, 1])
    struct = pack(Struct(array, np.int32(3), np.float32(0.5)))
    assert struct.tobytes() == host.ctypes.data.to_bytes(8, "little") + np.int32(3).tobytes() + np.float32(0.5).tobytes()
    function = cupy.cuda.function.Function.__new__(cupy.cuda.function.Function)

    def launch(*args: Any) -> None:
        options = {"shared_mem": 64, "stream": SimpleNamespace(ptr=0), "enable_cooperative_groups": True}
        function((1,), (32,), args, **options)

    for wrong in (host, "text"):
        with pytest.raises(TypeError):
            launch(wrong)
    numbers = [kind(1) for kind in (np.int32, np.int64, np.uint32, np.uint64, np.float32, np.float64)]
    with pytest.raises(RuntimeError, match=r"cuda|CUDA"):  # no driver, or no such function
        launch(struct, array, *numbers)


class Driver(SimpleNamespace):
    """Of CUDA's driver: a launch may take as much dynamic shared memory as was asked for last, at least 48 KB."""

    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8

    def __init__(self) -> None:
        super().__init__(allowed={})

    def funcSetAttribute(self, function: int, attribute: int, value: int) -> None:  # noqa: N802
        assert attribute == 8
        self.allowed[function] = value

    def occupancyMaxActiveBlocksPerMultiprocessor(self, function: int, block: int, shared: int) -> int:  # noqa: N802
        return 0 if shared > 100_000 else 2


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A `CudaDevice` on stand-ins, with its driver as `driver` and its pool as `pool`."""
    driver = Driver()

    class Function:
        ptr = 77

        def __call__(self, grid: Any, block: Any, args: Any, *, shared_mem: int, enable_cooperative_groups: bool) -> None:
            assert shared_mem <= max(48 * 1024, driver.allowed.get(self.ptr, 0)), "CUDA_ERROR_INVALID_VALUE"

    properties = {"sharedMemPerBlockOptin": 232_448, "multiProcessorCount": 132, "name": b"stand-in"}
    pool = SimpleNamespace(free_bytes=lambda: 5, get_limit=lambda: 0, used_bytes=lambda: 100)
    gpu = SimpleNamespace(id=0, use=lambda: None, mem_info=(1000, 2000))
    cupy = SimpleNamespace(
        cuda=SimpleNamespace(
            Device=lambda number: gpu,
            memory=SimpleNamespace(OutOfMemoryError=MemoryError),
            runtime=SimpleNamespace(getDeviceProperties=lambda number: properties),
        ),
        get_default_memory_pool=lambda: pool,
        ones=lambda *_: None,
    )
    api = ModuleType("cupy_backends.cuda.api")
    api.driver = driver  # type: ignore[attr-defined]
    for name in ("cupy_backends", "cupy_backends.cuda"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "cupy_backends.cuda.api", api)
    kernel = cuda._Kernel(Function())
    monkeypatch.setattr(cuda, "_kernel", lambda *_: kernel)
    monkeypatch.setattr(cuda, "find_gpu", lambda number: cupy)
    return SimpleNamespace(device=cuda.CudaDevice(), driver=driver, pool=pool, cupy=cupy)


def test_a_launch_with_less_shared_memory_takes_none_from_later_ones(opened: Any) -> None:
    for shared in (60_000, 90_000, 50_000, 0, 90_000):
        opened.device.launch("rls", "rls_step", 1, 64, (), shared=shared)


def test_a_block_that_does_not_fit_is_named(opened: Any) -> None:
    assert opened.device.resident_blocks("lif", "lif_run", 256) == 264
    with pytest.raises(DeviceError, match="cannot run ridge_solve: a block of 256 threads with 200000 bytes"):
        opened.device.resident_blocks("ridge", "ridge_solve", 256, 200_000)


def test_memory_that_is_free(opened: Any) -> None:
    assert opened.device.free_bytes() == 1005
    opened.pool.get_limit = lambda: 400
    assert opened.device.free_bytes() == 300
    opened.pool.get_limit = lambda: 50
    assert opened.device.free_bytes() == 0


def test_large_arrays_do_not_go_through_pinned_memory(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy keeps that for ever."""
    done = []

    class Array(SimpleNamespace):
        def set(self, host: Any) -> None:
            done.append(("set", host.flags.c_contiguous))

    opened.cupy.asarray = lambda host: done.append(("staged", host.nbytes))
    opened.cupy.empty = lambda shape, dtype: Array(shape=shape, dtype=dtype)
    opened.cupy.cuda.get_current_stream = lambda: SimpleNamespace(synchronize=lambda: done.append("waited"))
    monkeypatch.setattr(cuda, "_STAGED_BYTES", 100)
    opened.device.asarray(np.zeros((5, 5), np.float32))
    copy = opened.device.asarray(np.zeros((30, 2), np.float32)[::2].T)
    assert done == [("staged", 100), ("set", True), "waited"]
    assert (copy.shape, copy.dtype) == ((2, 15), np.float32)


def test_a_cupy_whose_own_kernels_do_not_run_is_reported(opened: Any) -> None:
    def ones(*_: Any) -> None:
        raise RuntimeError("Failed to find CUDA headers.")

    opened.cupy.ones = ones
    with pytest.raises(DeviceError, match=r"cuda:0 cannot be used: Failed to find CUDA headers\.; see docs/gpu\.md"):
        cuda.CudaDevice()
