"""Joins of residual networks: gates and sum in one op, and the mixture of two branches."""

from npse import reference as book
from npse.zoo.bug import bug


@bug("scale_add_backward", "path missing")
def scale_add_passes_the_gradient_to_the_branch(dy, u, s):
    """du is dy, as in a sum without gates."""
    _, ds, dx = book.scale_add_backward(dy, u, s)
    return dy.copy(), ds, dx


@bug("scale_add_backward", "path twice")
def scale_add_gates_the_shortcut(dy, u, s):
    """dx has the factor s too, as if the gates stood after the sum."""
    du, ds, dx = book.scale_add_backward(dy, u, s)
    return du, ds, dx * s[:, None, None, :]


@bug("scale_add_backward", "averaged")
def scale_add_averages_the_gates(dy, u, s):
    """ds is a mean over the map instead of a sum."""
    du, ds, dx = book.scale_add_backward(dy, u, s)
    return du, ds / (u.shape[1] * u.shape[2]), dx


@bug("scale_add_backward", "zero", "path missing")
def scale_add_forgets_the_shortcut(dy, u, s):
    """The gradient of the shortcut stays an array of zeros."""
    du, ds, dx = book.scale_add_backward(dy, u, s)
    return du, ds, 0 * dx


@bug("shake_backward", "swapped", "wrong value")
def shake_swaps_the_branches(dy, beta):
    """The first branch gets the share of the second, and the reverse."""
    da, db = book.shake_backward(dy, beta)
    return db, da


@bug("shake_backward", "path missing")
def shake_forgets_the_shares(dy, beta):
    """Both branches get all of dy, as the terms of a sum."""
    return dy.copy(), dy.copy()


@bug("shake_backward", "factor")
def shake_is_even(dy, beta):
    """Both branches get half of dy, which is right at inference alone."""
    return dy / 2, dy / 2


@bug("shake_backward", "wrong value")
def shake_gives_both_the_share_of_the_first(dy, beta):
    """db has the factor beta in place of 1 - beta."""
    da, _ = book.shake_backward(dy, beta)
    return da, da.copy()


@bug("shake_backward", "averaged")
def shake_shares_for_the_batch(dy, beta):
    """One share for the batch, the mean of beta, in place of one for each image."""
    return book.shake_backward(dy, 0 * beta + beta.mean())
