"""The --device and --threads options: what was asked for, what there is."""

import ctypes
import importlib.util
import os
import re

import fitrec
from fitrec.errors import ConfigError


def resolve_device(text: str) -> str:
    """Return the device to compute on; 'auto' takes the best this version can use, which is the CPU."""
    if text in ("auto", "cpu"):
        return "cpu"
    if re.fullmatch(r"cuda(:\d+)?", text):
        raise ConfigError(
            f"--device {text}: looked for an NVIDIA driver (libcuda.so.1: {_driver()}) and for CuPy ({_cupy()}), "
            f"but the CUDA path is not in this version ({fitrec.__version__}); use --device cpu."
        )
    raise ConfigError(f"--device is '{text}', but must be auto, cpu, cuda or cuda:<number>.")


def resolve_threads(threads: int | None) -> int:
    """Return the number of threads: as asked for, otherwise the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return threads or cores or 1


def _driver() -> str:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "absent"
    return "present"


def _cupy() -> str:
    return "absent" if importlib.util.find_spec("cupy") is None else "installed"
