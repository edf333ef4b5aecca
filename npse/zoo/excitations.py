"""Gates, and structures in place of the two dense layers: weights per channel, along channels, in groups; norms."""

import numpy as np

from npse import reference as book
from npse.zoo.bug import bug, bugs_of


@bug("twice_sigmoid_backward", "sigmoid")
def twice_sigmoid_as_sigmoid(dy, y):
    """The derivative of the sigmoid, y (1 - y), is used for twice the sigmoid."""
    return dy * y * (1 - y)


@bug("twice_sigmoid_backward", "factor", "sigmoid")
def twice_sigmoid_forgets_the_two(dy, y):
    """The factor 2 is missing in the derivative."""
    return dy * y * (1 - y / 2) / 2


@bug("one_plus_tanh_backward", "sigmoid")
def one_plus_tanh_as_sigmoid(dy, y):
    """The derivative of the sigmoid, y (1 - y), is used for 1 + tanh."""
    return dy * y * (1 - y)


@bug("one_plus_tanh_backward", "sigmoid")
def one_plus_tanh_as_tanh(dy, y):
    """1 - y^2, the derivative of tanh in terms of its output, although y is 1 + tanh."""
    return dy * (1 - y * y)


@bug("one_plus_tanh_backward", "sigmoid", "factor")
def one_plus_tanh_as_twice_sigmoid(dy, y):
    """The derivative of twice the sigmoid, which has the same range, is used: half of the right one."""
    return book.twice_sigmoid_backward(dy, y)


@bug("tanh_backward", "sigmoid")
def tanh_as_sigmoid(dy, y):
    """The derivative of the sigmoid, y (1 - y), is used for the hyperbolic tangent."""
    return dy * y * (1 - y)


@bug("tanh_backward", "sigmoid")
def tanh_forgets_the_square(dy, y):
    """1 - y in place of 1 - y^2."""
    return dy * (1 - y)


@bug("hard_sigmoid_backward", "mask missing")
def hard_sigmoid_never_saturates(dy, y):
    """The gradient is dy / 6 everywhere, also where the gate is 0 or 1."""
    return dy / 6


@bug("hard_sigmoid_backward", "factor")
def hard_sigmoid_forgets_the_sixth(dy, y):
    """The slope is 1 in place of 1/6."""
    return dy * ((y > 0) & (y < 1))


@bug("hard_sigmoid_backward", "mask misplaced", "mask missing")
def hard_sigmoid_saturates_at_zero_alone(dy, y):
    """The mask is y > 0, as for a ReLU: the gradient also passes where the gate is 1."""
    return dy / 6 * (y > 0)


@bug("per_channel_backward", "not summed", "raises", "shape")
def per_channel_forgets_the_batch(da, z, w):
    """dw is not summed over the images."""
    return da * w, da * z, da.sum(axis=0)


@bug("per_channel_backward", "averaged")
def per_channel_averages_over_the_batch(da, z, w):
    """dw and db are means over the images instead of sums."""
    return da * w, (da * z).mean(axis=0), da.mean(axis=0)


@bug("per_channel_backward", "path missing", "zero", "factor")
def per_channel_passes_the_gradient_on(da, z, w):
    """dz is da, without the weights."""
    _, dw, db = book.per_channel_backward(da, z, w)
    return da.copy(), dw, db


@bug("per_channel_backward", "swapped")
def per_channel_swaps_weight_and_bias(da, z, w):
    """dw and db are returned in the wrong order."""
    dz, dw, db = book.per_channel_backward(da, z, w)
    return dz, db, dw


@bug("channel_conv_backward", "flipped kernel")
def eca_does_not_mirror_the_weights(da, z, w, circular=False):
    """dz is the same correlation as the forward pass, with weights that are not mirrored."""
    return book.channel_conv(da, w, circular), book.channel_conv_backward(da, z, w, circular)[1]


@bug("channel_conv_backward", "flipped kernel")
def eca_mirrors_the_gradient_of_the_weights(da, z, w, circular=False):
    """dw is returned from the last weight to the first."""
    dz, dw = book.channel_conv_backward(da, z, w, circular)
    return dz, dw[::-1].copy()


@bug("channel_conv_backward", "borders")
def eca_mixes_up_the_ends(da, z, w, circular=False):
    """The gradient treats the ends the other way: circular where the forward pass has zeros, and the reverse."""
    return book.channel_conv_backward(da, z, w, not circular)


@bug("channel_conv_backward", "averaged")
def eca_averages_over_the_channels(da, z, w, circular=False):
    """dw is a mean over the channels that share the weights instead of a sum."""
    dz, dw = book.channel_conv_backward(da, z, w, circular)
    return dz, dw / z.shape[1]


