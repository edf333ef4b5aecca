"""The register tile: a block of elements that a kernel keeps in the CPU's vector registers.

A compiler does not keep a block of outputs in registers by itself: the arrays might overlap, so it writes each sum to
memory at once. A `Tile` is a value: rows x vectors vectors of ``lanes(dtype)`` elements each. A kernel makes a tile,
updates it and stores it. The main update is a rank-1 update, as in the micro-kernel of a matrix product: a few elements
and a few vectors are loaded, and each element is multiplied by each vector.

    tile = zeros(y, 14, 2)
    for c in range(C):
        tile = outer(tile, x, x_at + c, x_step, w, w_at + c * w_step, lanes)
    store(tile, y, y_at, y_step)

Tiles of one shape can be added, subtracted, multiplied and divided with + - * /, also with a number. Every operation
rounds as it is written. Only `outer`, `outers`, `slide` and `fma` multiply and add with a single rounding. So the bits
do not depend on the choices of a compiler. Places (``at``) and distances (``step``) count elements of an array from its
first.
**Nothing is checked.** ``rows``, ``vectors`` and ``taps`` are constants, literals or closed-over values.
"""

import functools
import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin

from npse.cpu.simd import tile_llvm as llvm
from npse.cpu.simd.tile_llvm import Tile, lanes, vector_registers  # noqa: F401  kernels take the last two from here


@intrinsic(prefer_literal=True)
def zeros(typing, like, rows, vectors):
    """Return a tile of zeros of the dtype of the array ``like``."""
    tile = Tile(like.dtype, rows.literal_value, vectors.literal_value)

    def build(context, builder, signature, arguments):
        return ir.Constant(tile.llvm_type, [ir.Constant(tile.llvm_vector, [0.0] * tile.llvm_vector.count)] *
                           tile.llvm_type.count)
    return tile(like, rows, vectors), build


@intrinsic(prefer_literal=True)
def load(typing, x, at, step, rows, vectors):
    """Return the tile whose row r lies at x[at + r * step], its vectors contiguous."""
    tile = Tile(x.dtype, rows.literal_value, vectors.literal_value)

    def build(context, builder, signature, arguments):
        memory = llvm.Memory(context, builder, tile, signature.args[0], arguments[0])
        places = llvm.places(builder, tile, *arguments[1:3])
        return llvm.joined(builder, tile, [memory.vector(place) for place in places])
    return tile(x, types.intp, types.intp, rows, vectors), build


@intrinsic
def load_if(typing, wanted, x, at):
    """Return the vector at x[at]; if ``wanted`` is false, zeros, and no memory is read."""
    tile = Tile(x.dtype, 1, 1)

    def build(context, builder, signature, arguments):
        lane, kind = tile.llvm_vector.count, tile.llvm_vector
        memory = llvm.Memory(context, builder, tile, signature.args[1], arguments[1])
        place, align = memory.pointer(arguments[2], kind), llvm.i32(memory.align)
        mask = llvm.splat(builder, builder.trunc(arguments[0], ir.IntType(1)), lane)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [place.type, align.type, mask.type, kind]),
            f"llvm.masked.load.v{lane}{tile.llvm_number.intrinsic_name}.p0")
        vector = builder.call(function, [place, align, mask, ir.Constant(kind, [0.0] * lane)])
        return llvm.joined(builder, tile, [vector])
    return tile(types.boolean, x, types.intp), build


@intrinsic
def store(typing, tile, y, at, step):
    """Write row r of the tile to y[at + r * step], its vectors contiguous."""
    def build(context, builder, signature, arguments):
        memory = llvm.Memory(context, builder, tile, signature.args[1], arguments[1])
        places = llvm.places(builder, tile, *arguments[2:4])
        for place, vector in zip(places, llvm.parts(builder, tile, arguments[0]), strict=True):
            memory.store(place, vector)
    return types.void(tile, y, types.intp, types.intp), build


@intrinsic(prefer_literal=True)
def prefetch(typing, y, at, write):
    """Prefetch the cache line of y[at], for writing if ``write``, else for reading."""
    # LLVM's flags: write or read; 2, moderate temporal locality; 1, data and not instructions.
    flags = [ir.Constant(ir.IntType(32), flag) for flag in (int(write.literal_value), 2, 1)]

    def build(context, builder, signature, arguments):
        byte = ir.IntType(8).as_pointer()
        data = context.make_array(y)(context, builder, arguments[0]).data
        kind = ir.FunctionType(ir.VoidType(), [byte, *(flag.type for flag in flags)])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [builder.bitcast(builder.gep(data, [arguments[1]]), byte), *flags])
        return context.get_dummy_value()
    return types.none(y, types.intp, write), build


