"""Muon's update on the device. The kernels of the dense layer compute the matrix products. Letters: as in the book.

A symmetric matrix need not be transposed: dense(x, A) = x A^T = x A. The host reads no results, so a step can be
recorded. As in sgd.py, the learning rate may be a device array without axes.
"""

import math

from numba import cuda

from npse import reference as book
from npse.cuda.dense import dense, gram, times
from npse.cuda.runtime.arrays import flat, replaces
from npse.cuda.runtime.block_reduce import sum_rows
from npse.cuda.runtime.device import (
    BLOCK_THREADS,
    device_function,
    empty,
    empty_like,
    kernel,
    launch,
    scalar,
)
from npse.cuda.runtime.grid_stride import grid_for_elements, grid_stride
from npse.cuda.runtime.learning_rate import with_rate
from npse.cuda.runtime.partial_sums import add_squares
from npse.reference.muon import COEFFICIENTS, ITERATIONS, as_matrix

COLUMN = 1, BLOCK_THREADS                              # threads of a block that sums a list of any length


@replaces(book.orthogonalize)
def orthogonalize(u):
    matrix = as_matrix(u)
    wide = matrix.shape[0] < matrix.shape[1]
    product = dense(matrix, matrix) if wide else gram(matrix)
    A, length = empty_like(product), empty((1,), u.dtype)
    launch(_over_trace, grid_for_elements(A)[0], COLUMN, flat(product), A, length)
    P = M = _polynomial(A)
    for _ in range(ITERATIONS - 1):
        A = dense(dense(M, A), M)
        M = _polynomial(A)
        P = dense(P, M)
    shorter = empty_like(P)
    launch(_divided, *grid_for_elements(P), flat(P), length, flat(shorter))
    return (times(shorter, matrix) if wide else dense(matrix, shorter)).reshape(u.shape)


@replaces(book.muon)
def muon(w, dw, v, lr, momentum=0.9):
    matrix = as_matrix(w)
    new_w, new_v, u = empty_like(w), empty_like(v), empty_like(w)
    launch(_advance, *grid_for_elements(w), flat(dw), flat(v), scalar(momentum, w), flat(new_v), flat(u))
    direction = orthogonalize(u)
    squares = add_squares(matrix)
    move, lr = _move(lr, w)
    launch(move, grid_for_elements(w)[0], COLUMN, flat(w), flat(direction), squares, lr,
           scalar(math.sqrt(min(matrix.shape)), w), flat(new_w))
    return new_w, new_v


def _polynomial(A):
    M = empty_like(A)
    launch(_sum_of_powers, *grid_for_elements(A), A, dense(A, A), *(scalar(c, A) for c in COEFFICIENTS), M)
    return M


@kernel
def _advance(dw, v, momentum, new_v, u):
    k, end, step = grid_stride(dw.size)
    while k < end:
        speed = momentum * v[k] + dw[k]
        new_v[k] = speed
        u[k] = dw[k] + momentum * speed
        k += step


@device_function
def _sum_by_block(shared, numbers, stride):
    """Return the sum of numbers[::stride] to each thread. All threads of the block, which is one column, must call."""
    total = numbers.dtype.type(0)
    for k in range(cuda.threadIdx.y * stride, numbers.size, cuda.blockDim.y * stride):
        total += numbers[k]
    return sum_rows(shared, total)


@kernel
def _over_trace(product, A, length):
    """Write A = product / trace(product), zeros if the trace is zero, and length[0] = sqrt(trace(product))."""
    shared = cuda.shared.array(BLOCK_THREADS, product.dtype)
    K, zero = A.shape[0], product.dtype.type(0)
    total = _sum_by_block(shared, product, K + 1)
    for k in range(cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y, K * K, cuda.gridDim.x * cuda.blockDim.y):
        i, j = k // K, k % K
        A[i, j] = product[k] / total if total > zero else zero
    if cuda.blockIdx.x == 0 and cuda.threadIdx.y == 0:
        length[0] = math.sqrt(total)


@kernel
def _sum_of_powers(A, A2, a, b, c, M):
    K = A.shape[0]
    for k in range(cuda.grid(1), K * K, cuda.gridsize(1)):
        i, j = k // K, k % K
        value = b * A[i, j] + c * A2[i, j]
        M[i, j] = value + a if i == j else value


@kernel
def _divided(P, length, shorter):
    k, end, step = grid_stride(P.size)
    zero = P.dtype.type(0)
    while k < end:
        shorter[k] = P[k] / length[0] if length[0] > zero else zero
        k += step


@with_rate
def _move(number):
    @kernel
    def move(w, direction, squares, lr, wanted, new_w):
        shared = cuda.shared.array(BLOCK_THREADS, w.dtype)
        zero, total = w.dtype.type(0), _sum_by_block(shared, squares, 1)
        rate = w.dtype.type(number(lr))
        factor = wanted / math.sqrt(total) if total > zero else wanted
        for k in range(cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y, w.size, cuda.gridDim.x * cuda.blockDim.y):
            new_w[k] = factor * w[k] - rate * direction[k]
    return move

