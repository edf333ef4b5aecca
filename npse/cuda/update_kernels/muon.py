"""Muon for several filters of one shape at once, in place; see in_place.py. Letters: as in the book.

All matrices of a product are stacked, and one launch computes the products of all. They are small: K x K for filters
with K output channels. So a plain tile in shared memory is enough, one number for each thread.
"""

import math

from numba import cuda

from npse.cuda.runtime.arrays import flat
from npse.cuda.runtime.block_reduce import sum_rows
from npse.cuda.runtime.device import (
    BLOCK_THREADS,
    SIMULATED,
    blocks_for,
    device_function,
    empty,
    kernel,
    launch,
    scalar,
)
from npse.cuda.runtime.learning_rate import with_rate
from npse.reference.muon import COEFFICIENTS, ITERATIONS, as_matrix
from npse.support.arithmetic import ceil_div

TILE = 4 if SIMULATED else 16                          # TILE * TILE = BLOCK_THREADS
PITCH = TILE + 1                                       # of a tile's rows: a column is then in different memory banks
COLUMN = 1, BLOCK_THREADS                              # threads of a block that sums a list of any length
BLOCKS = 2 if SIMULATED else 32                        # for a filter, at most


def update(ws, dws, vs, lr, momentum, padded):
    """Make the step of `npse.reference.muon` for each filter; ``padded`` makes a tuple of a fixed length of a list."""
    count, w = len(ws), ws[0]
    R, K = as_matrix(w).shape
    blocks = min(blocks_for(w.size), BLOCKS)
    u, squares = empty((count, R, K), w.dtype), empty((count, blocks), w.dtype)
    weights, gradients, speeds = (padded(list(map(flat, arrays))) for arrays in (ws, dws, vs))
    launch(_advance, (blocks, count), COLUMN, weights, gradients, speeds, scalar(momentum, w),
           u.reshape(count, R * K), squares)
    direction, length = directions(u)
    move, lr = _move(lr, w)
    launch(move, (blocks, count), COLUMN, weights, direction.reshape(count, R * K), squares, length, lr,
           scalar(math.sqrt(min(R, K)), w))


def directions(u):
    """Orthogonalize each matrix of u (n, R, K), see `npse.reference.orthogonalize`; but each is |u| times too long.

    Return the matrices, and the lengths |u| (n,).
    """
    wide = u.shape[1] < u.shape[2]
    gram = products(u, u, right_transposed=True) if wide else products(u, u, left_transposed=True)
    A, length = empty(gram.shape, u.dtype), empty(u.shape[:1], u.dtype)
    launch(_over_trace, gram.shape[0], COLUMN, gram, A, length)
    P = M = _polynomials(A)
    for _ in range(ITERATIONS - 1):
        A = products(products(M, A), M)
        M = _polynomials(A)
        P = products(P, M)
    return products(P, u) if wide else products(u, P), length


def products(x, y, left_transposed=False, right_transposed=False):
    """Return the matrix product of each matrix of x with that of y, stacked along the first axis."""
    n, rows, middle = (x.shape[axis] for axis in ((0, 2, 1) if left_transposed else (0, 1, 2)))
    z = empty((n, rows, y.shape[1 if right_transposed else 2]), x.dtype)
    launch(_products, _tiles(z), (TILE, TILE), x, y, middle, left_transposed, right_transposed, z)
    return z


def _polynomials(A):
    """Return a + b A + c A A for each matrix of A, with the coefficients of the book."""
    M = empty(A.shape, A.dtype)
    launch(_sums_of_powers, _tiles(A), (TILE, TILE), A, *(scalar(c, A) for c in COEFFICIENTS), M)
    return M


def _tiles(z):
    n, rows, columns = z.shape
    return ceil_div(columns, TILE), ceil_div(rows, TILE), n


