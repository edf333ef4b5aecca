"""Updates of a register tile for convolutions with small groups: a vector of channels holds several whole groups.

A group has ``depth`` channels, both of x and of y; a vector has lanes / depth groups. Channel c of every group is
spread over the lanes of its group, then multiplied by a vector:

    depth 4, c = 1:     x0 x1 x2 x3 | x4 x5 x6 x7 | ...     ->     x1 x1 x1 x1 | x5 x5 x5 x5 | ...

With depth 1, a depthwise convolution, nothing is spread. Row r and tap t belong to the pixel m of x for which

    target_step * m + phase = source_step * r + dilation * t

if m is an integer; other pairs have no product. Pixel m lies at x[x_at + m * x_step]. It is column ``column`` + m of a
map of ``size`` columns. The first and the last ``guarded`` pixels may be columns outside of the map. They are read from
``border``, a vector of zeros. Steps, phase, depth, taps and guarded are constants. The other rules are those of
`npse.cpu.simd.tile`.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from npse.cpu.simd import tile_llvm as llvm
from npse.cpu.simd.tile_llvm import Tile


@intrinsic(prefer_literal=True)
def slide_groups(typing, tile, x, x_at, x_step, column, size, border, w, w_at,
                 depth, taps, dilation, source_step, target_step, phase, guarded):
    """Return tile[r] + the sum over taps t and channels c of (c of each group of pixel m of x) * w[t, c].

    The vectors of w are contiguous, first by tap, then by channel. The tile has one vector in each row.
    """
    constants = depth, taps, dilation, source_step, target_step, phase, guarded
    depth, taps, dilation, source_step, target_step, phase, guarded = (
        constant.literal_value for constant in constants)
    pixels = _pixels(tile.rows, taps, dilation, source_step, target_step, phase)

    def build(context, builder, signature, arguments):
        sums, x_vectors = _operands(context, builder, signature, arguments, tile, pixels, guarded)
        w_memory = llvm.Memory(context, builder, tile, signature.args[7], arguments[7])
        for c in range(depth):
            filters = [w_memory.vector(llvm.place(builder, arguments[8], t * depth + c,
                                                  llvm.integer(tile.llvm_vector.count))) for t in range(taps)]
            for m, pairs in pixels.items():
                spread = _spread(builder, x_vectors[m], c, depth)
                for r, t in pairs:
                    sums[r] = llvm.fma(builder, tile, spread, filters[t], sums[r])
        return llvm.joined(builder, tile, sums)
    return tile(tile, x, types.intp, types.intp, types.intp, types.intp, border, w, types.intp, *constants), build


@intrinsic(prefer_literal=True)
def outer_groups(typing, tile, x, x_at, x_step, column, size, border, dy, dy_at, dy_step,
                 pixels, depth, taps, dilation, source_step, guarded):
    """Return the tile with the products of ``pixels`` pixels of dy added: the gradient of a row of the filters.

    Row t * depth + c gets the sum over r of (c of each group of pixel m of x) * dy[r]. If the tile has several times
    taps * depth rows, pixels take turns in them, so that a sum need not wait for the one before: see `sum_parts`.
    """
    constants = pixels, depth, taps, dilation, source_step, guarded
    count, depth, taps, dilation, source_step, guarded = (constant.literal_value for constant in constants)
    of_x, chains = _pixels(count, taps, dilation, source_step, 1, 0), tile.rows // (taps * depth)

    def build(context, builder, signature, arguments):
        sums, x_vectors = _operands(context, builder, signature, arguments, tile, of_x, guarded)
        dy_memory = llvm.Memory(context, builder, tile, signature.args[7], arguments[7])
        dy_vectors = [dy_memory.vector(llvm.place(builder, arguments[8], r, arguments[9])) for r in range(count)]
        for m, pairs in of_x.items():
            for c in range(depth):
                spread = _spread(builder, x_vectors[m], c, depth)
                for r, t in pairs:
                    k = (r % chains * taps + t) * depth + c
                    sums[k] = llvm.fma(builder, tile, spread, dy_vectors[r], sums[k])
        return llvm.joined(builder, tile, sums)
    return tile(tile, x, types.intp, types.intp, types.intp, types.intp, border, dy, types.intp, types.intp,
                *constants), build


@intrinsic(prefer_literal=True)
def sum_parts(typing, tile, count):
    """Return the sum of ``count`` equal parts of a tile, each of whole rows; count is a constant."""
    part = Tile(tile.dtype, tile.rows // count.literal_value, tile.vectors)

    def build(context, builder, signature, arguments):
        vectors, size = llvm.parts(builder, tile, arguments[0]), part.llvm_type.count
        sums = vectors[:size]
        for first in range(size, len(vectors), size):
            sums = [builder.fadd(*both) for both in zip(sums, vectors[first:first + size], strict=True)]
        return llvm.joined(builder, part, sums)
    return part(tile, count), build


def _pixels(rows, taps, dilation, source_step, target_step, phase):
    """Return {m: the pairs (r, t) that use pixel m}."""
    pixels = {}
    for r in range(rows):
        for t in range(taps):
            m, rest = divmod(source_step * r + dilation * t - phase, target_step)
            if rest == 0:
                pixels.setdefault(m, []).append((r, t))
    return dict(sorted(pixels.items()))


def _operands(context, builder, signature, arguments, tile, pixels, guarded):
    """Return the sums of the tile, and the vectors of x by pixel: {m: vector}."""
    x, border = (llvm.Memory(context, builder, tile, signature.args[k], arguments[k]) for k in (1, 6))
    x_at, x_step, column, size = arguments[2:6]
    zeros = border.pointer(llvm.integer(0), tile.llvm_vector)
    vectors, last = {}, max(pixels)
    for m in pixels:
        pointer = x.pointer(llvm.place(builder, x_at, m, x_step), tile.llvm_vector)
        if min(m, last - m) < guarded:
            on_map = builder.icmp_unsigned("<", builder.add(column, llvm.integer(m)), size)
            pointer = builder.select(on_map, pointer, zeros)
        vectors[m] = builder.load(pointer, align=x.align)
    return llvm.parts(builder, tile, arguments[0]), vectors


def _spread(builder, vector, c, depth):
    """Return a vector in which every lane has channel c of its group of ``depth`` lanes."""
    if depth == 1:
        return vector
    mask = [llvm.i32(lane // depth * depth + c) for lane in range(vector.type.count)]
    undefined = ir.Constant(vector.type, ir.Undefined)
    return builder.shuffle_vector(vector, undefined, ir.Constant(ir.VectorType(ir.IntType(32), len(mask)), mask))
