"""Matrix products of stacks of matrices, for Winograd's convolution: one product for each of its points.

    multiply               z[p] = x[p] y[p]                               over channels
    multiply_transposed    z[part, p] = x[p]^T y[p], in parts             over squares, of which there are many

A block computes ROWS x COLUMNS numbers of a product, a thread TM rows of TV vectors of them, in registers. For each
step of the sum, a thread reads TM numbers and TV vectors from shared memory for TM * TV products of vectors. Shared
memory has the factors of DEPTH steps twice: the next ones are loaded while these are multiplied, with one barrier for
DEPTH steps.

    left     [turn, step][row]             numbers of x; a thread reads four rows at once
    right    [turn, step][column / 4]      vectors of y; neighbouring threads read neighbouring vectors

A row of ``left`` is four numbers longer than its tile: then threads that load neighbouring steps store them to
different banks.
"""

import functools

import numpy as np
from numba import cuda

from npse.cuda.conv_kernels.register import ALIGNED, bounded
from npse.cuda.runtime.device import SIMULATED, device_function, empty, launch, vectors
from npse.cuda.runtime.partial_sums import parts_for
from npse.cuda.runtime.vectors import where
from npse.support.arithmetic import ceil_div

LANES = 4                                              # numbers of a vector
THREADS, DEPTH, ACROSS, TV = (16, 4, 4, 1) if SIMULATED else (128, 8, 8, 2)     # a thread has TV vectors of each row
COLUMNS, DOWN = ACROSS * TV * LANES, THREADS // ACROSS                           # of a tile; threads one below another


def multiply(x, y, z):
    """Write z (points, R, K) = x (points, R, D) y (points, D, K)."""
    points, R, K = z.shape
    _launch(x, y, z.reshape(1, points, R, K), R, transposed=False, adds=False)


def multiply_transposed(x, y, z):
    """Return z (parts, points, R, K), whose sum over the parts is x^T y, for x (points, D, R) and y (points, D, K).

    If ``z`` is not None, it is a result of this function for matrices of the same R and K, and the products are added
    to it.
    """
    (points, D, R), K = x.shape, y.shape[2]
    adds = z is not None
    if not adds:
        tiles = points * ceil_div(R, _rows(R)) * ceil_div(K, COLUMNS)
        z = empty((parts_for(ceil_div(D, DEPTH), tiles), points, R, K), x.dtype)
    _launch(x, y, z, R, transposed=True, adds=adds)
    return z


def _rows(R):
    """Return the rows of a tile, for products with R rows."""
    return DOWN * (8 if R > 4 * DOWN and not SIMULATED else 4)