@device_function
def _product(x, y, n, middle, left_transposed, right_transposed, left, right):
    """Return the number of this thread in the product of two matrices: row i, column j. All threads must call."""
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * TILE, cuda.blockIdx.x * TILE         # of the first number of the tile
    zero = x.dtype.type(0)
    total = zero
    for k in range(0, middle, TILE):
        # threads of a warp read neighbouring numbers, so a matrix that is transposed is read along its own rows
        if left_transposed:
            left[tx, ty] = x[n, k + ty, row + tx] if k + ty < middle and row + tx < x.shape[2] else zero
        else:
            left[ty, tx] = x[n, row + ty, k + tx] if row + ty < x.shape[1] and k + tx < middle else zero
        if right_transposed:
            right[tx, ty] = y[n, column + ty, k + tx] if column + ty < y.shape[1] and k + tx < middle else zero
        else:
            right[ty, tx] = y[n, k + ty, column + tx] if k + ty < middle and column + tx < y.shape[2] else zero
        cuda.syncthreads()
        for m in range(TILE):
            total += left[ty, m] * right[m, tx]
        cuda.syncthreads()
    return total


@kernel
def _products(x, y, middle, left_transposed, right_transposed, z):
    left = cuda.shared.array((TILE, PITCH), x.dtype)
    right = cuda.shared.array((TILE, PITCH), x.dtype)      # not on one line: the simulator tells them apart by it
    n, i, j = cuda.blockIdx.z, cuda.blockIdx.y * TILE + cuda.threadIdx.y, cuda.blockIdx.x * TILE + cuda.threadIdx.x
    total = _product(x, y, n, middle, left_transposed, right_transposed, left, right)
    if i < z.shape[1] and j < z.shape[2]:
        z[n, i, j] = total


@kernel
def _sums_of_powers(A, a, b, c, M):
    left = cuda.shared.array((TILE, PITCH), A.dtype)
    right = cuda.shared.array((TILE, PITCH), A.dtype)      # not on one line: the simulator tells them apart by it
    n, i, j = cuda.blockIdx.z, cuda.blockIdx.y * TILE + cuda.threadIdx.y, cuda.blockIdx.x * TILE + cuda.threadIdx.x
    square = _product(A, A, n, A.shape[1], False, False, left, right)
    if i < M.shape[1] and j < M.shape[2]:
        value = b * A[n, i, j] + c * square
        M[n, i, j] = value + a if i == j else value


@kernel
def _advance(ws, dws, vs, momentum, u, squares):
    """Write the new v and u of each filter, and a part of the sum of the squares of w for each block."""
    shared = cuda.shared.array(BLOCK_THREADS, u.dtype)
    item, zero = cuda.blockIdx.y, u.dtype.type(0)
    w, dw, v = ws[item], dws[item], vs[item]
    total = zero
    for k in range(cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y, w.size, cuda.gridDim.x * cuda.blockDim.y):
        speed = momentum * v[k] + dw[k]
        v[k] = speed
        u[item, k] = dw[k] + momentum * speed
        total += w[k] * w[k]
    total = sum_rows(shared, total)
    if cuda.threadIdx.y == 0:
        squares[item, cuda.blockIdx.x] = total


@kernel
def _over_trace(products, A, lengths):
    """Write A = product / trace(product), zeros if the trace is zero, and the square root of the trace, of each."""
    shared = cuda.shared.array(BLOCK_THREADS, A.dtype)
    n, K, zero = cuda.blockIdx.x, A.shape[1], A.dtype.type(0)
    total = zero
    for k in range(cuda.threadIdx.y, K, cuda.blockDim.y):
        total += products[n, k, k]
    total = sum_rows(shared, total)
    for k in range(cuda.threadIdx.y, K * K, cuda.blockDim.y):
        i, j = k // K, k % K
        A[n, i, j] = products[n, i, j] / total if total > zero else zero
    if cuda.threadIdx.y == 0:
        lengths[n] = math.sqrt(total)


@with_rate
def _move(number):
    @kernel
    def move(ws, directions, squares, lengths, lr, wanted):
        shared = cuda.shared.array(BLOCK_THREADS, directions.dtype)
        item, zero = cuda.blockIdx.y, directions.dtype.type(0)
        w, total = ws[item], zero
        for part in range(cuda.threadIdx.y, squares.shape[1], cuda.blockDim.y):
            total += squares[item, part]
        total = sum_rows(shared, total)
        factor = wanted / math.sqrt(total) if total > zero else wanted
        rate = directions.dtype.type(number(lr)) / lengths[item] if lengths[item] > zero else zero
        for k in range(cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y, w.size,
                       cuda.gridDim.x * cuda.blockDim.y):
            w[k] = factor * w[k] - rate * directions[item, k]
    return move

