"""Hard swish, SiLU and GELU: the product rule, the pieces, and the point of differentiation."""

import math

import numpy as np

from npse import reference as book
from npse.reference.self_gated import normal_distribution
from npse.zoo.bug import bug


@bug("hard_swish_backward", "path missing")
def hard_swish_forgets_the_product_rule(dy, x):
    """dy * hard_sigmoid(x): the second factor of x * hard_sigmoid(x) is taken as a constant."""
    return dy * book.hard_sigmoid(x)


@bug("hard_swish_backward", "mask missing")
def hard_swish_has_one_piece(dy, x):
    """The slope x/3 + 1/2 of the middle piece is used everywhere."""
    return dy * (x / 3 + 0.5)


@bug("hard_swish_backward", "mask misplaced")
def hard_swish_stops_above_three(dy, x):
    """The gradient is zero where x > 3 too: the mask is that of a hard sigmoid."""
    return np.where((x > -3) & (x < 3), dy * (x / 3 + 0.5), 0)


@bug("silu_backward", "path missing")
def silu_forgets_the_product_rule(dy, x):
    """dy * s: the gate is taken as a constant."""
    return dy * book.sigmoid(x)


@bug("silu_backward", "path missing")
def silu_goes_through_the_gate_alone(dy, x):
    """dy * x * s * (1 - s): the factor x is taken as a constant."""
    s = book.sigmoid(x)
    return dy * x * s * (1 - s)


@bug("silu_backward", "wrong value")
def silu_is_given_the_output(dy, x):
    """The output y is saved and used in place of the input, as for a sigmoid."""
    return book.silu_backward(dy, book.silu(x))


@bug("silu_backward", "sigmoid")
def silu_as_sigmoid(dy, x):
    """The derivative of the sigmoid, s * (1 - s)."""
    s = book.sigmoid(x)
    return dy * s * (1 - s)


@bug("gelu_backward", "path missing")
def gelu_forgets_the_density(dy, x, approximate=False):
    """dy * P(x): the term x * P'(x) is missing."""
    return dy * normal_distribution(x)


@bug("gelu_backward", "path missing")
def gelu_forgets_a_factor(dy, x, approximate=False):
    """The density is added without its factor x."""
    return dy * (normal_distribution(x) + np.exp(x * x / -2) / math.sqrt(2 * math.pi))


@bug("gelu_backward", "wrong value")
def gelu_differentiates_the_approximation(dy, x, approximate=False):
    """The backward pass is that of the formula with tanh, whichever the forward pass was."""
    return book.gelu_backward(dy, x, True)


@bug("gelu_backward", "wrong value")
def gelu_differentiates_the_exact_function(dy, x, approximate=False):
    """The backward pass is that of the exact function, whichever the forward pass was."""
    return book.gelu_backward(dy, x)


@bug("gelu_backward", "factor")
def gelu_normalizes_by_pi(dy, x, approximate=False):
    """The density is divided by sqrt(pi) instead of sqrt(2 pi)."""
    return dy * (normal_distribution(x) + x * np.exp(x * x / -2) / math.sqrt(math.pi))
