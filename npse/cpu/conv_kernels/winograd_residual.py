"""The end of a residual block in inference, on Winograd's convolution: a few images at a time.

The gates of an image need its whole map, so the join cannot be done while a part of the map is in registers. But the
maps of a few images stay in a core's cache: what the convolution writes is not read from memory.
"""

import functools

from npse.cpu.conv_kernels.winograd_products import multiply
from npse.cpu.conv_kernels.winograd_transforms import LANES
from npse.cpu.runtime.jit import kernel
from npse.cpu.se_kernels.excite import excite_groups
from npse.cpu.simd.channel_sums import gated, join


@functools.cache
def residual_end(tile, vectors):
    """Make the kernel that writes y = relu(s * (gamma * xhat + beta) + r) for images first .. last.

    xhat is the normalized convolution of x with the filters u at the points; for u, height, vs and ms see `multiply`.
    slope is gamma / sqrt(var + eps). ``gates`` are the arrays w1, w2, b1, b2 of the excitation, or None for s = 1. Each
    thread has scratch memory for the images that it takes at a time: cs (images, Ho, Wo, C), sums (2, images, down, C),
    and rows (4, images, C) for the squeeze, the gates, and their products with slope and beta. ``vectors`` is the width
    of `join`.
    """
    convolve, add, width = multiply(tile), join(vectors), vectors * LANES

    @kernel
    def residual_end(x, u, mean, slope, beta, gates, r, y, padding, height, cs, sums, rows, vs, ms, thread,
                     first, last):
        _, Ho, Wo, C = y.shape
        down, share, one = (Ho + 3) // 4, y.dtype.type(1 / (Ho * Wo)), y.dtype.type(1)
        for start in range(first, last, cs.shape[1]):
            end = min(start + cs.shape[1], last)
            count = end - start
            c, of_parts = cs[thread, :count], sums[thread]
            z, s, scale, offset = (rows[thread, 0, :count], rows[thread, 1, :count], rows[thread, 2, :count],
                                   rows[thread, 3, :count])
            convolve(x[start:end], u, c, None, None, of_parts, padding, height, vs, ms, thread, 0, count * down)
            for n in range(count):
                for k in range(C):
                    total = of_parts[0, n, 0, k]
                    for part in range(1, down):
                        total += of_parts[0, n, part, k]
                    z[n, k] = (total * share - mean[k]) * slope[k] + beta[k]
                    s[n, k] = one
            if gates is not None:
                w1, w2, b1, b2 = gates
                excite_groups(LANES, z, w1, w2, b1, b2, s, 0, (count + LANES - 1) // LANES)
            gated(s, slope, beta, scale, offset, 0, count)
            maps = count, Ho * Wo, C
            add(width, c.reshape(maps), mean, scale, offset, r[start:end].reshape(maps), y[start:end].reshape(maps),
                0, count)
    return residual_end
