"""Compiles CUDA sources with NVRTC, which needs no GPU.

Not through ``cupy.RawModule``: CuPy adds ``-ftz=true``, which sets denormal numbers to zero, and the CPU does not. Besides, what
the tests compile is then what a device runs. A file takes a fraction of a second.
"""

from collections.abc import Sequence

# Every operation rounds as on the CPU: multiplication and addition are fused only where the source says so, denormal numbers are
# kept, division and square root round correctly. The host compiler's counterpart is -ffp-contract=off.
OPTIONS = ("--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true")


class CompilationError(Exception):
    """A CUDA source that does not compile; the message holds the compiler's log."""


def compile_cuda(text: str, architecture: str, further: Sequence[str] = ()) -> tuple[bytes, str]:
    """Compile for an architecture such as ``sm_90``; returns the binary and the compiler's log."""
    from cupy_backends.cuda.libs import nvrtc

    program = nvrtc.createProgram(text, "fitrec.cu", [], [])
    try:
        try:
            nvrtc.compileProgram(program, [*OPTIONS, f"--gpu-architecture={architecture}", *further])
        except nvrtc.NVRTCError as error:
            log = nvrtc.getProgramLog(program)
            raise CompilationError(f"the CUDA source does not compile for {architecture}:\n{log}") from error
        return nvrtc.getCUBIN(program), nvrtc.getProgramLog(program)
    finally:
        nvrtc.destroyProgram(program)
