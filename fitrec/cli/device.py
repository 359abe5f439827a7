"""The --device and --threads options: what was asked for, what there is."""

import ctypes
import importlib.util
import os
import re

from fitrec.errors import ConfigError, DeviceError


def resolve_device(text: str) -> str:
    """Return the device to compute on, "cpu" or "cuda:<number>"; 'auto' takes a usable GPU, otherwise the CPU.

    Raises
    ------
    ConfigError
        If the text is no device, or that GPU cannot be used: the sentence says what was looked for.

    """
    name = check_device(text)
    if name == "cpu":
        return name
    number = int(name.partition(":")[2] or 0)
    obstacle = _obstacle(number)
    if not obstacle:
        return f"cuda:{number}"
    if name == "auto":
        return "cpu"
    raise ConfigError(f"--device {text}: {obstacle}; use --device cpu.")


def check_device(text: str) -> str:
    """Return the text if it names a device, here or on another machine; ConfigError otherwise."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise ConfigError(f"--device is '{text}', but must be auto, cpu, cuda or cuda:<number>.")
    return text


def resolve_threads(threads: int | None) -> int:
    """Return the number of threads: as asked for, otherwise the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return threads or cores or 1


def _obstacle(number: int) -> str:
    """Say why this GPU cannot be used; an empty string if it can. CuPy is imported only where there is a driver."""
    driver, cupy = _driver(), _cupy()
    if "absent" in (driver, cupy):
        return f"looked for an NVIDIA driver (libcuda.so.1: {driver}) and for CuPy ({cupy}), and both are needed"
    from fitrec.kernels.cuda.device import find_gpu

    try:
        find_gpu(number)
    except DeviceError as error:
        return str(error)
    return ""


def _driver() -> str:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "absent"
    return "present"


def _cupy() -> str:
    return "absent" if importlib.util.find_spec("cupy") is None else "installed"
