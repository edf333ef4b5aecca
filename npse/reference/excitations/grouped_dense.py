"""A dense layer for each group of channels: SE-GC in arXiv 1910.03151, table 2. With one group it is a dense layer.

    z  (N, G, D)  squeezed maps, G groups of D channels     w  (G, M, D)  weights of each group
    a  (N, G, M)  M outputs of each group                   b  (G, M)     bias, may be left out
"""

import numpy as np

from npse.reference.contract import op
from npse.reference.numerics import total
from npse.types import Array


@op("z: N G D, w: G M D, b?: G M -> a: N G M", flops=lambda z, w, *_, y: 2 * len(z) * w.size,
    multiply_adds=lambda z, w, *_, y: len(z) * w.size)
def grouped_dense(z: Array, w: Array, b: Array | None = None) -> Array:
    """a[n, g, m] = sum over d of  z[n, g, d] * w[g, m, d]  + b[g, m];  (N, G, D), (G, M, D), (G, M) -> (N, G, M)."""
    a = np.einsum("ngd,gmd->ngm", z, w)
    return a if b is None else a + b


@op("z: N G D, w: G M D, da: N G M -> dz: N G D, dw: G M D, db: G M", flops=lambda da, z, w, *_, y: 4 * len(z) * w.size)
def grouped_dense_backward(da: Array, z: Array, w: Array) -> tuple[Array, Array, Array]:
    """Gradients of `grouped_dense` -> dz (N, G, D), dw (G, M, D), db (G, M).

    dz[n, g, d] = sum over m of  da[n, g, m] * w[g, m, d]
    dw[g, m, d] = sum over n of  da[n, g, m] * z[n, g, d]
    db[g, m]    = sum over n of  da[n, g, m]
    """
    return np.einsum("ngm,gmd->ngd", da, w), np.einsum("ngm,ngd->gmd", da, z), total(da, 0)
