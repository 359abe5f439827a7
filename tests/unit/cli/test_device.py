"""The options --device and --threads."""

import pytest

from fitrec.cli import device
from fitrec.cli.device import check_device, resolve_device, resolve_threads
from fitrec.errors import ConfigError, DeviceError
from fitrec.kernels.cuda import device as kernels


def machine(monkeypatch: pytest.MonkeyPatch, driver: str, cupy: str, gpus: int = 0) -> None:
    def find_gpu(number: int) -> None:
        if number >= gpus:
            raise DeviceError(f"there is no cuda:{number}")

    monkeypatch.setattr(device, "_driver", lambda: driver)
    monkeypatch.setattr(device, "_cupy", lambda: cupy)
    monkeypatch.setattr(kernels, "find_gpu", find_gpu)


@pytest.mark.parametrize(("driver", "cupy"), [("absent", "absent"), ("present", "absent"), ("absent", "installed")])
def test_without_driver_or_cupy(driver: str, cupy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, driver, cupy)
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    sentence = rf"--device cuda:1: looked for an NVIDIA driver \(libcuda.so.1: {driver}\) and for CuPy \({cupy}\)"
    with pytest.raises(ConfigError, match=sentence):
        resolve_device("cuda:1")


def test_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, "present", "installed", gpus=2)
    assert resolve_device("auto") == resolve_device("cuda") == "cuda:0"
    assert resolve_device("cuda:1") == "cuda:1"
    assert resolve_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="--device cuda:2: there is no cuda:2; use --device cpu"):
        resolve_device("cuda:2")


def test_with_a_driver_but_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, "present", "installed")
    assert resolve_device("auto") == "cpu"


@pytest.mark.parametrize("text", ["tpu", "cuda:", "cuda:x", "CPU", "cuda 0"])
def test_no_device(text: str) -> None:
    for function in (resolve_device, check_device):
        with pytest.raises(ConfigError, match="must be auto, cpu, cuda or cuda:<number>"):
            function(text)


def test_a_gpu_that_cannot_be_used_says_why() -> None:
    pytest.importorskip("cupy")
    with pytest.raises(DeviceError, match=r"cuda:99 (cannot be used: cuda|needs the compiler)|there is no cuda:99"):
        kernels.CudaDevice(99)


def test_threads() -> None:
    assert resolve_threads(3) == 3
    assert resolve_threads(None) >= 1
