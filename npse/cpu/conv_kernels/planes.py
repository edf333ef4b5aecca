"""Convolution of maps with few channels, at stride 1: a vector holds neighbouring pixels. Letters: as in the book.

The register tile of direct.py holds neighbouring channels of the result. With one or two channels most of it would be
padding, and the patches of im2col.py take kh*kw times the memory of the map. Here each channel of an image is copied to
a plane of its own, with zeros around it. A tile, some rows x some vectors of pixels, stays in registers during the loop
over channels and taps:

    y    source x, filters w                 dx    source dy, filters w mirrored, with its channel axes exchanged
    dw   a tile holds the sums for the taps of a filter's row, in vectors: their lanes are added at the end

Images of dw are summed part by part, then the parts in order, so that the bits do not depend on the number of threads.
"""

import functools

import numpy as np

from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty
from npse.cpu.runtime.parallel import get_threads, parallel_for
from npse.cpu.simd.tile import fma, lanes, load, store, vector_registers, zeros
from npse.reference.numerics import total

CHANNELS = 8          # most channels of x and y: of wider maps, the copies would take longer than the sums
PARTS = 16            # partial sums of dw, for any number of threads


def fits(g, dtype):
    """Whether the variant is possible, and faster than a matrix product for a result of few channels."""
    return (lanes(dtype) > 0 and g.stride == 1 and g.kh * g.kw > 1 and g.kw <= _most_taps()
            and max(g.Cin, g.Cout) <= CHANNELS)


def forward(x, w, g):
    """Return y: (N, H, W, Cin), (kh, kw, Cin, Cout) -> (N, Ho, Wo, Cout)."""
    y = empty(g.y_shape, x.dtype)
    _correlate(x, y, w, g, g.padding, g.padding)
    return y


def backward_x(dy, w, g):
    """Return dx: (N, Ho, Wo, Cout), (kh, kw, Cin, Cout) -> (N, H, W, Cin)."""
    dx = empty(g.x_shape, dy.dtype)
    filters = np.ascontiguousarray(w[::-1, ::-1].transpose(0, 1, 3, 2))
    _correlate(dy, dx, filters, g, g.kh - 1 - g.padding, g.kw - 1 - g.padding)
    return dx


def backward_w(dy, x, g):
    """Return dw: (N, Ho, Wo, Cout), (N, H, W, Cin) -> (kh, kw, Cin, Cout)."""
    _expect_stride_1(g)
    lane, items = lanes(x.dtype), -(-g.N // PARTS)
    parts = np.zeros((-(-g.N // items), g.kh, g.Cin, g.Cout, g.kw, lane), x.dtype)
    threads = get_threads()
    planes = empty((threads, g.Cin, g.Ho + g.kh - 1, g.Wo + g.kw - 1), x.dtype)
    dy_planes = empty((threads, g.Cout, g.Ho, g.Wo), x.dtype)
    task = functools.partial(_gradient(g.kw), lane, dy, x, g.padding, items, parts, planes, dy_planes)
    parallel_for(task, len(parts), 1, threads=threads, pass_thread=True)
    return np.ascontiguousarray(total(total(parts, 5), 0).transpose(0, 3, 1, 2))


def _correlate(source, target, w, g, top, left):
    """Write target (N, rows, columns, K); tap (i, j) of its pixel (a, b) meets pixel (a + i - top, b + j - left)."""
    _expect_stride_1(g)
    N, rows, columns, _ = target.shape
    kh, kw, C, _ = w.shape
    lane = lanes(source.dtype)
    vectors = next((v for v in (1, 2) if v * lane >= columns), 4)
    height = vector_registers()[1] // 2 // vectors                # half of the registers hold sums
    width = vectors * lane
    threads = get_threads()
    planes = empty((threads, C, -(-rows // height) * height + kh - 1, -(-columns // width) * width + kw - 1),
                   source.dtype)
    corner = empty((threads, height, width), source.dtype)
    task = functools.partial(_kernel(height, vectors), source, w, target, top, left, planes, corner)
    parallel_for(task, N, threads=threads, pass_thread=True)


def _expect_stride_1(g):
    if g.stride > 1:
        raise ValueError(f"planes are for stride 1, but the stride is {g.stride}")


def _most_taps():
    """Return the longest row of a filter whose sums stay in registers."""
    return vector_registers()[1] // 2


@functools.cache
def _kernel(height, vectors):
    """Make the kernel for a tile of ``height`` rows x ``vectors`` vectors of pixels. It goes through ``corner``."""
    @kernel
    def correlate(source, w, target, top, left, planes, corners, thread, first, last):
        plane, corner = planes[thread], corners[thread]
        _, rows, columns, K = target.shape
        kh, kw, C, _ = w.shape
        _, deep, wide = plane.shape
        width = corner.shape[1]
        for n in range(first, last):
            to_planes(source, n, top, left, plane)
            for k in range(K):
                for a in range(0, rows, height):
                    for b in range(0, columns, width):
                        tile = zeros(target, height, vectors)
                        for c in range(C):
                            for i in range(kh):
                                at = (c * deep + a + i) * wide + b
                                for j in range(kw):
                                    tile = fma(w[i, j, c, k], load(plane, at + j, wide, height, vectors), tile)
                        store(tile, corner, 0, width)
                        for r in range(min(height, rows - a)):
                            for q in range(min(width, columns - b)):
                                target[n, a + r, b + q, k] = corner[r, q]
    return correlate


@functools.cache
def _gradient(taps):
    """Make the kernel that writes parts (parts, kh, C, K, taps, lane), each the sum over some images, lane by lane."""
    @kernel
    def gradient(lane, dy, x, padding, items, parts, planes, dy_planes, thread, first, last):
        plane, dy_plane = planes[thread], dy_planes[thread]
        N, Ho, Wo, K = dy.shape
        _, kh, C, _, _, _ = parts.shape
        _, deep, wide = plane.shape
        whole = Wo // lane * lane
        for part in range(first, last):
            for n in range(part * items, min((part + 1) * items, N)):
                to_planes(x, n, padding, padding, plane)
                to_planes(dy, n, 0, 0, dy_plane)
                for i in range(kh):
                    for c in range(C):
                        for k in range(K):
                            sums, tile = parts[part, i, c, k], zeros(x, taps, 1)
                            for a in range(Ho):
                                at, dy_at = (c * deep + a + i) * wide, (k * Ho + a) * Wo
                                for b in range(0, whole, lane):
                                    tile = fma(load(dy_plane, dy_at + b, 0, taps, 1), load(plane, at + b, 1, taps, 1),
                                               tile)
                                for b in range(whole, Wo):
                                    for j in range(taps):
                                        sums[j, b - whole] += dy_plane[k, a, b] * plane[c, a + i, b + j]
                            store(tile + load(sums, 0, lane, taps, 1), sums, 0, lane)
    return gradient


@kernel
def to_planes(x, n, top, left, planes):
    """Copy image n of x (N, H, W, C) to planes (C, rows, columns), below ``top`` rows and after ``left`` of zeros."""
    _, H, W, _ = x.shape
    C, rows, columns = planes.shape
    zero = x.dtype.type(0)
    for c in range(C):
        for row in range(rows):
            h = row - top
            to = planes[c, row]
            for v in range(columns):
                to[v] = zero
            if 0 <= h < H:
                for v in range(max(0, -left), min(W, columns - left)):
                    to[v + left] = x[n, h, v, c]
