"""What the machine can do, measured in the run whose figures are compared with it: of processors per core and in processor time.

Other work on the machine disturbs processor time least; of memory and caches it still takes its share.
"""

import logging
import time
from collections.abc import Mapping

import numpy as np
import psutil

from fitrec.errors import ConfigError
from fitrec.kernels.cuda.device import Device
from fitrec.threads import thread_map

logger = logging.getLogger(__name__)


def require_memory(needed: float, what: str, remedy: str, options: Mapping[str, float] | None = None) -> None:
    """Raise ConfigError if so many bytes are not free; `options` are others to name if the bytes that they need are."""
    free = psutil.virtual_memory().available
    if needed > free:
        advice = " or ".join([remedy, *(option for option, less in (options or {}).items() if less <= free)])
        raise ConfigError(f"{what} need {needed / 1e9:.1f} GB of memory, but only {free / 1e9:.1f} GB are free; {advice}")


def peak_flops(threads: int) -> float:
    """Operations per second and core of float32 matrix products on all threads at once."""
    size, repeats = 1024, 3
    a = np.ones((size, size), np.float32)

    def multiply(_: int) -> None:
        a @ a.T.copy()

    best = np.inf
    for _ in range(3):
        start = time.process_time()
        thread_map(multiply, range(repeats * threads), threads)
        best = min(best, time.process_time() - start)
    return 2.0 * size**3 * repeats * threads / best


def copy_bandwidth(threads: int) -> float:
    """Bytes per second and core, read and written, of copying arrays much larger than the caches on all threads at once."""
    source = np.ones(1 << 26, np.float32)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    best = np.inf
    for _ in range(5):
        start = time.process_time()
        thread_map(lambda part: np.copyto(*part), parts, threads)
        best = min(best, time.process_time() - start)
    return 2.0 * source.nbytes / best


def device_flops(device: Device, size: int = 4096) -> float | None:
    """Operations per second of float32 matrix products on a device; None where CuPy finds no cuBLAS, which nothing else needs."""
    a = device.xp.ones((size, size), np.float32)
    try:
        a @ a
    except Exception as error:  # CuPy's class for a library that is not found differs between its versions
        logger.warning("matrix products of the device cannot be timed: %s", error)
        return None
    return 2.0 * size**3 / min(device.seconds(lambda: a @ a) for _ in range(4))


def device_bandwidth(device: Device, megabytes: int = 1024) -> float:
    """Bytes per second, read and written, of copying an array on a device."""
    source = device.xp.ones((megabytes, 1 << 18), np.float32)
    target = device.xp.zeros_like(source)

    def copy() -> None:
        target[:] = source

    return 2.0 * float(source.nbytes) / min(device.seconds(copy) for _ in range(6))