@intrinsic
def outer(typing, tile, x, x_at, x_step, w, w_at, w_step):
    """Return tile[r, v] + x[x_at + r * x_step] * (the vector at w[w_at + v * w_step]): a rank-1 update."""
    def build(context, builder, signature, arguments):
        sums, x_memory, x_at, x_step, w_memory, w_at, w_step = llvm.operands(context, builder, signature, arguments)
        vectors = [w_memory.vector(llvm.place(builder, w_at, v, w_step)) for v in range(tile.vectors)]
        sums = llvm.updated(builder, tile, sums, x_memory, x_at, x_step, [vectors] * tile.rows)
        return llvm.joined(builder, tile, sums)
    return tile(tile, x, types.intp, types.intp, w, types.intp, types.intp), build


@intrinsic(prefer_literal=True)
def outers(typing, tile, x, x_at, x_step, w, w_at, count):
    """Return the tile after ``count`` rank-1 updates, one for each of ``count`` equal parts of its rows.

    Row r is updated with the element x[x_at + r * x_step]. Each part has its own vectors of w. They are contiguous,
    part by part.
    """
    count = count.literal_value

    def build(context, builder, signature, arguments):
        sums, x_memory, x_at, x_step, w_memory, w_at, _ = llvm.operands(context, builder, signature, arguments)
        size, vectors = llvm.integer(tile.llvm_vector.count), []
        for k in range(count):
            own = [w_memory.vector(llvm.place(builder, w_at, k * tile.vectors + v, size)) for v in range(tile.vectors)]
            vectors += [own] * (tile.rows // count)
        return llvm.joined(builder, tile, llvm.updated(builder, tile, sums, x_memory, x_at, x_step, vectors))
    return tile(tile, x, types.intp, types.intp, w, types.intp, types.literal(count)), build


@intrinsic(prefer_literal=True)
def take(typing, tile, k, count):
    """Return the k-th of ``count`` equal parts of a tile, each of whole rows; k and count are constants."""
    part = Tile(tile.dtype, tile.rows // count.literal_value, tile.vectors)

    def build(context, builder, signature, arguments):
        size, first = part.llvm_type.count, k.literal_value * part.llvm_type.count
        return llvm.joined(builder, part, llvm.parts(builder, tile, arguments[0])[first:first + size])
    return part(tile, k, count), build


@intrinsic
def sum_rows(typing, tile):
    """Return the sum of a tile's rows: a tile of rows x vectors -> a tile of 1 x vectors."""
    row = Tile(tile.dtype, 1, tile.vectors)

    def build(context, builder, signature, arguments):
        parts = llvm.parts(builder, tile, arguments[0])
        rows = [parts[r:r + tile.vectors] for r in range(0, len(parts), tile.vectors)]
        while len(rows) > 1:                                      # in pairs: shorter chains of additions, less rounding
            pairs = zip(rows[0::2], rows[1::2], strict=False)
            rows = [[builder.fadd(*both) for both in zip(*pair, strict=True)] for pair in pairs] + rows[len(rows) & ~1:]
        return llvm.joined(builder, row, rows[0])
    return row(tile), build


@intrinsic(prefer_literal=True)
def slide(typing, tile, x, x_at, x_step, w, w_at, taps, stride, phase):
    """Return tile[r, v] + the sum over t < taps of x[x_at + u * x_step] * (vector v of tap t of w).

    u is (r + t - phase) / stride; terms whose u is not an integer are left out. A row of the filter slides over
    neighbouring pixels, or over pixels with gaps between them. Each element of x is loaded once for all its products;
    rank-1 updates would load it for each tap. The vectors of w are contiguous, tap by tap. ``taps``, ``stride`` and
    ``phase`` < stride are constants.
    """
    constants = taps, stride, phase
    taps, stride, phase = (constant.literal_value for constant in constants)

    def build(context, builder, signature, arguments):
        sums, x_memory, x_at, x_step, w_memory, w_at, _ = llvm.operands(context, builder, signature, arguments[:7])
        size = llvm.integer(tile.llvm_vector.count)
        vectors = [w_memory.vector(llvm.place(builder, w_at, k, size)) for k in range(taps * tile.vectors)]
        for u, place in enumerate(range(phase, tile.rows + taps - 1, stride)):          # place = r + t
            number = x_memory.broadcast(llvm.place(builder, x_at, u, x_step))
            for t in range(max(0, place - tile.rows + 1), min(taps, place + 1)):
                for v in range(tile.vectors):
                    k = (place - t) * tile.vectors + v
                    sums[k] = llvm.fma(builder, tile, number, vectors[t * tile.vectors + v], sums[k])
        return llvm.joined(builder, tile, sums)
    return tile(tile, x, types.intp, types.intp, w, types.intp, *constants), build


@intrinsic
def fma(typing, a, b, c):
    """Return a * b + c, rounded once; a and b are tiles like c, or numbers."""
    def build(context, builder, signature, arguments):
        sides = llvm.sides(builder, c, signature, arguments)
        return llvm.joined(builder, c, [llvm.fma(builder, c, *three) for three in sides])
    return c(*(side if isinstance(side, Tile) else c.dtype for side in (a, b, c))), build


@intrinsic
def relu(typing, tile):
    """Return max(tile, 0), element by element; a NaN stays a NaN."""
    def build(context, builder, signature, arguments):
        zero = ir.Constant(tile.llvm_vector, [0.0] * tile.llvm_vector.count)
        return llvm.joined(builder, tile, [builder.select(builder.fcmp_ordered("<", part, zero), zero, part)
                                       for part in llvm.parts(builder, tile, arguments[0])])
    return tile(tile), build


@intrinsic
def larger(typing, tile, other):
    """Return the larger of two tiles, element by element; a NaN where either is NaN."""
    def build(context, builder, signature, arguments):
        pairs = zip(*(llvm.parts(builder, tile, argument) for argument in arguments), strict=True)
        return llvm.joined(builder, tile, [llvm.larger(builder, *pair) for pair in pairs])
    return tile(tile, other), build


@intrinsic
def sum_lanes(typing, tile):
    """Return the sum of all elements of a tile, a number. They are added in pairs."""
    def build(context, builder, signature, arguments):
        return llvm.over_lanes(builder, builder.fadd, llvm.parts(builder, tile, arguments[0]))
    return tile.dtype(tile), build


@intrinsic
def max_lanes(typing, tile):
    """Return the largest element of a tile, a number; NaN if one is NaN."""
    def build(context, builder, signature, arguments):
        larger = functools.partial(llvm.larger, builder)
        return llvm.over_lanes(builder, larger, llvm.parts(builder, tile, arguments[0]))
    return tile.dtype(tile), build


@intrinsic
def first_equal(typing, tile, number):
    """Return the index of the first element of a tile that equals a number or is a NaN; 64 if there is none.

    The tile has at most 64 elements.
    """
    def build(context, builder, signature, arguments):
        index = llvm.first_equal(builder, llvm.parts(builder, tile, arguments[0]), arguments[1])
        return context.cast(builder, index, types.uint64, types.intp)
    return types.intp(tile, tile.dtype), build


@intrinsic
def exp_of_negative(typing, tile):
    """Return exp(x) for each element x <= 0 of a tile; 0 where that is below the smallest normal number."""
    def build(context, builder, signature, arguments):
        return llvm.joined(builder, tile, [llvm.exp_of_negative(builder, tile, part)
                                           for part in llvm.parts(builder, tile, arguments[0])])
    return tile(tile), build


@intrinsic
def where_positive(typing, tile, mask):
    """Return tile where mask > 0, else 0, element by element: the gradient of a ReLU with the output ``mask``."""
    def build(context, builder, signature, arguments):
        zero = ir.Constant(tile.llvm_vector, [0.0] * tile.llvm_vector.count)
        pairs = zip(*(llvm.parts(builder, tile, argument) for argument in arguments), strict=True)
        return llvm.joined(builder, tile, [builder.select(builder.fcmp_ordered(">", sign, zero), part, zero)
                                       for part, sign in pairs])
    return tile(tile, mask), build


class _TileOperator(AbstractTemplate):
    """The types of an operator with two tiles, or with a tile and a number; the number is broadcast."""

    def generic(self, args, kws):
        tiles = [argument for argument in args if isinstance(argument, Tile)]
        if len(args) == 2 and tiles and all(isinstance(argument, (Tile, types.Number)) for argument in args) \
                and len(set(tiles)) == 1:
            return signature(tiles[0], *(a if isinstance(a, Tile) else tiles[0].dtype for a in args))


def _lower(operation, instruction):
    def build(context, builder, signature, arguments):
        tile = signature.return_type
        return llvm.joined(builder, tile, [getattr(builder, instruction)(*both)
                                       for both in llvm.sides(builder, tile, signature, arguments)])

    infer_global(operation)(type(f"_Tile_{instruction}", (_TileOperator,), {"key": operation}))
    for left, right in ((Tile, Tile), (Tile, types.Number), (types.Number, Tile)):
        lower_builtin(operation, left, right)(build)


_lower(operator.add, "fadd")
_lower(operator.sub, "fsub")
_lower(operator.mul, "fmul")
_lower(operator.truediv, "fdiv")
