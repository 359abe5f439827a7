"""The devices CUDA tests run on."""

from importlib.util import find_spec
from typing import Any

import pytest

from fitrec.errors import DeviceError
from fitrec.kernels.cuda.device import CudaDevice
from tests.asked import unavailable
from tests.cuda.host.device import HostDevice, compiler

# Machines with a GPU may lack what reads commands, configurations and stores.
_NEEDED = {"test_training.py": ("pydantic", "zarr"), "test_memory.py": ("pydantic", "zarr"), "test_tasks.py": ("click",)}
_MISSING = {file: [name for name in names if find_spec(name) is None] for file, names in _NEEDED.items()}
collect_ignore = [file for file, names in _MISSING.items() if names]


def pytest_report_header() -> list[str]:
    """Say which tests are left out."""
    return [f"left out, for want of {' and '.join(_MISSING[file])}: {file}" for file in collect_ignore]


def _host(reverse: bool) -> HostDevice:
    if not compiler():
        pytest.skip("the host shim is compiled with g++, which is not installed")
    return HostDevice(reverse=reverse)


def _gpu(request: pytest.FixtureRequest) -> CudaDevice:
    try:
        return CudaDevice()
    except DeviceError as error:
        unavailable(request, "gpu", str(error))


GPU = pytest.param("gpu", marks=pytest.mark.gpu)


@pytest.fixture(params=["host", "host, reversed", GPU])
def device(request: Any) -> Any:
    """Every device there is: the host shim with either order of threads and blocks, and a GPU."""
    return _gpu(request) if request.param == "gpu" else _host("reversed" in request.param)


@pytest.fixture(params=["host", GPU])
def one_device(request: Any) -> Any:
    """The host shim and a GPU, for tests too long to run in both orders."""
    return _gpu(request) if request.param == "gpu" else _host(reverse=False)
