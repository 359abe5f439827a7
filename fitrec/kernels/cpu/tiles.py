"""Tiles of matrix products for numba: sums over samples in ascending order, each one chain of fused multiply-adds.

Every element is summed on its own, in the order of the samples, so that neither the width of the vectors nor how many elements a
processor works on at the same time can change a bit.
"""

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fitrec.kernels.cpu.aligned import LINE_BYTES
from fitrec.kernels.cpu.simd import WIDTH, element_bytes, mark_as_streamed, repeat, vector_intrinsic

# Rows whose sums stay in registers together: as many as there are vectors of 16 for, two left for what is loaded.
ROWS = 16 if binding.get_host_cpu_features().get("avx512f") else 4

_INDEX = ir.IntType(64)


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _place(builder: Any, data: Any, offset: Any) -> Any:
    return builder.bitcast(builder.gep(data, [offset]), ir.VectorType(data.type.pointee, WIDTH).as_pointer())


def _load(builder: Any, place: Any) -> Any:
    return builder.load(place, align=element_bytes(place.type.pointee.element))


def _tile(context: Any, builder: Any, signature: Any, args: Any, *, onto: bool) -> Any:
    """Emit the loops of `add_product` (onto=False) or `subtract_product` (onto=True)."""
    left, right, out = (_data(context, builder, signature.args[i], args[i]) for i in (0, 3, 7))
    left_at, left_stride, right_at, right_stride, samples, out_at, out_stride = (args[i] for i in (1, 2, 4, 5, 6, 8, 9))
    negative, kind = None if onto else args[10], ir.VectorType(out.type.pointee, WIDTH)
    for first in range(0, WIDTH, ROWS):
        places, sums = [], []
        for row in range(first, first + ROWS):
            offset = builder.add(out_at, builder.mul(ir.Constant(_INDEX, row), out_stride))
            places.append(_place(builder, out, offset))
            start = _load(builder, places[-1]) if onto else ir.Constant(kind, [0.0] * WIDTH)
            sums.append(cgutils.alloca_once(builder, kind))
            builder.store(start, sums[-1])
        with cgutils.for_range(builder, samples) as loop:
            a = builder.add(left_at, builder.mul(loop.index, left_stride))
            vector = _load(builder, _place(builder, right, builder.add(right_at, builder.mul(loop.index, right_stride))))
            for row, total in enumerate(sums):
                scalar = builder.load(builder.gep(left, [builder.add(a, ir.Constant(_INDEX, first + row))]))
                factor = repeat(builder, builder.fneg(scalar) if onto else scalar)
                builder.store(vector_intrinsic(builder, "llvm.fma", [factor, vector, builder.load(total)]), total)
        for place, total in zip(places, sums, strict=True):
            value = builder.load(total)
            if negative is not None:
                before = _load(builder, place)
                value = builder.select(negative, builder.fsub(before, value), builder.fadd(before, value))
            builder.store(value, place, align=element_bytes(kind.element))
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
    ``left[left_at + s left_stride + i] * right[right_at + s right_stride + j]``; the arrays are of one type and read flat.
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


def _transpose(context: Any, builder: Any, signature: Any, args: Any, *, streamed: bool) -> Any:
    source, out = (_data(context, builder, signature.args[i], args[i]) for i in (0, 3))
    starts = [builder.add(args[1], builder.mul(ir.Constant(_INDEX, i), args[2])) for i in range(WIDTH)]
    rows = [_load(builder, _place(builder, source, start)) for start in starts]
    # Four rounds: in each, rows i and i + 8 are interleaved into rows 2 i and 2 i + 1, a rotation of the index's eight bits.
    low, high = ([k // 2 + WIDTH * (k % 2) + part * WIDTH // 2 for k in range(WIDTH)] for part in (0, 1))
    masks = [ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), mask) for mask in (low, high)]
    for _ in range(4):
        pairs = [(rows[i], rows[i + WIDTH // 2]) for i in range(WIDTH // 2)]
        rows = [builder.shuffle_vector(*pair, mask) for pair in pairs for mask in masks]
    for i, row in enumerate(rows):
        place = _place(builder, out, builder.add(args[4], builder.mul(ir.Constant(_INDEX, i), args[5])))
        written = builder.store(row, place, align=LINE_BYTES if streamed else element_bytes(row.type.element))
        if streamed:
            mark_as_streamed(builder, written)
    return context.get_dummy_value()


@intrinsic
def transpose(typingctx: Any, source: Any, at: Any, stride: Any, out: Any, out_at: Any, out_stride: Any) -> Any:
    """Write the transpose of 16 x 16 numbers, rows `stride` apart, into rows `out_stride` apart from ``out[out_at]`` on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _transpose(context, builder, signature, args, streamed=False)

    return types.void(source, *_POSITION, out, *_POSITION), codegen


@intrinsic
def stream_transpose(typingctx: Any, source: Any, at: Any, stride: Any, out: Any, out_at: Any, out_stride: Any) -> Any:
    """As `transpose`, but past the caches, for what is read much later; each row must begin at a cache line."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _transpose(context, builder, signature, args, streamed=True)

    return types.void(source, *_POSITION, out, *_POSITION), codegen
