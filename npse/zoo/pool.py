"""Pooling and the squeeze: divisors, and the position of the maximum."""

import numpy as np

from npse import reference as book
from npse.reference.conv import window
from npse.zoo.bug import bug


def taps(x, y, size, stride):
    """Return the view of x that each tap of a pooling window reads: {tap: view}."""
    stride = size if stride is None else stride
    return {(i, j): window(x, i, j, *y.shape[1:3], stride) for i, j in np.ndindex(size, size)}


@bug("squeeze_backward", "factor", "averaged")
def squeeze_forgets_the_area(dz, u_shape):
    """dz is copied to every pixel without the division by H*W of the mean."""
    return book.squeeze_backward(dz, u_shape) * (u_shape[1] * u_shape[2])


@bug("squeeze_backward", "factor", "averaged")
def squeeze_divides_twice(dz, u_shape):
    """dz is divided by H*W twice."""
    return book.squeeze_backward(dz, u_shape) / (u_shape[1] * u_shape[2])


@bug("squeeze_backward", "factor", "averaged")
def squeeze_takes_maps_for_square(dz, u_shape):
    """The area is taken as H*H, which is right for square maps only."""
    return book.squeeze_backward(dz, u_shape) * (u_shape[2] / u_shape[1])


@bug("global_average_pool_backward", "factor", "averaged")
def pool_divides_by_the_batch_too(dz, u_shape):
    """The mean over a map is differentiated as a mean over batch and map."""
    return book.global_average_pool_backward(dz, u_shape) / u_shape[0]


@bug("squeeze_backward", "path missing", "not summed")
def squeeze_gives_all_to_the_first_pixel(dz, u_shape):
    """The whole gradient goes to one pixel instead of an equal share to each."""
    du = np.zeros(u_shape, dz.dtype)
    du[:, 0, 0] = dz
    return du


@bug("average_pool_backward", "factor", "averaged")
def average_pool_forgets_to_divide(dy, x_shape, size, stride=None):
    """Every pixel of a window receives all of dy instead of its share of 1/k^2."""
    return book.average_pool_backward(dy, x_shape, size, stride) * size**2


@bug("average_pool_backward", "factor", "averaged")
def average_pool_divides_by_the_side(dy, x_shape, size, stride=None):
    """The share of a pixel is taken as 1/k instead of 1/k^2."""
    return book.average_pool_backward(dy, x_shape, size, stride) * size


@bug("average_pool_backward", "stride", "shape")
def average_pool_repeats(dy, x_shape, size, stride=None):
    """The gradient is enlarged by repeating its elements, so the rows of the stride's remainder are missing."""
    return dy.repeat(size, axis=1).repeat(size, axis=2) / size**2


@bug("average_pool_backward", "not summed")
def average_pool_overwrites(dy, x_shape, size, stride=None):
    """If windows overlap, the last one overwrites the others."""
    dx = np.zeros(x_shape, dy.dtype)
    for view in taps(dx, dy, size, stride).values():
        view[...] = dy / size**2
    return dx


@bug("max_pool_backward", "mask missing")
def max_pool_rewards_everyone(dy, x, size, stride=None):
    """Every pixel of a window receives the gradient instead of the maximum alone."""
    return book.average_pool_backward(dy, x.shape, size, stride) * size**2


@bug("max_pool_backward", "ties")
def max_pool_rewards_the_last(dy, x, size, stride=None):
    """Of several equal maxima the last one receives the gradient instead of the first."""
    y, dx = book.max_pool(x, size, stride), np.zeros_like(x)
    free = np.ones(y.shape, bool)
    for (i, j), view in reversed(taps(x, y, size, stride).items()):
        won = free & (view == y)
        free &= ~won
        window(dx, i, j, *y.shape[1:3], size if stride is None else stride)[...] += dy * won
    return dx


@bug("max_pool_backward", "mask misplaced")
def max_pool_rewards_the_smallest(dy, x, size, stride=None):
    """The minimum receives the gradient: argmin is used instead of argmax."""
    return book.max_pool_backward(dy, -x, size, stride)


@bug("max_pool_backward", "averaged", "factor")
def max_pool_divides(dy, x, size, stride=None):
    """The gradient of the maximum is divided by k^2, as in an average."""
    return book.max_pool_backward(dy, x, size, stride) / size**2
