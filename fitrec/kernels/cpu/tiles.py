"""Tiles of matrix products for numba: sums over samples in ascending order, each one chain of fused multiply-adds.

Every element is summed on its own, in the order of the samples, so that neither the width of the vectors nor how many elements a
processor works on at the same time can change a bit.
"""

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fitrec.kernels.cpu.simd import WIDTH

# Rows whose sums stay in registers together: as many as there are vectors of 16 for, two left for what is loaded.
ROWS = 16 if binding.get_host_cpu_features().get("avx512f") else 4

_FLOAT, _INDEX = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, WIDTH)


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _vector_at(builder: Any, data: Any, offset: Any) -> Any:
    return builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{WIDTH}f32"), [a, b, c])


def _repeat(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH))


def _tile(context: Any, builder: Any, signature: Any, args: Any, *, onto: bool) -> Any:
    """Emit the loops of `add_product` (onto=False) or `subtract_product` (onto=True)."""
    left, right, out = (_data(context, builder, signature.args[i], args[i]) for i in (0, 3, 7))
    left_at, left_stride, right_at, right_stride, samples, out_at, out_stride = (args[i] for i in (1, 2, 4, 5, 6, 8, 9))
    negative = None if onto else args[10]
    for first in range(0, WIDTH, ROWS):
        places, sums = [], []
        for row in range(first, first + ROWS):
            offset = builder.add(out_at, builder.mul(ir.Constant(_INDEX, row), out_stride))
            places.append(_vector_at(builder, out, offset))
            start = builder.load(places[-1], align=4) if onto else ir.Constant(_VECTOR, [0.0] * WIDTH)
            sums.append(cgutils.alloca_once(builder, _VECTOR))
            builder.store(start, sums[-1])
        with cgutils.for_range(builder, samples) as loop:
            a = builder.add(left_at, builder.mul(loop.index, left_stride))
            vector = builder.load(
                _vector_at(builder, right, builder.add(right_at, builder.mul(loop.index, right_stride))), align=4
            )
            for row, total in enumerate(sums):
                scalar = builder.load(builder.gep(left, [builder.add(a, ir.Constant(_INDEX, first + row))]))
                factor = _repeat(builder, builder.fneg(scalar) if onto else scalar)
                builder.store(_fma(builder, factor, vector, builder.load(total)), total)
        for place, total in zip(places, sums, strict=True):
            value = builder.load(total)
            if negative is not None:
                before = builder.load(place, align=4)
                value = builder.select(negative, builder.fsub(before, value), builder.fadd(before, value))
            builder.store(value, place, align=4)
    return context.get_dummy_value()


_POSITION = (types.intp, types.intp)


@intrinsic
def add_product(
    typingctx: Any,
    left: Any,
    left_at: Any,
    left_stride: Any,
    right: Any,
    right_at: Any,
    right_stride: Any,
    samples: Any,
    out: Any,
    out_at: Any,
    out_stride: Any,
    negative: Any,
) -> Any:
    """Add a product of 16 x samples x 16, summed from zero, to a tile of `out`; with `negative` take it away.

    Element (i, j) of the tile is ``out[out_at + i out_stride + j]``, and its sum goes over
    ``left[left_at + s left_stride + i] * right[right_at + s right_stride + j]``; the arrays are float32 and read flat.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _tile(context, builder, signature, args, onto=False)

    operands = (left, *_POSITION, right, *_POSITION, types.intp, out, *_POSITION)
    return types.void(*operands, types.boolean), codegen


@intrinsic
def subtract_product(
    typingctx: Any,
    left: Any,
    left_at: Any,
    left_stride: Any,
    right: Any,
    right_at: Any,
    right_stride: Any,
    samples: Any,
    out: Any,
    out_at: Any,
    out_stride: Any,
) -> Any:
    """Take a product of 16 x samples x 16 away from a tile of `out`, sample by sample; arguments as in `add_product`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _tile(context, builder, signature, args, onto=True)

    return types.void(left, *_POSITION, right, *_POSITION, types.intp, out, *_POSITION), codegen


@intrinsic
def transpose(typingctx: Any, source: Any, at: Any, stride: Any, out: Any, out_at: Any) -> Any:
    """Write the transpose of 16 x 16 float32, rows `stride` apart, without gaps from ``out[out_at]`` on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows_data, out_data = (
            _data(context, builder, signature.args[0], args[0]),
            _data(context, builder, signature.args[3], args[3]),
        )
        rows = [
            builder.load(
                _vector_at(builder, rows_data, builder.add(args[1], builder.mul(ir.Constant(_INDEX, i), args[2]))), align=4
            )
            for i in range(WIDTH)
        ]
        # Four rounds: in each, rows i and i + 8 are interleaved into rows 2 i and 2 i + 1, a rotation of the index's eight bits.
        low, high = ([k // 2 + WIDTH * (k % 2) + part * WIDTH // 2 for k in range(WIDTH)] for part in (0, 1))
        masks = [ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), mask) for mask in (low, high)]
        for _ in range(4):
            pairs = [(rows[i], rows[i + WIDTH // 2]) for i in range(WIDTH // 2)]
            rows = [builder.shuffle_vector(*pair, mask) for pair in pairs for mask in masks]
        for i, row in enumerate(rows):
            place = builder.add(args[4], ir.Constant(_INDEX, i * WIDTH))
            builder.store(row, _vector_at(builder, out_data, place), align=4)
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, out, types.intp), codegen
