"""Convolution: taps, strides, borders and sums."""

import numpy as np

from npse import reference as book
from npse.reference.conv import pad, window
from npse.zoo.bug import bug, bugs_of


def scatter(dy, w, x_shape, stride, padding, put):
    """Return dx of `conv2d`, computed with ``put(view, share)``: for each tap it puts a share into a view of dx."""
    N, H, W, Cin = x_shape
    dxp = np.zeros((N, H + 2 * padding, W + 2 * padding, Cin), dy.dtype)
    for i, j in np.ndindex(w.shape[:2]):
        put(window(dxp, i, j, *dy.shape[1:3], stride), dy @ w[i, j].T)
    return np.ascontiguousarray(dxp[:, padding:padding + H, padding:padding + W])


@bug("conv2d_backward_x", "flipped kernel")
def mirrors_the_filter(dy, w, x_shape, stride=1, padding=0):
    """The filter is mirrored before it is scattered, as if the forward pass were a true convolution."""
    return book.conv2d_backward_x(dy, w[::-1, ::-1], x_shape, stride, padding)


@bug("conv2d_backward_x", "transposed")
def exchanges_rows_and_columns_of_the_filter(dy, w, x_shape, stride=1, padding=0):
    """The two loops over the filter's taps are exchanged."""
    return book.conv2d_backward_x(dy, w.swapaxes(0, 1), x_shape, stride, padding)


@bug("conv2d_backward_x", "channels swapped")
def does_not_transpose_the_channels(dy, w, x_shape, stride=1, padding=0):
    """Each tap multiplies dy by w[i, j] instead of its transpose."""
    return book.conv2d_backward_x(dy, w.swapaxes(2, 3), x_shape, stride, padding)


@bug("conv2d_backward_x", "stride")
def loses_the_remainder_of_the_stride(dy, w, x_shape, stride=1, padding=0):
    """The transposed convolution is cropped equally on all sides. If the stride leaves a remainder, the last rows and
    columns stay zero."""
    dx = book.conv2d_backward_x(dy, w, x_shape, stride, padding)
    rows, columns = ((size - 1) * stride + k - 2 * padding
                     for size, k in zip(dy.shape[1:3], w.shape[:2], strict=True))
    dx[:, max(rows, 0):] = 0
    dx[:, :, max(columns, 0):] = 0
    return dx


@bug("conv2d_backward_x", "stride")
def scatters_without_the_stride(dy, w, x_shape, stride=1, padding=0):
    """Neighbouring outputs are scattered to neighbouring inputs, as if the stride were 1."""
    return scatter(dy, w, x_shape, 1, padding, lambda view, share: np.add(view, share, out=view))


@bug("conv2d_backward_x", "shape")
def returns_the_padded_map(dy, w, x_shape, stride=1, padding=0):
    """The padding is not removed from the gradient."""
    N, H, W, Cin = x_shape
    return book.conv2d_backward_x(dy, w, (N, H + 2 * padding, W + 2 * padding, Cin), stride, 0)


@bug("conv2d_backward_x", "borders")
def scatters_only_whole_windows(dy, w, x_shape, stride=1, padding=0):
    """Windows that reach into the padding are skipped, so the gradient of pixels near the border is too small."""
    dy = dy.copy()
    for axis, (size, k) in enumerate(zip(x_shape[1:3], w.shape[:2], strict=True), 1):
        start = np.arange(dy.shape[axis]) * stride - padding
        np.moveaxis(dy, axis, 0)[(start < 0) | (start + k > size)] = 0
    return book.conv2d_backward_x(dy, w, x_shape, stride, padding)


@bug("conv2d_backward_x", "borders")
def crops_the_padding_from_one_side(dy, w, x_shape, stride=1, padding=0):
    """All of the padding is removed at the top and left, so every gradient is shifted."""
    N, H, W, Cin = x_shape
    dxp = book.conv2d_backward_x(dy, w, (N, H + 2 * padding, W + 2 * padding, Cin), stride, 0)
    return np.ascontiguousarray(dxp[:, 2 * padding:, 2 * padding:])


@bug("conv2d_backward_x", "sign")
def subtracts_the_taps(dy, w, x_shape, stride=1, padding=0):
    """The gradient of the input has the wrong sign."""
    return -book.conv2d_backward_x(dy, w, x_shape, stride, padding)


@bug("conv2d_backward_w", "flipped kernel")
def mirrors_the_gradient_of_the_filter(dy, x, w_shape, stride=1, padding=0):
    """The gradient of the filter is turned by 180 degrees."""
    return np.ascontiguousarray(book.conv2d_backward_w(dy, x, w_shape, stride, padding)[::-1, ::-1])


