"""Vectors of 16 numbers for numba: what the auto-vectoriser cannot be trusted with (register blocking, possible aliasing).

A vector lives in registers only, inside one compiled function. Everything is element by element and in a stated order, so the
bits are the same whatever vector width the processor has. Arrays are read and written at offsets into their flat memory; there is
no bounds check.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from fitrec.kernels.cpu.aligned import LINE_BYTES

WIDTH = 16


class Vector(types.Type):  # type: ignore[misc]  # numba is not typed
    """Sixteen float32 or float64."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Vector) -> None:
        element = ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(element, WIDTH))


def element_pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Pointer to an element of an array's flat memory."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [offset])


def is_float_array(array: Any) -> bool:
    """Whether a numba type is that of a contiguous array of floats."""
    return isinstance(array, types.Array) and array.layout == "C" and isinstance(array.dtype, types.Float)


def vector_intrinsic(builder: Any, name: str, args: Any) -> Any:
    """Call one of LLVM's functions on vectors."""
    vector = args[0].type
    suffix = {"float": "f32", "double": "f64"}[str(vector.element)]
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * len(args)), f"{name}.v{WIDTH}{suffix}"
    )
    return builder.call(function, args)


def _to_int16(builder: Any, value: Any) -> Any:
    """Round to the nearest, keep within the range, and convert by way of int32, as vector units do."""
    nearest = vector_intrinsic(builder, "llvm.rint", [value])
    for name, limit in (("llvm.minnum", 32767.0), ("llvm.maxnum", -32767.0)):
        nearest = vector_intrinsic(
            builder, name, [nearest, ir.Constant(value.type, [ir.Constant(value.type.element, limit)] * WIDTH)]
        )
    whole = builder.fptosi(nearest, ir.VectorType(ir.IntType(32), WIDTH))
    return builder.trunc(whole, ir.VectorType(ir.IntType(16), WIDTH))


@intrinsic
def load(typingctx: Any, array: Any, offset: Any) -> Any:
    """Sixteen elements of the flat array from `offset`; int16 becomes float32."""
    short = isinstance(array, types.Array) and array.dtype == types.int16
    if not (short or is_float_array(array)):
        return None
    vector = Vector(types.float32 if short else array.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, signature.args[0], args[0], args[1])
        element = pointer.type.pointee
        value = builder.load(builder.bitcast(pointer, ir.VectorType(element, WIDTH).as_pointer()), align=element_bytes(element))
        return builder.sitofp(value, ir.VectorType(ir.FloatType(), WIDTH)) if short else value

    return vector(array, types.intp), codegen


@intrinsic
def store(typingctx: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write sixteen elements; into int16 they are rounded to the nearest (ties to even), and kept within its range."""
    short = isinstance(array, types.Array) and array.dtype == types.int16
    if not isinstance(value, Vector) or not (short or is_float_array(array)):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, signature.args[0], args[0], args[1])
        element = pointer.type.pointee
        out = args[2]
        if short:
            out = _to_int16(builder, out)
        vector = builder.bitcast(pointer, ir.VectorType(element, WIDTH).as_pointer())
        builder.store(out, vector, align=element_bytes(element))
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


def mark_as_streamed(builder: Any, written: Any) -> None:
    """Let a store go past the caches."""
    written.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))


@intrinsic
def stream(typingctx: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write sixteen elements past the caches, for what is read much later; the place must begin a cache line."""
    if not (isinstance(value, Vector) and is_float_array(array)):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, signature.args[0], args[0], args[1])
        vector = builder.bitcast(pointer, ir.VectorType(pointer.type.pointee, WIDTH).as_pointer())
        written = builder.store(args[2], vector, align=LINE_BYTES)
        mark_as_streamed(builder, written)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


def element_bytes(element: Any) -> int:
    """Size of an LLVM element type in bytes."""
    return {"float": 4, "double": 8, "i16": 2}[str(element)]


