"""One weight for each channel, so that no channel depends on another: SE-Var2 in arXiv 1910.03151, table 2.

    z  (N, C)  squeezed maps     w  (C,)  weights     b  (C,)  bias, may be left out     a  (N, C)  input of the gate
"""

from npse.reference.contract import op
from npse.reference.numerics import total
from npse.types import Array


@op("z: N C, w: C, b?: C -> a: N C", flops=2, multiply_adds=1)
def per_channel(z: Array, w: Array, b: Array | None = None) -> Array:
    """a[n, c] = w[c] * z[n, c] + b[c];  (N, C), (C,), (C,) -> (N, C)."""
    a = w * z
    return a if b is None else a + b


@op("z: N C, w: C, da: N C -> dz: N C, dw: C, db: C", flops=4)
def per_channel_backward(da: Array, z: Array, w: Array) -> tuple[Array, Array, Array]:
    """dz = da * w, dw = sum over n of da * z, db = sum over n of da;  (N, C), (N, C), (C,) -> (N, C), (C,), (C,)."""
    return da * w, total(da * z, 0), total(da, 0)
