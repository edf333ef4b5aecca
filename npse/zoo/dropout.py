"""Dropout: the mask and the factor of the backward pass."""

import numpy as np

from npse import reference as book
from npse.zoo.bug import bug, bugs_of


@bug("dropout_backward", "factor")
def dropout_forgets_the_factor(dy, mask, rate):
    """The gradient is masked, but not divided by 1 - rate."""
    return dy * mask


@bug("dropout_backward", "factor")
def dropout_multiplies_by_what_is_kept(dy, mask, rate):
    """The gradient is multiplied by 1 - rate instead of divided by it."""
    return dy * mask * (1 - rate)


@bug("dropout_backward", "factor")
def dropout_divides_by_the_rate(dy, mask, rate):
    """The gradient is divided by the rate instead of 1 - rate. The two are equal at a rate of 1/2."""
    return dy * mask / (rate or 1)


@bug("dropout_backward", "mask missing")
def dropout_forgets_the_mask(dy, mask, rate):
    """The gradient is divided by 1 - rate, but not masked."""
    return dy / (1 - rate)


@bug("dropout_backward", "mask misplaced")
def dropout_passes_what_was_dropped(dy, mask, rate):
    """The mask is inverted."""
    return dy * ~mask / (1 - rate)


@bugs_of("mask misplaced", "not repeatable", "mask missing")
def dropout_draws_another_mask():
    """The backward pass draws a mask of its own."""
    rng = np.random.default_rng(0)

    def dropout_backward(dy, mask, rate):
        return book.dropout_backward(dy, rng.random(dy.shape) >= rate, rate)
    return (dropout_backward,)