def _launch(x, y, z, R, transposed, adds):
    parts, points, _, K = z.shape
    rows, D = _rows(R), y.shape[1]
    grid = ceil_div(R, rows), ceil_div(K, COLUMNS), points * parts
    launch(_products(rows // DOWN, transposed, adds), grid, THREADS,
           x.reshape(points, R * D), vectors(y, LANES, (points, D * K // LANES)), R, D, K // LANES, parts,
           vectors(z, LANES, (parts * points, R * K // LANES)))


@functools.cache
def _products(TM, transposed, adds):
    ROWS, VECTORS = DOWN * TM, COLUMNS // LANES
    WIDTH = ROWS if transposed else DEPTH                  # numbers of x that threads load from neighbouring addresses
    OF_LEFT, OF_RIGHT = ROWS * DEPTH // THREADS, ceil_div(VECTORS * DEPTH, THREADS)       # loads of a thread
    LEFT, NEXT_LEFT, NEXT_RIGHT = ROWS + 4, THREADS // WIDTH, THREADS // VECTORS          # from a number to the next
    left_shape, right_shape, products, column_shape = 2 * DEPTH * LEFT, 2 * DEPTH * VECTORS, (TM, TV), (TM,)

    @device_function
    def step(left, right, d, column, total):
        """Add the products of step d to those of a thread."""
        tx, ty = np.uint64(cuda.threadIdx.x % ACROSS), np.uint64(cuda.threadIdx.x // ACROSS)
        for i in range(TM):
            column[i] = left[d * np.uint64(LEFT) + np.uint64(4) * ty + np.uint64(i // 4 * 4 * DOWN + i % 4)]
        for j in range(TV):
            f = right[d * np.uint64(VECTORS) + tx + np.uint64(j * ACROSS)]
            for i in range(TM):
                total[i, j] += column[i] * f

    @bounded(THREADS, 3)
    def products_of_points(x, y, R, D, K, parts, z):
        """x (points, R * D), or (points, D * R) if transposed; vectors y (points, D * K), z (parts * points, R * K)."""
        left = cuda.shared.array(left_shape, x.dtype, ALIGNED)
        right = cuda.shared.array(right_shape, y.dtype)
        total = cuda.local.array(products, y.dtype)
        column = cuda.local.array(column_shape, x.dtype)
        held_left = cuda.local.array(OF_LEFT, x.dtype)
        held_right = cuda.local.array(OF_RIGHT, y.dtype)
        R, D, K, t = np.int32(R), np.int32(D), np.int32(K), np.int32(cuda.threadIdx.x)
        p, part = cuda.blockIdx.z % x.shape[0], np.int32(cuda.blockIdx.z // x.shape[0])
        share = np.int32((D + parts * DEPTH - 1) // (parts * DEPTH) * DEPTH)      # steps of a part
        first = np.int32(part * share)
        last, zero = np.int32(min(D, np.int32(first + share))), x.dtype.type(0)
        fast, slow = np.int32(t % WIDTH), np.int32(t // WIDTH)
        r0, k0 = np.int32(cuda.blockIdx.x * ROWS), np.int32(cuda.blockIdx.y * VECTORS)
        r_left, d_left = np.int32(r0 + (fast if transposed else slow)), slow if transposed else fast
        k_right, d_right = np.int32(min(np.int32(k0 + t % VECTORS), np.int32(K - 1))), np.int32(t // VECTORS)
        for i in range(TM):
            for j in range(TV):
                total[i, j] = zero

        turn, d0 = np.int32(0), first
        while d0 < np.int32(last + DEPTH):                   # load the factors of these steps, multiply the previous
            for i in range(OF_LEFT):
                r = np.int32(min(r_left if transposed else np.int32(r_left + i * NEXT_LEFT), np.int32(R - 1)))
                d = np.int32(d0 + d_left + (i * NEXT_LEFT if transposed else 0))
                e = np.int32(min(d, np.int32(last - 1)))
                value = x[p, np.uint32(e * R + r if transposed else r * D + e)]
                held_left[i] = value if d < last else zero
            for i in range(OF_RIGHT):
                d = np.int32(d0 + d_right + i * NEXT_RIGHT)
                four = y[p, np.uint32(np.int32(min(d, np.int32(last - 1))) * K + k_right)]
                held_right[i] = where(d < last, four, zero)
            if d0 > first:
                for d in range(turn, turn + DEPTH, 4):       # four calls, because a loop would not be unrolled
                    step(left, right, np.uint64(d), column, total)
                    step(left, right, np.uint64(d + 1), column, total)
                    step(left, right, np.uint64(d + 2), column, total)
                    step(left, right, np.uint64(d + 3), column, total)
            turn = np.int32(DEPTH - turn)
            at = np.uint64(turn * LEFT + (slow * LEFT + fast if transposed else fast * LEFT + slow))
            for i in range(OF_LEFT):
                left[at + np.uint64(i * NEXT_LEFT * (LEFT if transposed else 1))] = held_left[i]
            for i in range(OF_RIGHT):
                if d_right + i * NEXT_RIGHT < DEPTH:
                    right[np.uint64(turn * VECTORS + t) + np.uint64(i * THREADS)] = held_right[i]
            cuda.syncthreads()
            d0 = np.int32(d0 + DEPTH)

        for i in range(TM):
            r = np.int32(r0 + 4 * (i // 4 * DOWN + t // ACROSS) + i % 4)
            for j in range(TV):
                k = np.int32(k0 + j * ACROSS + t % ACROSS)
                if r < R and k < K:
                    at = np.uint32(r * K + k)
                    z[cuda.blockIdx.z, at] = z[cuda.blockIdx.z, at] + total[i, j] if adds else total[i, j]
    return products_of_points