@bug("conv2d_backward_w", "transposed", "shape")
def exchanges_rows_and_columns_of_dw(dy, x, w_shape, stride=1, padding=0):
    """The taps of the filter's gradient are stored column by column."""
    return np.ascontiguousarray(book.conv2d_backward_w(dy, x, w_shape, stride, padding).swapaxes(0, 1))


@bug("conv2d_backward_w", "channels swapped", "transposed", "shape")
def exchanges_the_channels_of_dw(dy, x, w_shape, stride=1, padding=0):
    """The product is dy^T x instead of x^T dy: input and output channels are exchanged."""
    return np.ascontiguousarray(book.conv2d_backward_w(dy, x, w_shape, stride, padding).swapaxes(2, 3))


@bug("conv2d_backward_w", "averaged", "factor")
def averages_dw_over_the_batch(dy, x, w_shape, stride=1, padding=0):
    """The gradient of the filter is divided by N, although the loss is already a mean."""
    return book.conv2d_backward_w(dy, x, w_shape, stride, padding) / len(x)


@bug("conv2d_backward_w", "not summed")
def keeps_the_last_image(dy, x, w_shape, stride=1, padding=0):
    """In the loop over the batch dw is assigned instead of added, so only the last image counts."""
    return book.conv2d_backward_w(dy[-1:], x[-1:], w_shape, stride, padding)


@bug("conv2d_backward_w", "stride")
def correlates_without_the_stride(dy, x, w_shape, stride=1, padding=0):
    """The windows of x are taken at every pixel instead of every stride-th pixel."""
    dw, xp = np.empty(w_shape, x.dtype), pad(x, padding)
    for i, j in np.ndindex(w_shape[:2]):
        dw[i, j] = np.tensordot(window(xp, i, j, *dy.shape[1:3], 1), dy, axes=([0, 1, 2], [0, 1, 2]))
    return dw


@bug("conv2d_backward_w", "borders", "not summed")
def leaves_out_the_last_row(dy, x, w_shape, stride=1, padding=0):
    """The loop over output rows leaves out the last row."""
    dy = dy.copy()
    dy[:, -1] = 0
    return book.conv2d_backward_w(dy, x, w_shape, stride, padding)


@bug("conv2d", "flipped kernel")
def convolves_truly_but_only_forward(x, w, stride=1, padding=0):
    """The forward pass is a true convolution, with the filter mirrored; the backward pass correlates."""
    return book.conv2d(x, w[::-1, ::-1], stride, padding)


@bugs_of("forward")
def convolves_truly():
    """Both passes are a true convolution: the gradient fits, but a trained filter gives other results."""
    def conv2d(x, w, stride=1, padding=0):
        return book.conv2d(x, w[::-1, ::-1], stride, padding)

    def conv2d_backward_x(dy, w, x_shape, stride=1, padding=0):
        return book.conv2d_backward_x(dy, w[::-1, ::-1], x_shape, stride, padding)

    def conv2d_backward_w(dy, x, w_shape, stride=1, padding=0):
        return np.ascontiguousarray(book.conv2d_backward_w(dy, x, w_shape, stride, padding)[::-1, ::-1])
    return conv2d, conv2d_backward_x, conv2d_backward_w


@bug("conv2d_backward_x_add", "changed in place")
def adds_into_the_other_path(dy, w, dx, stride=1, padding=0):
    """The result is added to the gradient of the second path in place, although other code may still read it."""
    dx += book.conv2d_backward_x(dy, w, dx.shape, stride, padding)
    return dx


@bug("conv2d_backward_x_add", "path missing")
def forgets_the_other_path(dy, w, dx, stride=1, padding=0):
    """The gradient of the other path is overwritten instead of added."""
    return book.conv2d_backward_x(dy, w, dx.shape, stride, padding)


@bug("conv2d_backward_x_add", "path twice")
def adds_the_other_path_twice(dy, w, dx, stride=1, padding=0):
    """The gradient of the other path is added twice."""
    return book.conv2d_backward_x_add(dy, w, 2 * dx, stride, padding)


@bug("add_bias_backward", "averaged")
def bias_averages_over_the_pixels(dz):
    """db is a mean over images and pixels instead of a sum."""
    return dz, dz.mean(axis=(0, 1, 2))


@bug("add_bias_backward", "not summed", "raises", "shape")
def bias_keeps_the_images(dz):
    """db is summed over the pixels and not over the images."""
    return dz, dz.sum(axis=(1, 2))


@bug("add_bias_backward", "path missing", "zero", "not summed")
def bias_is_summed_over_one_image(dz):
    """db is the sum over the pixels of the first image."""
    return dz, dz[0].sum(axis=(0, 1))
