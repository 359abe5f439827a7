"""The devices CUDA tests run on."""

from importlib.util import find_spec
from typing import Any

import pytest

from fitrec.errors import DeviceError
from fitrec.kernels.cuda.device import CudaDevice
from tests.asked import unavailable
from tests.cuda.host.device import HostDevice, compiler

# Machines with a GPU may lack what reads configurations and stores.
_MISSING = [name for name in ("pydantic", "zarr") if find_spec(name) is None]
collect_ignore = ["test_training.py", "test_memory.py"] if _MISSING else []


def pytest_report_header() -> list[str]:
    """Say which tests are left out."""
    return [f"left out, for want of {' and '.join(_MISSING)}: {', '.join(collect_ignore)}"] if _MISSING else []


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
