"""Tensor cores: a warp multiplies a matrix (16, 8) by a matrix (8, 8) in one instruction, mma.m16n8k8 of PTX.

The factors are tf32: float32 with 10 bits of the mantissa in place of 23. Sums are float32. The elements of the
matrices are distributed among the 32 lanes of the warp. Lane 4 * g + t has

    A (16, 8)   a = A[g, t], A[g + 8, t], A[g, t + 4], A[g + 8, t + 4]
    B (8, 8)    b = B[t, g], B[t + 4, g]
    C (16, 8)   c = C[g, 2t], C[g, 2t + 1], C[g + 8, 2t], C[g + 8, 2t + 1]

GPUs have the instruction from compute capability 8.0 on. In the simulator the lanes exchange their elements through
shared memory, by the same table.
"""

import numpy as np
from numba import cuda, float32

from npse.cuda.runtime import device
from npse.cuda.runtime.block_reduce import WARP
from npse.cuda.runtime.device import SIMULATED, device_function

LEAST_CAPABILITY = 8, 0


def computes(dtype):
    """Return whether tensor cores can be used for arrays of ``dtype``: float32, on a GPU that has the instruction."""
    capability = device.capability()
    return np.dtype(dtype) == np.float32 and (capability is None or capability >= LEAST_CAPABILITY)


if SIMULATED:
    @device_function
    def to_tf32(number):
        """Round a float32 to the nearest tf32; of two equally near, to the one with the larger absolute value."""
        bits = np.float32(number).view(np.uint32)
        return ((bits + np.uint32(0x1000)) & np.uint32(0xffffe000)).view(np.float32) if np.isfinite(number) else number

    @device_function
    def multiply_add(a, b, c):
        """Return A B + C, distributed like C. ``a`` and ``b`` are tf32. All threads of the block must call."""
        elements = cuda.shared.array((cuda.blockDim.x // WARP, 24, 8), float32)      # A, then B
        warp, g, t = cuda.threadIdx.x // WARP, cuda.threadIdx.x % WARP // 4, cuda.threadIdx.x % 4
        for row, column, element in ((g, t, a[0]), (g + 8, t, a[1]), (g, t + 4, a[2]), (g + 8, t + 4, a[3]),
                                     (16 + t, g, b[0]), (16 + t + 4, g, b[1])):
            elements[warp, row, column] = element
        cuda.syncthreads()
        sums = []
        for row, column, total in ((g, 2 * t, c[0]), (g, 2 * t + 1, c[1]),
                                   (g + 8, 2 * t, c[2]), (g + 8, 2 * t + 1, c[3])):
            for k in range(8):
                total += elements[warp, row, k] * elements[warp, 16 + k, column]
            sums.append(total)
        cuda.syncthreads()                                        # the next call may write
        return tuple(sums)

else:
    from llvmlite import ir
    from numba.cuda import cgutils
    from numba.cuda.extending import intrinsic
    from numba.cuda.types import UniTuple
    from numba.cuda.types import float32 as single

    FLOAT, BITS = ir.FloatType(), ir.IntType(32)                  # PTX takes a tf32 as 32 bits without a type

    @intrinsic
    def _to_tf32(context, number):
        def generate(context, builder, signature, arguments):
            convert = ir.InlineAsm(ir.FunctionType(BITS, [FLOAT]), "cvt.rna.tf32.f32 $0, $1;", "=r,f")
            return builder.bitcast(builder.call(convert, arguments), FLOAT)
        return single(single), generate

    @intrinsic
    def _multiply_add(context, a, b, c):
        def generate(context, builder, signature, arguments):
            a, b, c = (cgutils.unpack_tuple(builder, argument) for argument in arguments)
            multiply = ir.InlineAsm(
                ir.FunctionType(ir.LiteralStructType([FLOAT] * 4), [BITS] * 6 + [FLOAT] * 4),
                "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, "
                "{$10, $11, $12, $13};", ",".join(["=f"] * 4 + ["r"] * 6 + ["f"] * 4))
            factors = [builder.bitcast(factor, BITS) for factor in (*a, *b)]
            sums = builder.call(multiply, [*factors, *c], attrs=("convergent",))
            return context.make_tuple(builder, signature.return_type, cgutils.unpack_tuple(builder, sums, 4))
        two, four = UniTuple(single, 2), UniTuple(single, 4)
        return four(four, two, four), generate

    @device_function
    def to_tf32(number):
        """Round a float32 to the nearest tf32; of two equally near, to the one with the larger absolute value."""
        return _to_tf32(number)

    @device_function
    def multiply_add(a, b, c):
        """Return A B + C, distributed like C. ``a`` and ``b`` are tf32. All lanes of the warp must call."""
        return _multiply_add(a, b, c)
