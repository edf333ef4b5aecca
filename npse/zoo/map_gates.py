"""Gates that differ between pixels: sums over the wrong axes, the maximum over channels, statistics of a map."""

import numpy as np

from npse import reference as book
from npse.zoo.bug import bug, bugs_of


@bug("scale_pixels_backward", "averaged")
def pixel_gate_averages_over_the_channels(dy, u, s):
    """ds is a mean over the channels instead of a sum."""
    return dy * s[..., None], (dy * u).mean(axis=3)


@bug("scale_pixels_backward", "not summed", "shape", "raises")
def pixel_gate_keeps_the_channels(dy, u, s):
    """ds is not summed over the channels."""
    return dy * s[..., None], dy * u


@bug("scale_pixels_backward", "path missing")
def pixel_gate_is_forgotten(dy, u, s):
    """du is dy, without the gate of the pixel."""
    return dy.copy(), (dy * u).sum(axis=3)


@bug("scale_pixels_backward", "changed in place", "path missing")
def pixel_gate_overwrites_its_input(dy, u, s):
    """The forward pass scaled u in place, so ds is computed from the scaled maps."""
    y = book.scale_pixels(u, s)
    return dy * s[..., None], (dy * y).sum(axis=3)


@bug("multiply_backward", "swapped")
def multiply_swaps_its_factors(dy, u, s):
    """du and ds are returned in the wrong order."""
    return dy * u, dy * s


@bug("multiply_backward", "path missing")
def multiply_by_its_own_factor(dy, u, s):
    """du is dy * u: the factor itself in place of the other one."""
    return dy * u, dy * u


@bug("multiply_backward", "averaged")
def multiply_takes_the_gate_for_one_of_the_channel(dy, u, s):
    """du takes the mean of the gates over the channels, as if there were one gate for each pixel."""
    return dy * s.mean(axis=3, keepdims=True), dy * u


@bug("multiply_backward", "sigmoid")
def multiply_applies_the_derivative_of_the_sigmoid(dy, u, s):
    """du has the factor s (1 - s), which belongs to the gate's argument."""
    return dy * s * (1 - s), dy * u


@bug("maximum_backward", "mask missing")
def maximum_as_a_sum(dy, a, b):
    """Both get the whole gradient, as if the maximum were a sum."""
    return dy.copy(), dy.copy()


@bug("maximum_backward", "swapped", "mask misplaced")
def maximum_gradient_to_the_smaller(dy, a, b):
    """The gradient goes to the smaller one."""
    return book.maximum_backward(dy, a, b)[::-1]


@bug("maximum_backward", "mask misplaced")
def maximum_masks_by_the_sign(dy, a, b):
    """The masks are a > 0 and b > 0, as for a ReLU."""
    return dy * (a > 0), dy * (b > 0)


@bug("shift_backward", "averaged")
def shift_averages_over_the_map(dy):
    """dt is the mean of dy over the map instead of the sum."""
    return dy, dy.mean(axis=(1, 2))


@bug("shift_backward", "not summed")
def shift_takes_the_first_row(dy):
    """dt is summed over the columns of the first row only."""
    return dy, dy[:, 0].sum(axis=1)


@bug("shift_backward", "zero", "path missing")
def shift_is_detached(dy):
    """The context is treated as a constant: dt is zero."""
    return dy, np.zeros((dy.shape[0], dy.shape[3]), dy.dtype)


@bug("outer_sum_backward", "averaged")
def outer_sum_averages_over_the_channels(dy):
    """db is the mean over the channels instead of the sum."""
    return dy.sum(axis=(1, 2)), dy.mean(axis=3)


@bug("outer_sum_backward", "averaged")
def outer_sum_averages_over_the_map(dy):
    """da is the mean over the map instead of the sum."""
    return dy.mean(axis=(1, 2)), dy.sum(axis=3)


@bug("outer_sum_backward", "not summed")
def outer_sum_takes_the_first_column(dy):
    """da is summed over one axis of the map, and taken from the first column of the other."""
    return dy[:, :, 0].sum(axis=1), dy.sum(axis=3)


@bugs_of("forward", source="Jongchan/attention-module, MODELS/bam.py")
def outer_sum_multiplies():
    """The numbers of channels and pixels are multiplied; the paper adds them."""
    def outer_sum(a, p):
        return a[:, None, None, :] * p[..., None]
    return (outer_sum,)


@bug("channel_pool_backward", "ties")
def channel_pool_gradient_to_every_maximum(dy, u):
    """Every channel that has the maximum receives the whole gradient, as by the comparison u == max."""
    winners = u == u.max(axis=3, keepdims=True)
    return dy[..., :1] * winners + dy[..., 1:] / u.shape[3]


@bug("channel_pool_backward", "averaged", "factor")
def channel_pool_forgets_to_divide(dy, u):
    """The gradient of the mean is not divided by the number of channels."""
    return book.channel_pool_backward(dy * np.array([1, u.shape[3]], dy.dtype), u)


@bug("channel_pool_backward", "swapped")
def channel_pool_swaps_maximum_and_mean(dy, u):
    """The two channels of dy are taken in the wrong order: mean first, maximum second."""
    return book.channel_pool_backward(np.ascontiguousarray(dy[..., ::-1]), u)


@bug("channel_pool_backward", "path missing")
def channel_pool_forgets_the_mean(dy, u):
    """Only the gradient of the maximum comes back."""
    return book.channel_pool_backward(dy * np.array([1, 0], dy.dtype), u)


@bug("channel_pool_backward", "mask missing")
def channel_pool_gradient_to_all(dy, u):
    """The gradient of the maximum goes to all channels."""
    return dy[..., :1] + dy[..., 1:] / u.shape[3] + np.zeros_like(u)


@bug("simam_backward", "constant statistics")
def simam_detaches_its_statistics(dy, u, lam=1e-4):
    """Mean and variance of the map are treated as constants."""
    d, q = _distance(u, lam)
    s = book.sigmoid(d * d / q + 0.5)
    return dy * s + 2 * d / q * dy * u * s * (1 - s)


@bug("simam_backward", "path missing")
def simam_detaches_its_gates(dy, u, lam=1e-4):
    """The gates are treated as constants: du is dy * s only."""
    d, q = _distance(u, lam)
    return dy * book.sigmoid(d * d / q + 0.5)


@bug("simam_backward", "constant statistics")
def simam_forgets_the_variance(dy, u, lam=1e-4):
    """The path through the variance is missing; the one through the mean is there."""
    d, q = _distance(u, lam)
    s = book.sigmoid(d * d / q + 0.5)
    dd = 2 * d / q * dy * u * s * (1 - s)
    return dy * s + dd - dd.mean(axis=(1, 2), keepdims=True)


@bug("simam_backward", "variance")
def simam_divides_by_all_pixels(dy, u, lam=1e-4):
    """The path through the variance is divided by H*W, the forward pass by H*W - 1."""
    d, q = _distance(u, lam)
    s = book.sigmoid(d * d / q + 0.5)
    de = dy * u * s * (1 - s)
    dq = -(de * d * d).sum(axis=(1, 2), keepdims=True) / q**2
    dd = 2 * d * (de / q + 4 * dq / (u.shape[1] * u.shape[2]))
    return dy * s + dd - dd.mean(axis=(1, 2), keepdims=True)


@bug("axis_means_backward", "averaged", "factor", "swapped")
def axis_means_swap_the_divisors(dzh, dzw):
    """The means of the rows are divided by H and those of the columns by W: right for square maps only."""
    H, W = dzh.shape[1], dzw.shape[1]
    return dzh[:, :, None] / H + dzw[:, None] / W


@bug("axis_means_backward", "averaged", "factor")
def axis_means_forget_the_divisor_of_the_columns(dzh, dzw):
    """The gradient of the means of the columns is not divided by H."""
    return dzh[:, :, None] / dzw.shape[1] + dzw[:, None]


@bug("axis_means_backward", "path missing")
def axis_means_forget_the_columns(dzh, dzw):
    """Only the means of the rows hand a gradient back."""
    return dzh[:, :, None] / dzw.shape[1] + 0 * dzw[:, None]


@bugs_of("swapped")
def split_rows_in_the_wrong_order():
    """The rows and the columns change places when z is split in the backward pass of `join_rows`."""
    def split_rows(z, height):
        return z[:, -height:, 0].copy(), z[:, :-height, 0].copy()
    return (split_rows,)


@bug("scale_axes_backward", "path missing")
def scale_axes_forgets_the_other_axis(dy, u, sh, sw):
    """dsh and dsw lack the gates of the other axis."""
    du, _, _ = book.scale_axes_backward(dy, u, sh, sw)
    return du, (dy * u).sum(axis=2), (dy * u).sum(axis=1)


@bug("scale_axes_backward", "averaged")
def scale_axes_averages(dy, u, sh, sw):
    """dsh and dsw are means over the other axis instead of sums."""
    du, dsh, dsw = book.scale_axes_backward(dy, u, sh, sw)
    return du, dsh / u.shape[2], dsw / u.shape[1]


@bug("scale_axes_backward", "path missing")
def scale_axes_applies_one_gate(dy, u, sh, sw):
    """du has the gates of the rows only."""
    _, dsh, dsw = book.scale_axes_backward(dy, u, sh, sw)
    return dy * sh[:, :, None], dsh, dsw


def _distance(u, lam):
    """Return u - mean and 4 (variance + lam), with the unbiased variance of each map."""
    d = u - u.mean(axis=(1, 2), keepdims=True)
    pixels = max(u.shape[1] * u.shape[2] - 1, 1)
    return d, 4 * ((d * d).sum(axis=(1, 2), keepdims=True) / pixels + lam)
