"""The arithmetic of Winograd's convolution F(4, 3): four outputs of a three-tap filter from six products, not twelve.

A filter g of 3 numbers is applied at 4 places of d, a window of 6: y[r] = sum over t of d[r + t] g[t]. The transpose of
this map is the product of two polynomials, with 4 and with 3 coefficients. The product has 6 coefficients, so its
values at six points determine it. That is the multiplication of Toom and Cook: evaluate both factors, multiply point by
point, interpolate. Its matrices, transposed, give the convolution:

    y = A^T [(G g) * (B^T d)]

    A   (6, 4)   row p: 1, p, p^2, p^3                                the value of a cubic at p
    G   (6, 3)   row p: 1, p, p^2, over the product of all p - q      the value of a parabola, scaled for Lagrange
    B^T (6, 6)   row p: coefficients of the product of all (x - q)    Lagrange's polynomial of p, without its divisor

where q runs over the other finite points. The sixth point is infinity. There the value of a polynomial is its leading
coefficient, so the rows are (0, 0, 0, 1), (0, 0, 1) and the product of all (x - p). In two dimensions each transform is
applied to rows, then to columns: 36 products for 16 outputs, where the plain sum takes 144.

The points are 0, -P, P, -Q, Q and infinity. P and -P share their even and odd parts, which saves nearly half of the
additions. P = 3/4 and Q = 3/2 are exact in binary, and their powers are near 1. Compared with the usual points 1 and 2,
the largest error is a quarter, and the mean error is half.
"""

from npse.cpu.runtime.jit import kernel
from npse.cpu.simd.tile import fma

P, Q = 3 / 4, 3 / 2
P2, P3, Q2, Q3 = P**2, P**3, Q**2, Q**3
AT_ZERO, AT_P, AT_Q = P2 * Q2, 2 * P2 * (P2 - Q2), 2 * Q2 * (Q2 - P2)    # products of all p - q; the same for -P, -Q


@kernel
def data_to_points(d0, d1, d2, d3, d4, d5):
    """Return B^T d."""
    even_p, odd_p = fma(-Q2, d2, d4), P * fma(-Q2, d1, d3)    # even and odd part of x (x +- P) (x^2 - Q^2)
    even_q, odd_q = fma(-P2, d2, d4), Q * fma(-P2, d1, d3)
    return (fma(AT_ZERO, d0, fma(-P2, d2, even_p)), even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q,
            fma(AT_ZERO, d1, fma(-(P2 + Q2), d3, d5)))


@kernel
def filter_to_points(g0, g1, g2):
    """Return G g."""
    even_p, odd_p = (1 / AT_P) * fma(P2, g2, g0), (P / AT_P) * g1
    even_q, odd_q = (1 / AT_Q) * fma(Q2, g2, g0), (Q / AT_Q) * g1
    return (1 / AT_ZERO) * g0, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, g2


@kernel
def points_to_map(m0, m1, m2, m3, m4, m5):
    """Return A^T m."""
    even_p, odd_p, even_q, odd_q = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return (m0 + even_p + even_q, fma(P, odd_p, Q * odd_q), fma(P2, even_p, Q2 * even_q),
            fma(P3, odd_p, fma(Q3, odd_q, m5)))


@kernel
def map_to_points(y0, y1, y2, y3):
    """Return A y, the adjoint of `points_to_map`."""
    even_p, odd_p = fma(P2, y2, y0), P * fma(P2, y3, y1)
    even_q, odd_q = fma(Q2, y2, y0), Q * fma(Q2, y3, y1)
    return y0, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, y3


@kernel
def points_to_filter(u0, u1, u2, u3, u4, u5):
    """Return G^T u, the adjoint of `filter_to_points`."""
    even_p, odd_p, even_q, odd_q = (1 / AT_P) * (u1 + u2), u1 - u2, (1 / AT_Q) * (u3 + u4), u3 - u4
    return (fma(1 / AT_ZERO, u0, even_p + even_q), fma(P / AT_P, odd_p, (Q / AT_Q) * odd_q),
            fma(P2, even_p, fma(Q2, even_q, u5)))
