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

Source: A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, arXiv 1509.09308.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from npse.editions.convolution import Geometry
from npse.support.arithmetic import ceil_div

Function = Callable[..., Any]
V = Any                                        # a number or a vector of a kernel
POINTS = 36                                    # of a square: 6 x 6


class Transforms(NamedTuple):
    """The transforms in one dimension, functions for the kernels of an edition."""

    data_to_points: Function
    filter_to_points: Function
    points_to_map: Function
    map_to_points: Function
    points_to_filter: Function


def transforms(compiled: Callable[[Function], Function], fma: Function, number: Callable[[float], Any]) -> Transforms:
    """Make the transforms for an edition.

    Parameters
    ----------
    compiled : function
        Its decorator for functions that kernels call.
    fma : function
        Computes a * b + c in a kernel, for numbers or vectors.
    number : function
        Makes a constant of a kernel from a float.

    Returns
    -------
    Transforms
    """
    P, Q = 3 / 4, 3 / 2
    P2, P3, Q2, Q3 = P**2, P**3, Q**2, Q**3
    at_zero, at_p, at_q = P2 * Q2, 2 * P2 * (P2 - Q2), 2 * Q2 * (Q2 - P2)     # products of all p - q; the same for -p
    ZERO, MINUS_P2, MINUS_Q2, MINUS_BOTH = map(number, (at_zero, -P2, -Q2, -(P2 + Q2)))
    OF_ZERO, OF_P, OF_Q, P_OF_P, Q_OF_Q = map(number, (1 / at_zero, 1 / at_p, 1 / at_q, P / at_p, Q / at_q))
    P, Q, P2, P3, Q2, Q3 = map(number, (P, Q, P2, P3, Q2, Q3))

    @compiled
    def data_to_points(d0: V, d1: V, d2: V, d3: V, d4: V, d5: V) -> tuple[V, ...]:
        """Return B^T d."""
        # even and odd part of x (x +- P) (x^2 - Q^2)
        even_p, odd_p = fma(MINUS_Q2, d2, d4), P * fma(MINUS_Q2, d1, d3)
        even_q, odd_q = fma(MINUS_P2, d2, d4), Q * fma(MINUS_P2, d1, d3)
        return (fma(ZERO, d0, fma(MINUS_P2, d2, even_p)), even_p + odd_p, even_p - odd_p, even_q + odd_q,
                even_q - odd_q, fma(ZERO, d1, fma(MINUS_BOTH, d3, d5)))

    @compiled
    def filter_to_points(g0: V, g1: V, g2: V) -> tuple[V, ...]:
        """Return G g."""
        even_p, odd_p = OF_P * fma(P2, g2, g0), P_OF_P * g1
        even_q, odd_q = OF_Q * fma(Q2, g2, g0), Q_OF_Q * g1
        return OF_ZERO * g0, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, g2

    @compiled
    def points_to_map(m0: V, m1: V, m2: V, m3: V, m4: V, m5: V) -> tuple[V, ...]:
        """Return A^T m."""
        even_p, odd_p, even_q, odd_q = m1 + m2, m1 - m2, m3 + m4, m3 - m4
        return (m0 + even_p + even_q, fma(P, odd_p, Q * odd_q), fma(P2, even_p, Q2 * even_q),
                fma(P3, odd_p, fma(Q3, odd_q, m5)))

    @compiled
    def map_to_points(y0: V, y1: V, y2: V, y3: V) -> tuple[V, ...]:
        """Return A y, the adjoint of `points_to_map`."""
        even_p, odd_p = fma(P2, y2, y0), P * fma(P2, y3, y1)
        even_q, odd_q = fma(Q2, y2, y0), Q * fma(Q2, y3, y1)
        return y0, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, y3

    @compiled
    def points_to_filter(u0: V, u1: V, u2: V, u3: V, u4: V, u5: V) -> tuple[V, ...]:
        """Return G^T u, the adjoint of `filter_to_points`."""
        even_p, odd_p, even_q, odd_q = OF_P * (u1 + u2), u1 - u2, OF_Q * (u3 + u4), u3 - u4
        return (fma(OF_ZERO, u0, even_p + even_q), fma(P_OF_P, odd_p, Q_OF_Q * odd_q),
                fma(P2, even_p, fma(Q2, even_q, u5)))

    return Transforms(data_to_points, filter_to_points, points_to_map, map_to_points, points_to_filter)


def obstacle(g: Geometry) -> str | None:
    """Return what Winograd's algorithm needs and a convolution does not have; None if it is possible."""
    if (g.kh, g.kw, g.stride) != (3, 3, 1) or g.padding > 2:
        return f"3x3 filters, stride 1 and a padding of at most 2, but has {g.kh}x{g.kw}, {g.stride} and {g.padding}"
    return None


def expect_possible(needs: str | None) -> None:
    """Raise ValueError if ``needs``, as of `obstacle`, is not None."""
    if needs:
        raise ValueError(f"Winograd's convolution needs {needs}; use conv2d, which supports all filters")


def covered(H: int, W: int) -> tuple[int, int]:
    """Return how many squares of 4 x 4 outputs are one below another and side by side on a map of H x W outputs."""
    return ceil_div(H, 4), ceil_div(W, 4)


def outputs_of_a_square(g: Geometry) -> float:
    """Return how many of the 16 outputs of a square lie on the map, on average."""
    down, across = covered(g.Ho, g.Wo)
    return g.Ho * g.Wo / (down * across)
