"""Numeric gradients by central differences.

    L(x) = sum(dy * f(x))          dL/dx_i  ~  sum(dy * (f(x + h e_i) - f(x - h e_i))) / 2h

The outputs are subtracted element by element before they are summed: most of them have not changed and drop out
exactly, whereas the difference of two whole sums would keep the rounding error of every term.
"""

from dataclasses import dataclass

import numpy as np

from npse.gradcheck.kinks import choices, count_changes

TOLERANCE = 1e-6     # of the relative error, in float64; a right gradient stays near 1e-9
FLOOR = 0.01         # entries below this share of the largest gradient are measured against that share
SAFETY = 10          # how far rounding may exceed its estimate
RESOLUTION = 1e-3    # an error that a verdict must be able to see, as a share of the largest gradient


@dataclass(frozen=True)
class NumericGradient:
    """A numeric gradient and how far it can be trusted; three arrays shaped like x.

    Attributes
    ----------
    value : array
        The central differences; not a number where ``crossed``.
    noise : array
        Size of the error that rounding alone may cause.
    crossed : bool array
        Where the step crossed a kink.
    """

    value: np.ndarray
    noise: np.ndarray
    crossed: np.ndarray


def typical_size(x):
    """Root mean square of x; 1 if x is zero everywhere."""
    return np.sqrt(np.mean(np.square(x))) or 1.0


def step_sizes(x):
    """Step of the central difference for each entry of x: h = eps^(1/3) * max(|x_i|, typical size of x).

    The formula is wrong by about h^2 f'''/6 (truncation) and by about eps |f| / h (rounding). Their sum is least
    where both grow alike, at h ~ (eps |f| / |f'''|)^(1/3), and |f / f'''|^(1/3) is about the scale of x itself. With
    float64 that is 6e-6 of x and an error near 1e-10; with float32 it is 5e-3 and an error near 1e-4, which is why
    gradients are checked in float64.
    """
    return np.cbrt(np.finfo(x.dtype).eps) * np.maximum(np.abs(x), typical_size(x))


def numeric_gradient(f, x, dy, kinks=None):
    """Gradient of sum(dy * f(x)) with respect to every entry of x.

    Parameters
    ----------
    f : function of x -> array shaped like dy
    x : floating array, best float64
    dy : array, the upstream gradient
    kinks : function of x -> arrays, optional
        What decides at the ReLUs and maxima inside f; see `npse.gradcheck.kinks.choices`.

    Returns
    -------
    NumericGradient
    """
    h = step_sizes(x)
    value, noise, crossed = np.empty(x.shape), np.empty(x.shape), np.zeros(x.shape, bool)
    y = np.asarray(f(x))
    eps = max(np.finfo(x.dtype).eps, np.finfo(y.dtype).eps)
    largest_x, largest_y, largest_dy = (np.abs(a).max() for a in (x, y, dy))
    here = choices(kinks(x)) if kinks else []
    for i in np.ndindex(x.shape):
        above, below = _moved(x, i, h[i]), _moved(x, i, -h[i])
        distance = above[i] - below[i]                    # x + h is rounded: divide by the way really gone
        if kinks:
            crossed[i] = any(count_changes(here, choices(kinks(there))) for there in (below, above))
        y_above, y_below = np.array(f(above)), f(below)   # a copy, should f return the same array each time
        with np.errstate(invalid="ignore"):               # inf - inf: the caller sees nan
            difference = y_above - y_below
        value[i] = np.nan if crossed[i] else np.sum(dy * difference) / distance
        moved = max(np.linalg.norm(dy * (difference != 0)), largest_dy)
        terms = np.linalg.norm(dy * difference) / distance          # f may be a small sum of large terms in x
        noise[i] = eps * (largest_y * moved + largest_x * terms) / distance
    return NumericGradient(value, noise, crossed)


def relative_error(ours, numeric, tolerance=TOLERANCE):
    """Relative error of each entry of a gradient, against its numeric gradient; zero where a kink was crossed.

    |numeric - ours| / max(|numeric|, |ours|, floor).  The floor is 1 % of the largest numeric gradient of the array:
    an entry that happens to be near zero is measured on the scale of its neighbours. And it is never so low that
    rounding noise could reach the tolerance: gradients that vanish raise no alarm.
    """
    kept = ~numeric.crossed
    n, a = np.where(kept, numeric.value, 0), np.where(kept, ours, 0)
    floor = np.maximum(FLOOR * np.abs(n).max(), SAFETY * numeric.noise / tolerance)
    floor = np.maximum(floor, np.finfo(float).tiny)
    with np.errstate(invalid="ignore"):
        error = np.abs(n - a) / np.maximum(floor, np.maximum(np.abs(n), np.abs(a)))
    return np.where(np.isnan(error), np.inf, error)


def is_hidden(ours, numeric):
    """Whether rounding would hide an error of 0.1 % in a gradient that does not vanish: nothing is proven then.

    A gradient that vanishes is itself no larger than the rounding error of its own formula: h times the noise.
    """
    noise, largest = SAFETY * numeric.noise.max(), np.abs(ours).max()
    return noise * np.cbrt(np.finfo(float).eps) < largest < noise / RESOLUTION


def _moved(x, index, distance):
    x = x.copy()
    x[index] += distance
    return x
