"""The text of the CUDA files, as every compiler gets it: NVRTC, and a host compiler in the tests."""

import hashlib
import re
import sys
from functools import cache
from importlib.resources import files

import numpy as np

from fitrec.kernels.cpu import eprop_plus, lif, noise, philox, recurring, rls_state, wiring
from fitrec.kernels.cuda.series import series
from fitrec.kernels.eprop import Feedback, Reset, Surrogate
from fitrec.kernels.optimise import LINEAR_FROM, PART, Constraint, Optimizer

_INCLUDE = re.compile(r'^#include "([\w.]+)"$', re.MULTILINE)
_ONCE = re.compile(r"^#pragma once$", re.MULTILINE)  # headers are put in place once anyhow
_KINDS = (Optimizer, Constraint, Reset, Surrogate, Feedback)
_KERNEL = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\s*\(")


def modules() -> list[str]:
    """Names of all files with kernels, without their suffix."""
    return sorted(entry.name.removesuffix(".cu") for entry in files(__package__).iterdir() if entry.name.endswith(".cu"))


_GENERATED: dict[str, str] = {}  # by the name that kernels of them are started with


def add_source(text: str) -> str:
    """Let kernels of a generated source be started; returns the module's name."""
    name = "generated-" + hashlib.sha256(text.encode()).hexdigest()[:24]
    _GENERATED[name] = text
    return name


@cache
def source(module: str) -> str:
    """Return the text of ``module.cu``, or of a generated module, as compilers get it."""
    if module in _GENERATED:
        return _GENERATED[module]
    return with_constants(files(__package__).joinpath(f"{module}.cu").read_text(), f"{module}.cu")


def with_constants(text: str, name: str) -> str:
    """Put the constants shared with Python in front, and includes in place."""
    return _constants() + with_includes(text, name)


def with_includes(text: str, name: str) -> str:
    """Put the headers of this folder in place of the first ``#include`` of each; line numbers stay those of the files."""
    seen: set[str] = set()

    def expand(text: str, name: str) -> str:
        def put(match: re.Match[str]) -> str:
            header = match[1]
            if header in seen:
                return ""
            seen.add(header)
            line = text.count("\n", 0, match.start()) + 2
            found = series() if header == "series.cuh" else files(__package__).joinpath(header).read_text()
            return f'{expand(found, header)}\n#line {line} "{name}"'

        return f'#line 1 "{name}"\n' + _INCLUDE.sub(put, _ONCE.sub("", text))

    return expand(text, name)


def kernels(text: str) -> list[str]:
    """Names of the kernels that a source text defines."""
    return _KERNEL.findall(text)


def _constants() -> str:
    values = {
        "STREAM_INITIAL_VOLTAGE": philox.INITIAL_VOLTAGE,
        "STREAM_MEMBRANE_NOISE": philox.MEMBRANE_NOISE,
        "STREAM_STIMULUS": philox.STIMULUS,
        "STREAM_FEED_FORWARD": philox.FEED_FORWARD,
        "STREAM_PROCEDURAL_WIRING": wiring.PROCEDURAL_WIRING,
        "NOISE_LANES": noise.LANES,
        "DEVIATE_SCALE": f"{float(noise.DEVIATE_SCALE).hex()}f",
        "NORMAL_MEAN": philox.NORMAL_MEAN,
        "NORMAL_SCALE": f"{float(philox.NORMAL_SCALE).hex()}f",
        "CODE_ONE": rls_state.CODE_ONE,
        "CODE_ROOT_DOUBLE": float(np.sqrt(rls_state.CODE_ONE)).hex(),
        "FROM_FIXED": f"{(1.0 / lif.FIXED_ONE).hex()}f",
        "SQUARES_PART": PART,
        "RECURRING_GROUP": recurring.GROUP,
        "LINEAR_FROM": LINEAR_FROM.hex(),
        "SMALLEST_DOUBLE": sys.float_info.min.hex(),
        "TIDY_STEPS": eprop_plus.TIDY_STEPS,
        **{f"{kinds.__name__.upper()}_{kind.name}": int(kind) for kinds in _KINDS for kind in kinds},
    }
    return "".join(f"#define {name} {value}\n" for name, value in values.items())
