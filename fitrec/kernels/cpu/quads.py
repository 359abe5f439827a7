"""Vectors of 16 numbers that are four rows of four columns, for matrices kept in strips of four columns (`rls_state.new_state`).

What is said in `fitrec.kernels.cpu.simd` holds here too.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fitrec.kernels.cpu.simd import WIDTH, Vector, element_bytes, element_pointer, is_float_array

QUAD = 4

_INDEX = ir.IntType(64)


def _load(builder: Any, pointer: Any, offset: Any, count: int) -> Any:
    place = builder.gep(pointer, [offset])
    vector = ir.VectorType(place.type.pointee, count).as_pointer()
    return builder.load(builder.bitcast(place, vector), align=element_bytes(place.type.pointee))


def _shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _join(builder: Any, parts: list[Any], lanes: list[int]) -> Any:
    """Vector of the chosen lanes of four vectors of equal length, as many of each."""
    both = lanes + [parts[0].type.count + k for k in lanes]
    low, high = (_shuffle(builder, parts[i], parts[i + 1], both) for i in (0, 2))
    return _shuffle(builder, low, high, list(range(WIDTH)))


@intrinsic
def load_row(typingctx: Any, array: Any, offset: Any, stride: Any) -> Any:
    """Four times four elements of the flat array: from `offset`, and from every `stride` after it."""
    if not is_float_array(array):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, signature.args[0], args[0], args[1])
        parts = [_load(builder, pointer, builder.mul(args[2], ir.Constant(_INDEX, k)), QUAD) for k in range(QUAD)]
        return _join(builder, parts, list(range(QUAD)))

    return Vector(array.dtype)(array, types.intp, types.intp), codegen


@intrinsic
def load_column(typingctx: Any, array: Any, offset: Any, column: Any) -> Any:
    """Every fourth of the 64 elements of the flat array from `offset`, beginning with element `column`, which is 0 to 3."""
    if not is_float_array(array):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, signature.args[0], args[0], args[1])
        parts = [_load(builder, pointer, ir.Constant(_INDEX, WIDTH * k), WIDTH) for k in range(QUAD)]
        done = builder.append_basic_block("column")
        found = []
        cases = builder.switch(args[2], builder.append_basic_block("column.last"))
        for c in range(QUAD):
            block = cases.default if c == QUAD - 1 else builder.append_basic_block(f"column.{c}")
            if c < QUAD - 1:
                cases.add_case(ir.Constant(_INDEX, c), block)
            builder.position_at_end(block)
            found.append((_join(builder, parts, list(range(c, WIDTH, QUAD))), block))
            builder.branch(done)
        builder.position_at_end(done)
        value = builder.phi(found[0][0].type)
        for incoming in found:
            value.add_incoming(*incoming)
        return value

    return Vector(array.dtype)(array, types.intp, types.intp), codegen


def _repeating(lanes: list[int]) -> Any:
    """Intrinsic that loads four elements from an offset of the flat array into 16 lanes."""

    @intrinsic
    def load(typingctx: Any, array: Any, offset: Any) -> Any:
        if not is_float_array(array):
            return None

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = element_pointer(context, builder, signature.args[0], args[0], args[1])
            quad = _load(builder, pointer, ir.Constant(_INDEX, 0), QUAD)
            return _shuffle(builder, quad, quad, lanes)

        return Vector(array.dtype)(array, types.intp), codegen

    return load


repeat_each = _repeating([k // QUAD for k in range(WIDTH)])  # 0 0 0 0 1 1 1 1 2 ...
repeat_all = _repeating([k % QUAD for k in range(WIDTH)])  # 0 1 2 3 0 1 2 3 0 ...
