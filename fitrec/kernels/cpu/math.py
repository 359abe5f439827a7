"""Explicit fused multiply-add, the same on every machine that has one (DESIGN section 4)."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c with one rounding, in the type of the arguments (float32 or float64)."""
    if not (a == b == c and isinstance(a, types.Float)):
        return None
    signature = a(a, b, c)

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return signature, codegen
