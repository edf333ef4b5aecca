"""The register tile: a block of numbers that a kernel keeps in the CPU's vector registers. All LLVM of npse is here.

A compiler does not hold a block of outputs in registers by itself: for all it knows the arrays overlap, so each sum
goes back to memory at once. A `Tile` is a value of its own: rows x vectors vectors of ``lanes(dtype)`` numbers each. A
kernel makes one, updates it and stores it. The update that matters is a rank-1 update, the heart of every fast matrix
product: a few numbers and a few vectors are loaded, and each meets each.

    tile = zeros(y, 14, 2)
    for c in range(C):
        tile = outer(tile, x, x_at + c, x_step, w, w_at + c * w_step, lanes)
    store(tile, y, y_at, y_step)

Tiles of one shape are added, subtracted and multiplied with + - *, also with a number; every operation rounds as
written: a product is added in one rounding where `outer`, `slide` or `fma` say so, and nowhere else, so that the bits
do not depend on what a compiler finds profitable. Places (``at``) and distances (``step``) count elements of an array
from its first; **nothing is checked**. ``rows``, ``vectors``, ``taps`` are constants, written out or closed over.
"""

import functools
import operator
import platform

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, codegen, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model


@functools.cache
def vector_registers():
    """Return (bytes of a vector register, number of registers) of the CPU compiled for; (0, 0) where no tile works."""
    features = numba.config.CPU_FEATURES
    features = set((codegen.get_host_cpu_features() if features is None else features).split(","))
    if numba.config.DISABLE_JIT:
        return 0, 0
    if "+avx512f" in features:
        return 64, 32
    if {"+avx2", "+fma"} <= features:
        return 32, 16
    if platform.machine() in ("aarch64", "arm64"):                # every one of them has NEON
        return 16, 32
    return 0, 0


def lanes(dtype):
    """Return how many numbers of a dtype fit a vector register, 0 where no tile works."""
    return vector_registers()[0] // np.dtype(dtype).itemsize


class Tile(types.Type):
    """Numba's type of a tile: rows x vectors vectors. A single vector is a tile of 1 x 1."""

    def __init__(self, dtype, rows, vectors):
        self.dtype, self.rows, self.vectors = dtype, rows, vectors
        self.llvm_number = ir.FloatType() if dtype == types.float32 else ir.DoubleType()
        self.llvm_vector = ir.VectorType(self.llvm_number, lanes(dtype.name))
        self.llvm_type = ir.ArrayType(self.llvm_vector, rows * vectors)
        super().__init__(f"Tile({dtype}, {rows}, {vectors})")


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager, tile):
        super().__init__(manager, tile, tile.llvm_type)


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
    """Return the tile whose row r lies at x[at + r * step], its vectors one behind the other."""
    tile = Tile(x.dtype, rows.literal_value, vectors.literal_value)

    def build(context, builder, signature, arguments):
        memory = _Memory(context, builder, tile, signature.args[0], arguments[0])
        return _joined(builder, tile, [memory.vector(place) for place in _places(builder, tile, *arguments[1:3])])
    return tile(x, types.intp, types.intp, rows, vectors), build


@intrinsic
def load_if(typing, wanted, x, at):
    """Return the vector at x[at], or zeros, and nothing is read, where ``wanted`` is false."""
    tile = Tile(x.dtype, 1, 1)

    def build(context, builder, signature, arguments):
        lane, kind = tile.llvm_vector.count, tile.llvm_vector
        memory = _Memory(context, builder, tile, signature.args[1], arguments[1])
        place, align = memory._pointer(arguments[2], kind), _i32(memory.align)
        mask = _splat(builder, builder.trunc(arguments[0], ir.IntType(1)), lane)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [place.type, align.type, mask.type, kind]),
            f"llvm.masked.load.v{lane}{tile.llvm_number.intrinsic_name}.p0")
        return _joined(builder, tile, [builder.call(function, [place, align, mask, ir.Constant(kind, [0.0] * lane)])])
    return tile(types.boolean, x, types.intp), build


@intrinsic
def store(typing, tile, y, at, step):
    """Write row r of the tile to y[at + r * step], its vectors one behind the other."""
    def build(context, builder, signature, arguments):
        memory = _Memory(context, builder, tile, signature.args[1], arguments[1])
        places = _places(builder, tile, *arguments[2:4])
        for place, vector in zip(places, _parts(builder, tile, arguments[0]), strict=True):
            memory.store(place, vector)
    return types.void(tile, y, types.intp, types.intp), build


