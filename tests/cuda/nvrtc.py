"""Compiles CUDA sources with NVRTC, which needs no GPU, and reads what ptxas says about each kernel."""

import re
from typing import NamedTuple

from fitrec.kernels.cuda.source import OPTIONS

_ENTRY = re.compile(r"Compiling entry function '(\S+)'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")


class Usage(NamedTuple):
    """What one kernel takes; stack and spilled registers in bytes."""

    registers: int
    stack: int
    spilled: int


def compile_cuda(text: str, architecture: str) -> dict[str, Usage]:
    """Compile for an architecture such as ``sm_90``; AssertionError with the compiler's log if that fails."""
    # CuPy's own functions for this ask the driver for a device first.
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(text, "kernels.cu", [], [])
    try:
        try:
            nvrtc.compileProgram(program, [*OPTIONS, f"--gpu-architecture={architecture}", "--ptxas-options=-v"])
        except nvrtc.NVRTCError as error:
            raise AssertionError(f"does not compile for {architecture}:\n{nvrtc.getProgramLog(program)}") from error
        assert nvrtc.getCUBIN(program)
        return _usage(nvrtc.getProgramLog(program))
    finally:
        nvrtc.destroyProgram(program)


def _usage(log: str) -> dict[str, Usage]:
    _, *sections = _ENTRY.split(log)
    found = {}
    for kernel, text in zip(sections[::2], sections[1::2], strict=True):
        registers = _REGISTERS.search(text)
        frames = [[int(number) for number in frame] for frame in _FRAME.findall(text)]
        assert registers is not None, f"no figures for {kernel} in the compiler's log"
        assert frames, f"no figures for {kernel} in the compiler's log"
        found[kernel] = Usage(int(registers[1]), max(f[0] for f in frames), sum(f[1] + f[2] for f in frames))
    return found
