"""What every benchmark and task states beside its figures: device, threads, versions, processor, date."""

import os
import platform
import resource
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fitrec import __version__
from fitrec.kernels.cuda.device import gpu_versions

_PACKAGES = ("numpy", "scipy", "numba", "llvmlite")


def report(name: str, figures: Mapping[str, Any], *, device: str, threads: int) -> dict[str, Any]:
    """Return the figures of benchmark `name` with the circumstances they were measured in."""
    return {"benchmark": name, **figures, **circumstances(device=device, threads=threads)}


def circumstances(*, device: str, threads: int) -> dict[str, Any]:
    """Return device, threads, processor, load, memory, date and versions."""
    return {
        "device": device,
        "threads": threads,
        "processor": processor(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": _versions() | (gpu_versions() if device.startswith("cuda") else {}),
    }


def _versions() -> dict[str, str]:
    found = {"fitrec": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def processor() -> str:
    """Name of the processor, as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
