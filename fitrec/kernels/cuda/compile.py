"""Compiles CUDA sources with NVRTC, which needs no GPU.

Not through ``cupy.RawModule``: CuPy adds ``-ftz=true``, which sets denormal numbers to zero, and the CPU does not. Besides, what
the tests compile is then what a device runs. A file takes up to two seconds, so what was made is kept for later runs.
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence

from fitrec.errors import DeviceError
from fitrec.kernels.cache import cache_folder, write_whole

logger = logging.getLogger(__name__)

# Every operation rounds as on the CPU: multiplication and addition are fused only where the source says so, denormal numbers are
# kept, division and square root round correctly. The host compiler's counterpart is -ffp-contract=off.
OPTIONS = ("--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true")


class CompilationError(Exception):
    """A CUDA source that does not compile; the message holds the compiler's log."""


OLDEST = 70  # compute capability, ten times: parameters that threads read in place (``__grid_constant__``) begin with 7.0


def architecture(capability: str, supported: Iterable[int]) -> str:
    """Name what to compile for on a device of compute `capability` ("90": 9.0) with a compiler that knows those of `supported`.

    The device's own machine code if it is among them; for a device younger than the compiler the PTX of the youngest, which the
    driver translates.

    Raises
    ------
    DeviceError
        If the device is too old for the kernels or for the compiler.

    """
    number, known = int(capability), [n for n in supported if OLDEST <= n <= int(capability)]
    if number in known:
        return f"sm_{number}"
    if not known:
        needed = max(OLDEST, min(supported, default=OLDEST))
        raise DeviceError(
            f"the GPU's compute capability is {number / 10:.1f}, but {needed / 10:.1f} or more is needed with this NVRTC; use "
            "--device cpu, or an NVRTC and a CuPy for an earlier CUDA if the GPU has 7.0 or more"
        )
    return f"compute_{max(known)}"


def compile_cuda(text: str, architecture: str, further: Sequence[str] = ()) -> tuple[bytes, str]:
    """Compile for an architecture such as ``sm_90`` to machine code, or such as ``compute_90`` to PTX; returns it and the log."""
    from cupy_backends.cuda.libs import nvrtc

    program = nvrtc.createProgram(text, "fitrec.cu", [], [])
    try:
        try:
            nvrtc.compileProgram(program, [*OPTIONS, f"--gpu-architecture={architecture}", *further])
        except nvrtc.NVRTCError as error:
            log = nvrtc.getProgramLog(program)
            raise CompilationError(f"the CUDA source does not compile for {architecture}:\n{log}") from error
        made = nvrtc.getPTX(program) if architecture.startswith("compute_") else nvrtc.getCUBIN(program)
        return made, nvrtc.getProgramLog(program)
    finally:
        nvrtc.destroyProgram(program)


def compiled(text: str, architecture: str) -> bytes:
    """Return what `compile_cuda` makes, from the cache of earlier runs if it is there and undamaged."""
    from cupy_backends.cuda.libs import nvrtc

    key = hashlib.sha256(repr((nvrtc.getVersion(), OPTIONS, architecture, text)).encode()).hexdigest()
    path = cache_folder("cuda") / f"{key}.bin"
    try:
        digest, binary = path.read_bytes().split(b"\n", 1)
        if hashlib.sha256(binary).hexdigest().encode() == digest:
            return binary
    except (OSError, ValueError):  # not there, or no whole file
        pass
    binary, _ = compile_cuda(text, architecture)
    try:
        write_whole(path, hashlib.sha256(binary).hexdigest().encode() + b"\n" + binary)
    except OSError as error:
        logger.info("compiled kernels are not kept for later runs: %s", error)
    return binary
