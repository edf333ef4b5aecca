"""The register tile in LLVM: the vector registers of this CPU, the type of a tile, and functions that build LLVM code.

The parts of a tile are its rows * vectors vectors, row by row. `npse.cpu.simd.tile` makes the operations of tiles.
Functions with a ``builder`` write LLVM code and return LLVM values. Places and steps count elements.
"""

import functools
import math
import platform

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, codegen, types
from numba.extending import models, register_model


@functools.cache
def vector_registers():
    """Return the bytes of a vector register and the number of registers of the target CPU; (0, 0) without tiles."""
    features = numba.config.CPU_FEATURES
    features = set((codegen.get_host_cpu_features() if features is None else features).split(","))
    if numba.config.DISABLE_JIT:
        return 0, 0
    if "+avx512f" in features:
        return 64, 32
    if {"+avx2", "+fma"} <= features:
        return 32, 16
    if platform.machine() in ("aarch64", "arm64"):                # all of them have NEON
        return 16, 32
    return 0, 0


def lanes(dtype):
    """Return how many elements of a dtype fit into a vector register; 0 if there are no tiles."""
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


class Memory:
    """Loads and stores elements of an array by their place."""

    def __init__(self, context, builder, tile, array_type, array):
        self.builder, self.tile = builder, tile
        self.data = context.make_array(array_type)(context, builder, array).data
        self.align = tile.llvm_number.get_abi_size(context.target_data)

    def pointer(self, place, kind):
        """Return a pointer to the element at a place, as a pointer to an LLVM type."""
        return self.builder.bitcast(self.builder.gep(self.data, [place]), kind.as_pointer())

    def vector(self, place):
        """Load the vector that begins at a place."""
        return self.builder.load(self.pointer(place, self.tile.llvm_vector), align=self.align)

    def broadcast(self, place):
        """Load the element at a place into every lane of a vector."""
        return broadcast(self.builder, self.tile, self.builder.load(self.pointer(place, self.tile.llvm_number)))

    def store(self, place, vector):
        """Store a vector that begins at a place."""
        self.builder.store(vector, self.pointer(place, self.tile.llvm_vector), align=self.align)


def operands(context, builder, signature, arguments):
    """Return the operands of an update: (parts of the sums, x memory, x_at, x_step, w memory, w_at, last argument)."""
    tile, (sums, x, x_at, x_step, w, w_at, last) = signature.return_type, arguments
    x, w = (Memory(context, builder, tile, signature.args[k], array) for k, array in ((1, x), (4, w)))
    return parts(builder, tile, sums), x, x_at, x_step, w, w_at, last


def updated(builder, tile, sums, x_memory, x_at, x_step, vectors):
    """Return the sums after one update, which adds x[x_at + r * x_step] times its own vector to each part of row r.

    vectors : for each row, a list of tile.vectors vectors
    """
    products = []
    for r in range(tile.rows):
        number = x_memory.broadcast(place(builder, x_at, r, x_step))
        products += [(number, vector) for vector in vectors[r]]
    return [fma(builder, tile, *product, part) for product, part in zip(products, sums, strict=True)]


def parts(builder, tile, value):
    """Split a tile into the list of its rows * vectors vectors."""
    return [builder.extract_value(value, k) for k in range(tile.llvm_type.count)]


def sides(builder, tile, signature, arguments):
    """Return an iterator over the parts of all arguments together; a number is broadcast to every part."""
    return zip(*(parts(builder, tile, value) if isinstance(kind, Tile)
                 else [broadcast(builder, tile, value)] * tile.llvm_type.count
                 for kind, value in zip(signature.args, arguments, strict=True)), strict=True)


def joined(builder, tile, parts):
    """Return a tile made of vectors: the inverse of `parts`."""
    value = ir.Constant(tile.llvm_type, ir.Undefined)
    for k, part in enumerate(parts):
        value = builder.insert_value(value, part, k)
    return value


def integer(value):
    """Return a constant of the type of places and steps."""
    return ir.Constant(cgutils.intp_t, value)


def place(builder, at, k, step):
    """Return at + k * step."""
    return builder.add(at, builder.mul(integer(k), step))


def places(builder, tile, at, step):
    """Return the places of all vectors of a tile whose row r begins at at + r * step."""
    return [place(builder, place(builder, at, r, step), v, integer(tile.llvm_vector.count))
            for r in range(tile.rows) for v in range(tile.vectors)]


def broadcast(builder, tile, number):
    """Return a vector with the number in every lane."""
    return splat(builder, number, tile.llvm_vector.count)


