"""Convolution with groups and dilation: the order of the groups, and the distance of the taps."""

import numpy as np

from npse import reference as book
from npse.zoo.bug import bug, bugs_of


def interleaved(a, groups):
    """Return an array whose channels c // (C/G) have gone to group c % G."""
    return np.ascontiguousarray(a.reshape(*a.shape[:-1], groups, -1).swapaxes(-1, -2)).reshape(a.shape)


def moved(a, groups, by):
    """Return an array whose groups of channels have moved by some groups."""
    return np.roll(a, by * (a.shape[-1] // groups), axis=-1)


@bug("grouped_conv2d_backward_x", "channels swapped")
def takes_the_filters_of_the_next_group(dy, w, x_shape, groups=1, stride=1, padding=0, dilation=1):
    """The offset of the filters is one group too large."""
    return book.grouped_conv2d_backward_x(dy, moved(w, groups, -1), x_shape, groups, stride, padding, dilation)


@bug("grouped_conv2d_backward_x", "channels swapped")
def stores_dx_with_groups_interleaved(dy, w, x_shape, groups=1, stride=1, padding=0, dilation=1):
    """dx is stored as (channel, group) instead of (group, channel)."""
    dx = book.grouped_conv2d_backward_x(dy, w, x_shape, groups, stride, padding, dilation)
    return interleaved(dx, groups)


@bug("grouped_conv2d_backward_x", "stride")
def forgets_the_dilation_in_dx(dy, w, x_shape, groups=1, stride=1, padding=0, dilation=1):
    """The taps are scattered to neighboring pixels, as if the dilation were 1."""
    N, H, W, Cin = x_shape
    dxp = np.zeros((N, H + 2 * padding, W + 2 * padding, Cin), dy.dtype)
    rows, columns = (stride * (size - 1) + k for size, k in zip(dy.shape[1:3], w.shape[:2], strict=True))
    read = N, rows, columns, Cin
    dxp[:, :rows, :columns] = book.grouped_conv2d_backward_x(dy, w, read, groups, stride)
    return np.ascontiguousarray(dxp[:, padding:padding + H, padding:padding + W])


@bug("grouped_conv2d_backward_x", "borders")
def crops_the_padding_without_the_dilation(dy, w, x_shape, groups=1, stride=1, padding=0, dilation=1):
    """The padding is cut off as if it were not scaled by the dilation, so every gradient is shifted."""
    N, H, W, Cin = x_shape
    whole = N, H + 2 * padding, W + 2 * padding, Cin
    dxp, crop = book.grouped_conv2d_backward_x(dy, w, whole, groups, stride, 0, dilation), padding // dilation
    return np.ascontiguousarray(dxp[:, crop:crop + H, crop:crop + W])


@bug("grouped_conv2d_backward_x", "path missing", "zero")
def computes_dx_of_the_first_group_only(dy, w, x_shape, groups=1, stride=1, padding=0, dilation=1):
    """The loop over groups returns after its first turn."""
    dx = book.grouped_conv2d_backward_x(dy, w, x_shape, groups, stride, padding, dilation)
    dx[..., x_shape[3] // groups:] = 0
    return dx


@bug("grouped_conv2d_backward_x", "flipped kernel")
def mirrors_the_filters_of_groups(dy, w, x_shape, groups=1, stride=1, padding=0, dilation=1):
    """The filters are mirrored, as if the forward pass were a true convolution."""
    return book.grouped_conv2d_backward_x(dy, w[::-1, ::-1], x_shape, groups, stride, padding, dilation)


@bug("grouped_conv2d_backward_x", "channels swapped")
def does_not_transpose_the_channels_of_a_group(dy, w, x_shape, groups=1, stride=1, padding=0, dilation=1):
    """In each group dy is multiplied by w[i, j] instead of its transpose, where the sizes permit it."""
    kh, kw, D, Cout = w.shape
    if D * groups == Cout:
        w = np.ascontiguousarray(w.reshape(kh, kw, D, groups, D).swapaxes(2, 4)).reshape(w.shape)
    return book.grouped_conv2d_backward_x(dy, w, x_shape, groups, stride, padding, dilation)


@bug("grouped_conv2d_backward_w", "not summed", "accumulated")
def sums_dw_over_all_groups(dy, x, w_shape, groups=1, stride=1, padding=0, dilation=1):
    """The gradients of all groups are added to one filter, and each group gets this sum."""
    dw = book.grouped_conv2d_backward_w(dy, x, w_shape, groups, stride, padding, dilation)
    summed = dw.reshape(*w_shape[:3], groups, -1).sum(axis=3, keepdims=True)
    return np.repeat(summed, groups, axis=3).reshape(w_shape)


@bug("grouped_conv2d_backward_w", "averaged", "factor")
def divides_dw_by_the_groups(dy, x, w_shape, groups=1, stride=1, padding=0, dilation=1):
    """The gradient of the filters is divided by the number of groups."""
    return book.grouped_conv2d_backward_w(dy, x, w_shape, groups, stride, padding, dilation) / groups


@bug("grouped_conv2d_backward_w", "channels swapped")
def reads_the_groups_of_x_interleaved(dy, x, w_shape, groups=1, stride=1, padding=0, dilation=1):
    """Channel c of x is taken for one of group c % G instead of group c // D."""
    return book.grouped_conv2d_backward_w(dy, interleaved(x, groups), w_shape, groups, stride, padding, dilation)


@bug("grouped_conv2d_backward_w", "channels swapped")
def reads_x_of_the_previous_group(dy, x, w_shape, groups=1, stride=1, padding=0, dilation=1):
    """The offset of x is one group too small."""
    return book.grouped_conv2d_backward_w(dy, moved(x, groups, 1), w_shape, groups, stride, padding, dilation)


@bug("grouped_conv2d_backward_w", "stride")
def forgets_the_dilation_in_dw(dy, x, w_shape, groups=1, stride=1, padding=0, dilation=1):
    """Neighboring pixels are correlated with dy, as if the dilation were 1."""
    xp = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    rows, columns = (stride * (size - 1) + k for size, k in zip(dy.shape[1:3], w_shape[:2], strict=True))
    return book.grouped_conv2d_backward_w(dy, xp[:, :rows, :columns], w_shape, groups, stride)


@bugs_of("forward")
def shuffles_the_groups_in_both_passes():
    """Both passes take channel c for one of group c % G: the gradients fit, but trained filters give other results."""
    def grouped_conv2d(x, w, groups=1, stride=1, padding=0, dilation=1):
        return book.grouped_conv2d(interleaved(x, groups), w, groups, stride, padding, dilation)

    def grouped_conv2d_backward_x(dy, w, x_shape, groups=1, stride=1, padding=0, dilation=1):
        dx = book.grouped_conv2d_backward_x(dy, w, x_shape, groups, stride, padding, dilation)
        return interleaved(dx, x_shape[3] // groups)

    def grouped_conv2d_backward_w(dy, x, w_shape, groups=1, stride=1, padding=0, dilation=1):
        x = interleaved(x, groups)
        return book.grouped_conv2d_backward_w(dy, x, w_shape, groups, stride, padding, dilation)
    return grouped_conv2d, grouped_conv2d_backward_x, grouped_conv2d_backward_w