def repeat(builder: Any, value: Any) -> Any:
    """Vector of a number."""
    undefined = ir.Constant(ir.VectorType(value.type, WIDTH), ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(one, undefined, mask)


@intrinsic
def broadcast(typingctx: Any, value: Any) -> Any:
    """Sixteen times the same number."""
    if not isinstance(value, types.Float):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return repeat(builder, args[0])

    return Vector(value)(value), codegen


@intrinsic
def spread(typingctx: Any, array: Any, offset: Any) -> Any:
    """Sixteen times the element of the flat array at `offset`."""
    if not is_float_array(array):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return repeat(builder, builder.load(element_pointer(context, builder, signature.args[0], args[0], args[1])))

    return Vector(array.dtype)(array, types.intp), codegen


@intrinsic
def vfma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c with one rounding."""
    if not (isinstance(a, Vector) and a == b == c):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return vector_intrinsic(builder, "llvm.fma", args)

    return a(a, a, a), codegen


@intrinsic
def vfnma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return c - a * b with one rounding."""
    if not (isinstance(a, Vector) and a == b == c):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a, b, c = args
        return vector_intrinsic(builder, "llvm.fma", [builder.fneg(a), b, c])

    return a(a, a, a), codegen


@intrinsic
def vmul(typingctx: Any, a: Any, b: Any) -> Any:
    """Return a * b."""
    if not (isinstance(a, Vector) and a == b):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fmul(*args)

    return a(a, a), codegen


@intrinsic
def vsum2(typingctx: Any, low: Any, high: Any) -> Any:
    """Sum of 32 lanes (the second sixteen are `high`) by a fixed tree: lane i plus lane i + 16, then + 8, + 4, + 2, + 1."""
    if not (isinstance(low, Vector) and low == high):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.fadd(args[0], args[1])
        width = WIDTH // 2
        while width:
            rotated = [(i + width) % WIDTH for i in range(WIDTH)]
            mask = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), rotated)
            value = builder.fadd(value, builder.shuffle_vector(value, value, mask))
            width //= 2
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return low.dtype(low, low), codegen


def _pointers(builder: Any, first: Any, index: Any) -> Any:
    """Vector of the addresses first + index. llvmlite has no such type for an address, which so gets it afterwards."""
    address = builder.gep(first, [ir.Constant(ir.IntType(64), 0)])
    address.type, address.indices, address.operands = ir.VectorType(first.type, WIDTH), [index], [first, index]
    return address


@intrinsic
def load_places(typingctx: Any, array: Any, places: Any, offset: Any) -> Any:
    """Elements of the flat array at sixteen places, int32, those of the flat array `places` from `offset`."""
    if not (is_float_array(array) and isinstance(places, types.Array) and places.dtype == types.int32):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        i64, whole = ir.IntType(64), ir.VectorType(ir.IntType(32), WIDTH)
        pointer = element_pointer(context, builder, signature.args[1], args[1], args[2])
        chosen = builder.load(builder.bitcast(pointer, whole.as_pointer()), align=4)
        first = element_pointer(context, builder, signature.args[0], args[0], ir.Constant(i64, 0))
        element = first.type.pointee
        index = builder.sext(chosen, ir.VectorType(i64, WIDTH))
        pointers, value = ir.VectorType(first.type, WIDTH), ir.VectorType(element, WIDTH)
        mask = ir.VectorType(ir.IntType(1), WIDTH)
        kind = ir.FunctionType(value, [pointers, ir.IntType(32), mask, value])
        suffix = {"float": "f32", "double": "f64"}[str(element)]
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.gather.v{WIDTH}{suffix}.v{WIDTH}p0")
        every = ir.Constant(mask, [ir.Constant(ir.IntType(1), 1)] * WIDTH)
        alignment = ir.Constant(ir.IntType(32), element_bytes(element))
        return builder.call(function, [_pointers(builder, first, index), alignment, every, ir.Constant(value, ir.Undefined)])

    return Vector(array.dtype)(array, places, types.intp), codegen


@intrinsic
def prefetch(typingctx: Any, array: Any, offset: Any) -> Any:
    """Ask for the cache line of an element of the flat array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.bitcast(
            element_pointer(context, builder, signature.args[0], args[0], args[1]), ir.IntType(8).as_pointer()
        )
        i32 = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, i32, i32, i32])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        builder.call(function, [pointer, ir.Constant(i32, 0), ir.Constant(i32, 2), ir.Constant(i32, 1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen
