"""Pooling and the squeeze: divisors, borders, and the position of the maximum."""

import numpy as np

from npse import reference as book
from npse.reference.pool import border, divisors, pooled_size, tap_values, taps, without_padding
from npse.zoo.bug import bug


def values(x, how):
    """Return what each tap of a window reads, minus infinity beyond the map: (k*k, N, Ho, Wo, C)."""
    return tap_values(x, -np.inf, *how)


def views(x_shape, dtype, how):
    """Return maps of zeros with the border of a pooling, and for each tap the view of it that the tap reads."""
    dxp = np.pad(np.zeros(x_shape, dtype), border(x_shape, *how))
    return dxp, [*taps(dxp, *how[:2], *pooled_size(x_shape, *how))]


def spread(parts, x_shape, how):
    """Add the parts (k*k, N, Ho, Wo, C) to the pixels that the taps read: dx (N, H, W, C)."""
    dxp, places = views(x_shape, parts.dtype, how)
    for part, place in zip(parts, places, strict=True):
        place += part
    return without_padding(dxp, x_shape, how[2])


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
def average_pool_forgets_to_divide(dy, x_shape, size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Every pixel of a window receives all of dy instead of its share of 1/k^2."""
    how = size, stride or size, padding, ceil_mode
    return book.average_pool_backward(dy, x_shape, *how, count_include_pad) * size**2


@bug("average_pool_backward", "factor", "averaged")
def average_pool_divides_by_the_side(dy, x_shape, size, stride=None, padding=0, ceil_mode=False,
                                     count_include_pad=True):
    """The share of a pixel is taken as 1/k instead of 1/k^2."""
    how = size, stride or size, padding, ceil_mode
    return book.average_pool_backward(dy, x_shape, *how, count_include_pad) * size


@bug("average_pool_backward", "stride", "shape")
def average_pool_repeats(dy, x_shape, size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The gradient is enlarged by repeating its elements, so the rows of the stride's remainder are missing."""
    return dy.repeat(size, axis=1).repeat(size, axis=2) / size**2


@bug("average_pool_backward", "not summed")
def average_pool_overwrites(dy, x_shape, size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """If windows overlap, the last one overwrites the others."""
    how = size, stride or size, padding, ceil_mode
    dxp, places = views(x_shape, dy.dtype, how)
    for place in places:
        place[...] = dy / divisors(x_shape, dy.dtype, *how, count_include_pad)
    return without_padding(dxp, x_shape, how[2])


@bug("average_pool_backward", "averaged")
def average_pool_counts_what_was_left_out(dy, x_shape, size, stride=None, padding=0, ceil_mode=False,
                                          count_include_pad=True):
    """The divisor of the backward pass counts the padding, also where the forward pass does not."""
    how = size, stride or size, padding, ceil_mode
    return book.average_pool_backward(dy, x_shape, *how)


@bug("average_pool_backward", "averaged", "wrong value")
def average_pool_does_not_count_the_padding(dy, x_shape, size, stride=None, padding=0, ceil_mode=False,
                                            count_include_pad=True):
    """The divisor of the backward pass is the number of pixels of the map, although the forward pass counts zeros."""
    how = size, stride or size, padding, ceil_mode
    return book.average_pool_backward(dy, x_shape, *how, count_include_pad=False)


@bug("average_pool_backward", "averaged")
def average_pool_counts_beyond_the_padding(dy, x_shape, size, stride=None, padding=0, ceil_mode=False,
                                           count_include_pad=True):
    """The divisor is k^2 also for a window that ceil_mode adds, which reaches beyond the padding."""
    how = size, stride or size, padding, ceil_mode
    if not count_include_pad:
        return book.average_pool_backward(dy, x_shape, *how, count_include_pad=False)
    return spread(np.stack([dy / size**2] * size**2), x_shape, how)


@bug("average_pool_backward", "borders")
def average_pool_skips_windows_at_the_border(dy, x_shape, size, stride=None, padding=0, ceil_mode=False,
                                             count_include_pad=True):
    """Windows that reach into the padding give no gradient back."""
    how = size, stride or size, padding, ceil_mode
    whole = divisors(x_shape, dy.dtype, *how, count_include_pad=False) == size**2
    return book.average_pool_backward(dy * whole, x_shape, *how, count_include_pad)


@bug("max_pool_backward", "mask missing")
def max_pool_gradient_to_all(dy, x, size, stride=None, padding=0, ceil_mode=False):
    """Every pixel of a window receives the gradient instead of the maximum alone."""
    how = size, stride or size, padding, ceil_mode
    return spread(np.stack([dy] * size**2), x.shape, how)


@bug("max_pool_backward", "ties")
def max_pool_gradient_to_the_last(dy, x, size, stride=None, padding=0, ceil_mode=False):
    """Of several equal maxima the last one receives the gradient instead of the first."""
    how = size, stride or size, padding, ceil_mode
    seen = values(x, how)
    last = len(seen) - 1 - seen[::-1].argmax(axis=0)
    return spread(np.stack([dy * (last == tap) for tap in range(len(seen))]), x.shape, how)


@bug("max_pool_backward", "mask misplaced")
def max_pool_gradient_to_the_smallest(dy, x, size, stride=None, padding=0, ceil_mode=False):
    """The minimum receives the gradient: argmin is used instead of argmax."""
    how = size, stride or size, padding, ceil_mode
    return book.max_pool_backward(dy, -x, *how)


@bug("max_pool_backward", "averaged", "factor")
def max_pool_divides(dy, x, size, stride=None, padding=0, ceil_mode=False):
    """The gradient of the maximum is divided by k^2, as in an average."""
    how = size, stride or size, padding, ceil_mode
    return book.max_pool_backward(dy, x, *how) / size**2


@bug("max_pool_backward", "borders")
def max_pool_pads_with_zeros(dy, x, size, stride=None, padding=0, ceil_mode=False):
    """The padding counts as zeros, which win over negative pixels. Their gradient is lost."""
    how = size, stride or size, padding, ceil_mode
    winner = tap_values(x, 0, *how).argmax(axis=0)
    return spread(np.stack([dy * (winner == tap) for tap in range(size**2)]), x.shape, how)


@bug("max_pool_backward", "borders")
def max_pool_does_not_cut_off_the_padding_in_front(dy, x, size, stride=None, padding=0, ceil_mode=False):
    """The gradient of the padded maps is cut off behind alone, so it is shifted by the padding."""
    how = size, stride or size, padding, ceil_mode
    seen = values(x, how)
    dxp, places = views(x.shape, dy.dtype, how)
    for tap, place in enumerate(places):
        place += dy * (seen.argmax(axis=0) == tap)
    return without_padding(dxp, x.shape, 0)


@bug("global_max_pool_backward", "ties")
def global_max_pool_gradient_to_every_maximum(dz, u):
    """All pixels that equal the maximum receive the whole gradient."""
    return dz[:, None, None] * (u == u.max(axis=(1, 2), keepdims=True))


@bug("global_max_pool_backward", "ties")
def global_max_pool_gradient_to_the_last(dz, u):
    """Of several equal maxima the last one receives the gradient instead of the first."""
    return book.global_max_pool_backward(dz, u[:, ::-1, ::-1])[:, ::-1, ::-1].copy()


@bug("global_max_pool_backward", "mask missing")
def global_max_pool_gradient_to_all(dz, u):
    """Every pixel receives the gradient instead of the maximum alone."""
    return np.broadcast_to(dz[:, None, None], u.shape).copy()


@bug("global_max_pool_backward", "mask misplaced")
def global_max_pool_takes_one_place_for_all_channels(dz, u):
    """The place of the maximum is that of the first channel, for all channels."""
    first = np.broadcast_to(u[..., :1], u.shape)
    return book.global_max_pool_backward(dz, first)


@bug("global_max_pool_backward", "averaged", "factor")
def global_max_pool_divides(dz, u):
    """The gradient of the maximum is divided by H*W, as in a mean."""
    return book.global_max_pool_backward(dz, u) / (u.shape[1] * u.shape[2])
