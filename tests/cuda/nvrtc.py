"""Reads what ptxas says about each kernel of a CUDA source."""

import re
from typing import NamedTuple

from fitrec.kernels.cuda.compile import compile_cuda

_ENTRY = re.compile(r"Compiling entry function '(\S+)'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")


class Usage(NamedTuple):
    """What one kernel takes; stack and spilled registers in bytes."""

    registers: int
    stack: int
    spilled: int


def usage(text: str, architecture: str) -> dict[str, Usage]:
    """Compile for an architecture such as ``sm_90``; the figures of each kernel."""
    binary, log = compile_cuda(text, architecture, ["--ptxas-options=-v"])
    assert binary
    _, *sections = _ENTRY.split(log)
    found = {}
    for kernel, part in zip(sections[::2], sections[1::2], strict=True):
        registers = _REGISTERS.search(part)
        frames = [[int(number) for number in frame] for frame in _FRAME.findall(part)]
        assert registers is not None, f"no figures for {kernel} in the compiler's log"
        assert frames, f"no figures for {kernel} in the compiler's log"
        found[kernel] = Usage(int(registers[1]), max(f[0] for f in frames), sum(f[1] + f[2] for f in frames))
    return found