@bugs_of("forward")
def eca_is_a_convolution():
    """The weights are mirrored in the forward pass, as by np.convolve, and not in the backward pass."""
    def channel_conv(z, w, circular=False):
        return book.channel_conv(z, w[::-1].copy(), circular)
    return (channel_conv,)


@bug("grouped_dense_backward", "transposed", "raises")
def grouped_dense_forgets_to_transpose(da, z, w):
    """dz is computed with the weights as they are in the forward pass, which fits only square groups."""
    _, dw, db = book.grouped_dense_backward(da, z, w)
    return np.einsum("ngd,gmd->ngm", da, w), dw, db


@bug("grouped_dense_backward", "averaged")
def grouped_dense_averages_over_the_batch(da, z, w):
    """dw and db are means over the images instead of sums."""
    dz, dw, db = book.grouped_dense_backward(da, z, w)
    return dz, dw / len(z), db / len(z)


@bug("grouped_dense_backward", "channels swapped", "path missing", "wrong value")
def grouped_dense_mixes_the_groups(da, z, w):
    """dz of a group is computed with the weights of the next group."""
    _, dw, db = book.grouped_dense_backward(da, z, w)
    return np.einsum("ngm,gmd->ngd", da, np.roll(w, 1, axis=0)), dw, db


@bug("channel_norm_backward", "constant statistics")
def channel_norm_detaches_the_statistics(dzhat, z, eps=1e-5):
    """Mean and variance are treated as constants."""
    return dzhat / np.sqrt(z.var(axis=2, keepdims=True) + eps)


@bug("channel_norm_backward", "constant statistics", "path missing")
def channel_norm_forgets_the_variance(dzhat, z, eps=1e-5):
    """The path through the variance is missing."""
    return (dzhat - dzhat.mean(axis=2, keepdims=True)) / np.sqrt(z.var(axis=2, keepdims=True) + eps)


@bug("channel_norm_backward", "variance")
def channel_norm_takes_the_unbiased_variance(dzhat, z, eps=1e-5):
    """The gradient normalizes with the unbiased variance, the forward pass with the biased one."""
    D = z.shape[2]
    right = book.channel_norm_backward(dzhat, z, eps)
    return right if D == 1 else right * np.sqrt((z.var(axis=2, keepdims=True) + eps)
                                                / (z.var(axis=2, keepdims=True, ddof=1) + eps))


@bugs_of("forward", "factor", source="changzy00/pytorch-attention, attention_mechanisms/gct.py")
def gaussian_multiplies_by_the_width():
    """The exponent is -(x^2 / 2 * c) where the paper has -x^2 / (2 c^2): the parentheses are missing."""
    def gaussian(x, width=2.0):
        return np.exp(-(x * x / 2 * width))
    return (gaussian,)


@bug("gaussian_backward", "sign")
def gaussian_forgets_the_sign(dy, x, y, width=2.0):
    """The minus sign of the exponent is lost."""
    return dy * y * x / width**2


@bug("gaussian_backward", "factor")
def gaussian_divides_by_the_width(dy, x, y, width=2.0):
    """The gradient is divided by the width instead of by its square."""
    return dy * y * x / -width


@bug("gaussian_backward", "path missing", "wrong value", "factor")
def gaussian_forgets_the_input(dy, x, y, width=2.0):
    """The inner derivative x is missing."""
    return dy * y / -width**2


@bug("channel_rms_backward", "constant statistics")
def channel_rms_detaches_the_root_mean_square(dy, z, eps=1e-5):
    """The root mean square is treated as a constant."""
    return dy / np.sqrt((z * z).mean(axis=1, keepdims=True) + eps)


@bug("channel_rms_backward", "averaged")
def channel_rms_forgets_to_average(dy, z, eps=1e-5):
    """The gradient through the root mean square is not divided by the number of channels."""
    r = np.sqrt((z * z).mean(axis=1, keepdims=True) + eps)
    return dy / r - z * (dy * z).sum(axis=1, keepdims=True) / r**3


@bug("channel_rms_backward", "sign")
def channel_rms_adds_the_second_term(dy, z, eps=1e-5):
    """The gradient through the root mean square has the wrong sign."""
    r = np.sqrt((z * z).mean(axis=1, keepdims=True) + eps)
    return dy / r + z * (dy * z).mean(axis=1, keepdims=True) / r**3


@bug("channel_rms_backward", "variance", "wrong value")
def channel_rms_forgets_eps(dy, z, eps=1e-5):
    """The gradient uses the root mean square without eps."""
    return book.channel_rms_backward(dy, z, 0.0)
