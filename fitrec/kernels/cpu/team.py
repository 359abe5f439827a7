"""What threads that advance one network together need: a barrier that costs well below a microsecond, and a clock."""

import platform
import time
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

SPINS = 200  # some microseconds; a thread that waits longer lets others have its core
CACHE_LINE = 8  # in int64: what different threads write lies this far apart
_X86 = platform.machine() in ("x86_64", "AMD64")
_sched_yield = types.ExternalFunction("sched_yield", types.int32())


@intrinsic
def _fetch_add(typingctx: Any, array: Any) -> Any:
    """Add 1 to the first value of an int64 array, atomically."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(array), codegen


@intrinsic
def _load(typingctx: Any, array: Any) -> Any:
    """Read the first value of an int64 array that other threads write."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0]).data
        return builder.load_atomic(data, "acquire", 8)

    return types.int64(array), codegen


@intrinsic
def _pause(typingctx: Any) -> Any:
    """Tell the processor that this thread only waits."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        if _X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic
def nanoseconds(typingctx: Any) -> Any:
    """Return the monotonic clock in ns (int64)."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        i32, i64 = ir.IntType(32), ir.IntType(64)
        spec = cgutils.alloca_once(builder, ir.ArrayType(i64, 2))
        pointer = builder.bitcast(spec, i64.as_pointer())
        kind = ir.FunctionType(i32, [i32, i64.as_pointer()])
        function = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
        builder.call(function, [ir.Constant(i32, time.CLOCK_MONOTONIC), pointer])
        seconds = builder.load(pointer)
        rest = builder.load(builder.gep(pointer, [ir.Constant(i32, 1)]))
        return builder.add(builder.mul(seconds, ir.Constant(i64, 10**9)), rest)

    return types.int64(), codegen


@njit(nogil=True, cache=True)
def meet(arrived, goal):
    """Wait until `arrived` has been counted up to `goal`, this thread included.

    What a thread wrote before it met the others, they can read afterwards. Goals rise by the number of threads from one meeting
    to the next.
    """
    _fetch_add(arrived)
    spins = 0
    while _load(arrived) < goal:
        spins += 1
        if spins < SPINS:
            _pause()
        else:
            _sched_yield()


def new_counter() -> Any:
    """Return a counter of arrivals for `meet`, alone on its cache line."""
    return np.zeros(CACHE_LINE, np.int64)
