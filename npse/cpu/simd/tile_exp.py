"""The exponential function of the elements of a tile.

x = n ln 2 + r with a whole number n and |r| <= ln(2)/2. Then exp(x) = 2^n exp(r). exp(r) is its Taylor polynomial, and
2^n is put together from the bits of a floating-point number: n + bias is its exponent. ln 2 is the sum of two numbers,
of which n times the first is exact.
"""

import math

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from npse.cpu.simd import tile_llvm as llvm

# For each dtype: degree of the polynomial, first part of ln 2 and the rest, bits of the fraction, bias of the exponent.
_FORMATS = {
    types.float32: (7, 0.693359375, -2.12194440054690583e-4, 23, 127),
    types.float64: (13, 0.693147180369123816490, 1.90821492927058770002e-10, 52, 1023),
}


@intrinsic
def exp_of_negative(typing, tile):
    """Return exp(x) for each element x <= 0 of a tile, within 2 units in the last place; a NaN stays a NaN.

    Results below the smallest normal number are 0.
    """
    def build(context, builder, signature, arguments):
        return llvm.joined(builder, tile, [_exp(builder, tile, x) for x in llvm.parts(builder, tile, arguments[0])])
    return tile(tile), build


def _exp(builder, tile, x):
    degree, ln2, rest, bits, bias = _FORMATS[tile.dtype]
    vector, count = x.type, x.type.count

    def numbers(value):
        return ir.Constant(vector, [value] * count)

    lowest = numbers((1 - bias) * math.log(2))
    within = builder.select(builder.fcmp_ordered(">", x, lowest), x, lowest)       # NaN, too, becomes a number for n
    scaled = builder.fsub(builder.fmul(within, numbers(1 / math.log(2))), numbers(0.5))
    whole = builder.fptosi(scaled, ir.VectorType(ir.IntType(32), count))           # rounds towards 0, here upwards
    n = builder.sitofp(whole, vector)
    r = llvm.fma(builder, tile, n, numbers(-rest), llvm.fma(builder, tile, n, numbers(-ln2), x))
    power = numbers(1 / math.factorial(degree))
    for k in range(degree - 1, -1, -1):
        power = llvm.fma(builder, tile, power, r, numbers(1 / math.factorial(k)))
    word = ir.IntType(32 if tile.dtype == types.float32 else 64)
    words = ir.VectorType(word, count)
    exponent = whole if word.width == 32 else builder.sext(whole, words)
    exponent = builder.add(exponent, ir.Constant(words, [bias] * count))
    two_to_n = builder.bitcast(builder.shl(exponent, ir.Constant(words, [bits] * count)), vector)
    return builder.select(builder.fcmp_ordered("<", x, lowest), numbers(0.0), builder.fmul(power, two_to_n))
