"""Muon's update on the device, of one array. Training updates many at once: `npse.cuda.update_kernels`.

Letters: as in the book. The host reads no results, so a step can be recorded. As in sgd.py, the learning rate may be a
device array without axes.
"""

import math

from numba import cuda

from npse import reference as book
from npse.cuda.runtime.arrays import flat, replaces
from npse.cuda.runtime.block_reduce import sum_rows
from npse.cuda.runtime.device import BLOCK_THREADS, empty_like, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import grid_for_elements, grid_stride
from npse.cuda.runtime.learning_rate import with_rate
from npse.cuda.runtime.partial_sums import add_squares
from npse.cuda.update_kernels.muon import COLUMN, directions
from npse.reference.muon import as_matrix


@replaces(book.orthogonalize)
def orthogonalize(u):
    R, K = as_matrix(u).shape
    longer, length = directions(u.reshape(1, R, K))
    direction = empty_like(u)
    launch(_divided, *grid_for_elements(u), flat(longer), length, flat(direction))
    return direction


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


@kernel
def _advance(dw, v, momentum, new_v, u):
    k, end, step = grid_stride(dw.size)
    while k < end:
        speed = momentum * v[k] + dw[k]
        new_v[k] = speed
        u[k] = dw[k] + momentum * speed
        k += step


@kernel
def _divided(longer, length, direction):
    k, end, step = grid_stride(longer.size)
    zero = longer.dtype.type(0)
    while k < end:
        direction[k] = longer[k] / length[0] if length[0] > zero else zero
        k += step


@with_rate
def _move(number):
    @kernel
    def move(w, direction, squares, lr, wanted, new_w):
        shared = cuda.shared.array(BLOCK_THREADS, w.dtype)
        zero = total = w.dtype.type(0)
        for k in range(cuda.threadIdx.y, squares.size, cuda.blockDim.y):
            total += squares[k]
        total = sum_rows(shared, total)
        rate = w.dtype.type(number(lr))
        factor = wanted / math.sqrt(total) if total > zero else wanted
        for k in range(cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y, w.size, cuda.gridDim.x * cuda.blockDim.y):
            new_w[k] = factor * w[k] - rate * direction[k]
    return move