def splat(builder, value, count):
    """Return a vector with the value in each of ``count`` lanes; the value may have any type."""
    undefined = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    first = builder.insert_element(undefined, value, i32(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), count), None))


def i32(value):
    """Return an integer constant of 32 bits."""
    return ir.Constant(ir.IntType(32), value)


def fma(builder, tile, a, b, c):
    """Return a * b + c of vectors, rounded once, with LLVM's intrinsic; llvmlite's ``builder.fma`` takes no vectors."""
    kind = tile.llvm_vector
    name = f"llvm.fma.v{kind.count}{tile.llvm_number.intrinsic_name}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    return builder.call(function, [a, b, c])


def larger(builder, a, b):
    """Return the larger of two vectors in each lane; a NaN if either is NaN."""
    number = builder.select(builder.fcmp_ordered("<", a, b), b, a)
    return builder.select(builder.fcmp_unordered("uno", b, b), b, number)


def over_lanes(builder, join, vectors):
    """Return all elements of some vectors joined to one number: ``join(a, b)`` of two vectors gives a vector."""
    while len(vectors) > 1:
        rest = vectors[len(vectors) & ~1:]
        vectors = [join(a, b) for a, b in zip(vectors[0::2], vectors[1::2], strict=False)] + rest
    vector, count = vectors[0], vectors[0].type.count
    while count > 1:
        # The lanes of the upper half join those of the lower half. Two lanes stay a vector of two: for a single number
        # the compiler would write branches.
        size, count = max(2, count // 2), count // 2
        low, high = (_lanes(builder, vector, [first + k % count for k in range(size)]) for first in (0, count))
        vector = join(low, high)
    return builder.extract_element(vector, i32(0))


def _lanes(builder, vector, chosen):
    """Return a vector with the chosen lanes of a vector."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(chosen)), [i32(k) for k in chosen])
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def first_equal(builder, vectors, number):
    """Return the index of the first element of some vectors that equals a number or is a NaN; 64 if none does."""
    bits, word = ir.Constant(ir.IntType(64), 0), ir.IntType(64)
    for k, vector in enumerate(vectors):
        count = vector.type.count
        equal = builder.or_(builder.fcmp_ordered("==", vector, splat(builder, number, count)),
                            builder.fcmp_unordered("uno", vector, vector))
        mask = builder.zext(builder.bitcast(equal, ir.IntType(count)), word)
        bits = builder.or_(bits, builder.shl(mask, ir.Constant(word, k * count)))
    return builder.cttz(bits, ir.Constant(ir.IntType(1), 0))


# For each dtype: degree of the polynomial, first part of ln 2 and the rest, bits of the fraction, bias of the exponent.
_FORMATS = {types.float32: (7, 0.693359375, -2.12194440054690583e-4, 23, 127),
            types.float64: (13, 0.693147180369123816490, 1.90821492927058770002e-10, 52, 1023)}


def exp_of_negative(builder, tile, x):
    """Return exp of each lane of a vector, which is at most 0, within one unit in the last place; a NaN stays a NaN.

    x = n ln 2 + r with a whole number n and |r| <= ln(2)/2. Then exp(x) = 2^n exp(r). exp(r) is its Taylor polynomial.
    The bits of 2^n are n + bias in the place of the exponent. n times the first part of ln 2 is exact.
    """
    degree, ln2, rest, bits, bias = _FORMATS[tile.dtype]
    count, whole = x.type.count, ir.VectorType(ir.IntType(32), x.type.count)
    words = ir.VectorType(ir.IntType(tile.dtype.bitwidth), count)

    def numbers(value, kind=x.type):
        return ir.Constant(kind, [value] * count)

    lowest = numbers((1 - bias) * math.log(2))
    within = builder.select(builder.fcmp_ordered(">", x, lowest), x, lowest)       # a NaN too gets a whole number n
    scaled = builder.fsub(builder.fmul(within, numbers(1 / math.log(2))), numbers(0.5))
    exponent = builder.fptosi(scaled, whole)                                       # rounds towards zero
    n = builder.sitofp(exponent, x.type)
    r = fma(builder, tile, n, numbers(-rest), fma(builder, tile, n, numbers(-ln2), x))
    power = numbers(1 / math.factorial(degree))
    for k in range(degree - 1, -1, -1):
        power = fma(builder, tile, power, r, numbers(1 / math.factorial(k)))
    if words != whole:
        exponent = builder.sext(exponent, words)
    exponent = builder.shl(builder.add(exponent, numbers(bias, words)), numbers(bits, words))
    result = builder.fmul(power, builder.bitcast(exponent, x.type))
    return builder.select(builder.fcmp_ordered("<", x, lowest), numbers(0.0), result)
