"""What is tested and timed of a device, the most important first; settings are those of the anchors."""

import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import fitrec
from fitrec.bench import gradient, gradient_device, loop, machine, ridge, rls, rls_device, simulate
from fitrec.bench.report import report
from fitrec.errors import FitrecError
from fitrec.kernels.cuda.device import Device, open_device
from fitrec.kernels.cuda.source import kernels, modules, source
from fitrec.threads import available_threads

Work = Callable[[Device | None, bool], dict[str, Any]]

_FEW = 300  # neurons of a small network


def run_part(name: str, device: str, out: Path, *, small: bool) -> dict[str, Any]:
    """Run one part in this process and return its figures with their circumstances.

    Parameters
    ----------
    device : "cpu" or "cuda:<number>"
    out
        Folder for what a part writes besides.

    Raises
    ------
    DeviceError
        If the device cannot be used, or has too little memory.
    FailedError
        If what was to be shown is not so.

    """
    if name == "tests":
        return _tests(device, out)
    opened = open_device(device)
    figures = _WORK[name](opened, small)
    return report(name, figures, device="cpu" if opened is None else opened.name, threads=available_threads())


class FailedError(FitrecError):
    """Something that has to hold does not."""


def _first_contact(device: Device | None, small: bool) -> dict[str, Any]:
    """Load every file's kernels, and copy memory."""
    if device is None:
        return {}
    seconds = {}
    for module in modules():
        started = time.perf_counter()
        device.resident_blocks(module, kernels(source(module))[0], 64)
        seconds[module] = round(time.perf_counter() - started, 3)
    free = device.free_bytes()
    return {
        "seconds_to_compile": seconds,
        "free_gb": free / 1e9,
        "shared_bytes": device.shared_bytes,
        "blocks_of_the_time_loop": device.resident_blocks("lif", "lif_run", 256),
        "copy_gb_per_s": machine.device_bandwidth(device, 16 if small else 1024) / 1e9,
    }


def _same_bits(device: Device | None, small: bool) -> dict[str, Any]:
    """Train the default network for a loop, on the device and on the CPU: weights, P and neurons have to be the same bits."""
    size: dict[str, Any] = {
        "preset": "default-4096",
        "neurons": _FEW if small else None,
        "loops": 1,
        "threads": available_threads(),
    }
    found = {name: loop.run(**size, device=where) for name, where in (("device", device), ("cpu", None))}
    digests = {name: figures["state_sha256"] for name, figures in found.items()}
    if digests["device"] != digests["cpu"]:
        raise FailedError(f"a training loop does not give the same bits on device and CPU: {digests}")
    return {"state_sha256": digests["cpu"], "seconds": {name: figures["seconds_per_loop"] for name, figures in found.items()}}


def _tests(device: str, out: Path) -> dict[str, Any]:
    """Run the tests that need a GPU, from the source tree; they take the first one."""
    folder = Path(fitrec.__file__).parents[1]
    if device == "cpu" or find_spec("pytest") is None or not (folder / "tests" / "cuda").is_dir():
        return {"note": "these tests need a GPU, pytest and a source tree"}
    result = (out / "tests.xml").absolute()
    options = ["-q", "--tb=short", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib", f"--junitxml={result}"]
    options += ["-n", "4", "--dist", "loadfile"] if find_spec("xdist") else []
    done = subprocess.run([sys.executable, "-m", "pytest", "-m", "gpu", "tests/cuda", *options], cwd=folder, check=False)
    suite = ElementTree.parse(result).getroot().find("testsuite") if result.exists() else None
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")} if suite is not None else {}
    if done.returncode != 0:
        raise FailedError(f"the tests on the GPU fail: {counts}; the log names them")
    return counts


def _loop(preset: str, **options: Any) -> Work:
    def work(device: Device | None, small: bool) -> dict[str, Any]:
        size: dict[str, Any] = {"neurons": _FEW if small else None, "threads": available_threads()}
        return loop.run(preset=preset, **size, **options, device=device)

    return work


def _rls(neurons: int, inputs: int, storage: str = "full", flush: str = "auto") -> Work:
    def work(device: Device | None, small: bool) -> dict[str, Any]:
        size: dict[str, Any] = {"neurons": 4 if small else neurons, "inputs": 20 if small else inputs, "updates": 96}
        options: dict[str, Any] = {"rate_hz": 5.0, "every_ms": 10.0, "rank": None, "storage": storage, "flush": flush}
        if device is None:
            return rls.run(**size, **options, threads=available_threads())
        return rls_device.run(device, **size, **options)

    return work


def _ridge(device: Device | None, small: bool) -> dict[str, Any]:
    size: dict[str, Any] = {
        "neurons": _FEW if small else 66_002,
        "inputs": 128,
        "samples": 300 if small else 3000,
        "solved": 4 if small else None,
    }
    options: dict[str, Any] = {
        "rate_hz": 5.0,
        "gram": "gathered",
        "trace_bits": 16,
        "memory_gb": 8.0,
        "threads": available_threads(),
    }
    return ridge.run(**size, **options, device=device)


def _simulate(device: Device | None, small: bool) -> dict[str, Any]:
    size: dict[str, Any] = {"neurons": _FEW if small else 66_002, "out_degree": 100 if small else 1024, "rate_hz": 5.0}
    return simulate.run(**size, steps=100 if small else 2000, threads=available_threads(), device=device)


def _gradient(device: Device | None, small: bool) -> dict[str, Any]:
    size: dict[str, Any] = {"neurons": 10_000, "synapses": 1_000_000, "steps": 1000}
    if small:
        size |= {"neurons": _FEW, "synapses": 4000, "steps": 100}
    rest: dict[str, Any] = {"rate_hz": 7.0, "every": 10, "rule": "local-adjoint", "model": "lif_psc_exp", "preset": None}
    asked = gradient.Asked(**size, **rest)
    return gradient.run(asked, available_threads()) if device is None else gradient_device.run(device, asked)


_WORK: dict[str, Work] = {
    "first-contact": _first_contact,
    "same-bits": _same_bits,
    "loop-66k": _loop("neuropixels-66k", loops=5),
    "rls-128": _rls(66_002, 128),
    "rls-400": _rls(8000, 400),
    "ridge": _ridge,
    "simulate": _simulate,
    "gradient": _gradient,
    "rls-1000": _rls(1000, 1000),
    "rls-128-half": _rls(66_002, 128, flush="half"),
    "rls-128-packed": _rls(66_002, 128, storage="packed"),
    "million": _loop("million", loops=2),
}
# Seconds for each part, in their order.
LIMITS_S: dict[str, float] = {
    "first-contact": 90,
    "same-bits": 120,
    "tests": 240,
    "loop-66k": 150,
    "rls-128": 90,
    "rls-400": 60,
    "ridge": 90,
    "simulate": 60,
    "gradient": 60,
    "rls-1000": 60,
    "rls-128-half": 60,
    "rls-128-packed": 60,
    "million": 200,
}
