"""Kernels to be traced, right and wrong."""

from numba import cuda, float32

SIDE = 4


@cuda.jit
def neighbours(x, y):
    i = cuda.grid(1)
    if i < y.size:
        y[i] = x[i] + x[i + 1]


def neighbours_example():
    import numpy as np
    return 2, 4, np.ones(9, np.float32), np.zeros(8, np.float32)


@cuda.jit
def in_place(x, total):
    i, j = cuda.threadIdx.x, cuda.threadIdx.y
    row = x[i]
    row[j] += total.dtype.type(1)
    cuda.atomic.add(total, 0, x[i, j])


@cuda.jit
def reverse(x, y):
    shared = cuda.shared.array(8, float32)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    cuda.syncthreads()
    y[t] = shared[7 - t]


@cuda.jit
def hasty_reverse(x, y):
    shared = cuda.shared.array(8, float32)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    y[t] = shared[7 - t]                                          # no barrier before it


def reverse_example():
    import numpy as np
    return 1, 8, np.ones(8, np.float32), np.zeros(8, np.float32)


hasty_reverse_example = reverse_example


@cuda.jit
def naive(a, b, c):
    j, i = cuda.grid(2)
    total = c.dtype.type(0)
    for k in range(a.shape[1]):
        total += a[i, k] * b[k, j]
    c[i, j] = total


@cuda.jit
def tiled(a, b, c):
    left, right = cuda.shared.array((SIDE, SIDE), float32), cuda.shared.array((SIDE, SIDE), float32)
    j, i = cuda.grid(2)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    total = c.dtype.type(0)
    for start in range(0, a.shape[1], SIDE):
        left[y, x] = a[i, start + x]
        right[y, x] = b[start + y, j]
        cuda.syncthreads()
        for k in range(SIDE):
            total += left[y, k] * right[k, x]
        cuda.syncthreads()
    c[i, j] = total


@cuda.jit
def hasty_tiled(a, b, c):
    left, right = cuda.shared.array((SIDE, SIDE), float32), cuda.shared.array((SIDE, SIDE), float32)
    j, i = cuda.grid(2)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    total = c.dtype.type(0)
    for start in range(0, a.shape[1], SIDE):                      # the next tile is written while this one is read
        left[y, x] = a[i, start + x]
        right[y, x] = b[start + y, j]
        cuda.syncthreads()
        for k in range(SIDE):
            total += left[y, k] * right[k, x]
    c[i, j] = total


@cuda.jit
def sum_of_all(x, total):
    total[0] += x[cuda.grid(1)]


@cuda.jit
def beyond(x, y):
    i = cuda.grid(1)
    y[i] = x[i - 1]


@cuda.jit
def unwritten(x, y):
    shared = cuda.shared.array(8, float32)
    t = cuda.threadIdx.x
    if t > 0:
        shared[t] = x[t]
    cuda.syncthreads()
    y[t] = shared[t]


@cuda.jit
def two_barriers(x, y):
    t = cuda.threadIdx.x
    if t < 4:
        cuda.syncthreads()
    else:
        cuda.syncthreads()
    y[t] = x[t]


@cuda.jit(device=True)
def fetch(x, i):
    return x[i]


@cuda.jit
def through_a_function(x, y):
    y[cuda.grid(1)] = fetch(x, 8)


@cuda.jit
def broken(x, y):
    y[0] = x[0].nothing


@cuda.jit
def with_a_length(x, n):
    i = cuda.grid(2)[0]
    if i < n:
        x[i, i] = 1


@cuda.jit
def with_a_place(x, n):
    x[n] = 1


@cuda.jit
def row_by_row(x, y):
    for i, row in enumerate(x):
        for value in row:
            y[i] += value


@cuda.jit
def wrong(x):
    x[0] = 1


def wrong_example():
    return [1, 2]