@intrinsic(prefer_literal=True)
def prefetch(typing, y, at, write):
    """Ask for the cache line of y[at], which is needed before long: to be written if ``write``, to be read if not."""
    flags = [ir.Constant(ir.IntType(32), flag) for flag in (int(write.literal_value), 2, 1)]   # of some use later; data

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
        sums, x_memory, x_at, x_step, w_memory, w_at, w_step = _operands(context, builder, signature, arguments)
        vectors = [w_memory.vector(_place(builder, w_at, v, w_step)) for v in range(tile.vectors)]
        return _joined(builder, tile, _updated(builder, tile, sums, x_memory, x_at, x_step, [vectors] * tile.rows))
    return tile(tile, x, types.intp, types.intp, w, types.intp, types.intp), build


@intrinsic(prefer_literal=True)
def outers(typing, tile, x, x_at, x_step, w, w_at, count):
    """Return the tile after ``count`` rank-1 updates, each of an equal part of its rows by vectors of w of its own.

    Row r takes the number x[x_at + r * x_step]. The vectors lie one behind the other, part by part.
    """
    count = count.literal_value

    def build(context, builder, signature, arguments):
        sums, x_memory, x_at, x_step, w_memory, w_at, _ = _operands(context, builder, signature, arguments)
        size, vectors = _integer(tile.llvm_vector.count), []
        for k in range(count):
            own = [w_memory.vector(_place(builder, w_at, k * tile.vectors + v, size)) for v in range(tile.vectors)]
            vectors += [own] * (tile.rows // count)
        return _joined(builder, tile, _updated(builder, tile, sums, x_memory, x_at, x_step, vectors))
    return tile(tile, x, types.intp, types.intp, w, types.intp, types.literal(count)), build


@intrinsic(prefer_literal=True)
def take(typing, tile, k, count):
    """Return the k-th of ``count`` equal parts of a tile, each some of its rows; k and count are constants."""
    part = Tile(tile.dtype, tile.rows // count.literal_value, tile.vectors)

    def build(context, builder, signature, arguments):
        size, first = part.llvm_type.count, k.literal_value * part.llvm_type.count
        return _joined(builder, part, _parts(builder, tile, arguments[0])[first:first + size])
    return part(tile, k, count), build


@intrinsic(prefer_literal=True)
def slide(typing, tile, x, x_at, x_step, w, w_at, taps, stride, phase):
    """Return tile[r, v] + the sum over t < taps of x[x_at + u * x_step] * (vector v of tap t of w).

    u is (r + t - phase) / stride; there is no term where that is no whole number. A filter's row slides over
    neighbouring pixels, or over pixels with gaps between them: each number is loaded once for all of its products,
    where rank-1 updates would load it for each tap. The vectors of w lie one behind the other, tap by tap. ``stride``
    and ``phase`` < stride are constants like ``taps``.
    """
    constants = taps, stride, phase
    taps, stride, phase = (constant.literal_value for constant in constants)

    def build(context, builder, signature, arguments):
        sums, x_memory, x_at, x_step, w_memory, w_at, _ = _operands(context, builder, signature, arguments[:7])
        size = _integer(tile.llvm_vector.count)
        vectors = [w_memory.vector(_place(builder, w_at, k, size)) for k in range(taps * tile.vectors)]
        for u, place in enumerate(range(phase, tile.rows + taps - 1, stride)):          # place = r + t
            number = x_memory.broadcast(_place(builder, x_at, u, x_step))
            for t in range(max(0, place - tile.rows + 1), min(taps, place + 1)):
                for v in range(tile.vectors):
                    k = (place - t) * tile.vectors + v
                    sums[k] = _fma(builder, tile, number, vectors[t * tile.vectors + v], sums[k])
        return _joined(builder, tile, sums)
    return tile(tile, x, types.intp, types.intp, w, types.intp, *constants), build


@intrinsic
def fma(typing, a, b, c):
    """Return a * b + c, rounded once; a and b are tiles like c or numbers."""
    def build(context, builder, signature, arguments):
        return _joined(builder, c, [_fma(builder, c, *three) for three in _sides(builder, c, signature, arguments)])
    return c(*(side if isinstance(side, Tile) else c.dtype for side in (a, b, c))), build


@intrinsic
def relu(typing, tile):
    """Return max(tile, 0), number by number; a NaN passes."""
    def build(context, builder, signature, arguments):
        zero = ir.Constant(tile.llvm_vector, [0.0] * tile.llvm_vector.count)
        return _joined(builder, tile, [builder.select(builder.fcmp_ordered("<", part, zero), zero, part)
                                       for part in _parts(builder, tile, arguments[0])])
    return tile(tile), build


@intrinsic
def where_positive(typing, tile, mask):
    """Return tile where mask > 0, else 0, number by number: the gradient of a ReLU whose output is the mask."""
    def build(context, builder, signature, arguments):
        zero = ir.Constant(tile.llvm_vector, [0.0] * tile.llvm_vector.count)
        pairs = zip(*(_parts(builder, tile, argument) for argument in arguments), strict=True)
        return _joined(builder, tile, [builder.select(builder.fcmp_ordered(">", sign, zero), part, zero)
                                       for part, sign in pairs])
    return tile(tile, mask), build


class _TileOperator(AbstractTemplate):
    """The type of tile + tile and the like, and of a number with a tile, which stands for a tile full of it."""

    def generic(self, args, kws):
        tiles = [argument for argument in args if isinstance(argument, Tile)]
        if len(args) == 2 and tiles and all(isinstance(argument, (Tile, types.Number)) for argument in args) \
                and len(set(tiles)) == 1:
            return signature(tiles[0], *(a if isinstance(a, Tile) else tiles[0].dtype for a in args))


def _lower(operation, instruction):
    def build(context, builder, signature, arguments):
        tile = signature.return_type
        return _joined(builder, tile, [getattr(builder, instruction)(*both)
                                       for both in _sides(builder, tile, signature, arguments)])

    infer_global(operation)(type(f"_Tile_{instruction}", (_TileOperator,), {"key": operation}))
    for left, right in ((Tile, Tile), (Tile, types.Number), (types.Number, Tile)):
        lower_builtin(operation, left, right)(build)


_lower(operator.add, "fadd")
_lower(operator.sub, "fsub")
_lower(operator.mul, "fmul")


# What the instructions above are built from. A tile's parts are its vectors, row by row.

class _Memory:
    """The numbers of an array, at a place counted in elements."""

    def __init__(self, context, builder, tile, array_type, array):
        self.builder, self.tile = builder, tile
        self.data = context.make_array(array_type)(context, builder, array).data
        self.align = tile.llvm_number.get_abi_size(context.target_data)

    def _pointer(self, place, kind):
        return self.builder.bitcast(self.builder.gep(self.data, [place]), kind.as_pointer())

    def vector(self, place):
        return self.builder.load(self._pointer(place, self.tile.llvm_vector), align=self.align)

    def broadcast(self, place):
        return _broadcast(self.builder, self.tile, self.builder.load(self._pointer(place, self.tile.llvm_number)))

    def store(self, place, vector):
        self.builder.store(vector, self._pointer(place, self.tile.llvm_vector), align=self.align)


def _operands(context, builder, signature, arguments):
    """The arguments of an update: sums, x, its place and step, w, its place, and the last as it is."""
    tile, (sums, x, x_at, x_step, w, w_at, last) = signature.return_type, arguments
    x, w = (_Memory(context, builder, tile, signature.args[k], array) for k, array in ((1, x), (4, w)))
    return _parts(builder, tile, sums), x, x_at, x_step, w, w_at, last


def _updated(builder, tile, sums, x_memory, x_at, x_step, vectors):
    """The sums after each row's number of x met each of the row's vectors."""
    products = []
    for r in range(tile.rows):
        number = x_memory.broadcast(_place(builder, x_at, r, x_step))
        products += [(number, vector) for vector in vectors[r]]
    return [_fma(builder, tile, *product, part) for product, part in zip(products, sums, strict=True)]


def _parts(builder, tile, value):
    return [builder.extract_value(value, k) for k in range(tile.llvm_type.count)]


def _sides(builder, tile, signature, arguments):
    """The arguments part by part, a number standing for a tile full of it."""
    return zip(*(_parts(builder, tile, value) if isinstance(kind, Tile)
                 else [_broadcast(builder, tile, value)] * tile.llvm_type.count
                 for kind, value in zip(signature.args, arguments, strict=True)), strict=True)


def _joined(builder, tile, parts):
    value = ir.Constant(tile.llvm_type, ir.Undefined)
    for k, part in enumerate(parts):
        value = builder.insert_value(value, part, k)
    return value


def _integer(value):
    return ir.Constant(cgutils.intp_t, value)


def _place(builder, at, k, step):
    return builder.add(at, builder.mul(_integer(k), step))


def _places(builder, tile, at, step):
    return [_place(builder, _place(builder, at, r, step), v, _integer(tile.llvm_vector.count))
            for r in range(tile.rows) for v in range(tile.vectors)]


def _broadcast(builder, tile, number):
    return _splat(builder, number, tile.llvm_vector.count)


def _splat(builder, value, count):
    undefined = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    first = builder.insert_element(undefined, value, _i32(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), count), None))


def _i32(value):
    return ir.Constant(ir.IntType(32), value)


def _fma(builder, tile, a, b, c):
    """a * b + c in one rounding, asked for by name: llvmlite's own ``builder.fma`` takes no vectors."""
    kind = tile.llvm_vector
    name = f"llvm.fma.v{kind.count}{tile.llvm_number.intrinsic_name}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    return builder.call(function, [a, b, c])
