"""The museum: bugs of real repositories, reproduced on the ops of the book.

Each bug is public; its source is the thread in which it was described, proposed or fixed. The mistake is shown in
npse's own words and code.
"""

import numpy as np

from npse import reference as book
from npse.reference.pool import without_padding
from npse.zoo.bug import bug, bugs_of
from npse.zoo.conv import scatter
from npse.zoo.pool import spread, values, views
from npse.zoo.se import excite_with


@bug("conv2d_backward_x", "raises", source="mlpack/mlpack #3376")
def rotates_into_the_transposed_shape(dy, w, x_shape, stride=1, padding=0):
    """A filter of M x N is rotated by 180 degrees into an array of N x M, which works for square filters only."""
    kh, kw, *channels = w.shape
    rotated = np.empty((kw, kh, *channels), w.dtype)
    rotated[...] = w[::-1, ::-1]
    return book.conv2d_backward_x(dy, rotated[::-1, ::-1], x_shape, stride, padding)


@bug("conv2d_backward_x", "shape", "stride", source="pytorch/xla #2333")
def forgets_the_output_padding(dy, w, x_shape, stride=1, padding=0):
    """The transposed convolution returns the smallest map that fits: the rows of the stride's remainder are missing."""
    N, _, _, Cin = x_shape
    H, W = ((size - 1) * stride + k - 2 * padding for size, k in zip(dy.shape[1:3], w.shape[:2], strict=True))
    return book.conv2d_backward_x(dy, w, (N, H, W, Cin), stride, padding)


@bug("conv2d_backward_x", "not summed", source="AlexeyAB/darknet #8660")
def assigns_in_col2im(dy, w, x_shape, stride=1, padding=0):
    """col2im assigns instead of adding, so only the last of several overlapping windows counts. (Proposed and declined;
    also asked in oreilly-japan/deep-learning-from-scratch #27.)"""
    return scatter(dy, w, x_shape, stride, padding, lambda view, share: np.copyto(view, share))


@bug("conv2d_backward_w", "averaged", "factor", source="Oneflow-Inc/oneflow #255")
def divides_by_the_positions(dy, x, w_shape, stride=1, padding=0):
    """The gradient of the filter is divided by the number of its positions, to make it independent of the image size.
    The result is not the gradient."""
    return book.conv2d_backward_w(dy, x, w_shape, stride, padding) / (dy.shape[1] * dy.shape[2])


@bug("max_pool_backward", "not summed", source="FluxML/Flux.jl #1197")
def counts_a_winner_once(dy, x, size, stride=None, padding=0, ceil_mode=False):
    """A pixel that is the maximum of several overlapping windows receives the gradient of one of them: = instead of +=.
    (Fixed in FluxML/NNlib.jl #207.)"""
    how = size, stride or size, padding, ceil_mode
    y = book.max_pool(x, *how)
    dxp, places = views(x.shape, x.dtype, how)
    for seen, place in zip(values(x, how), places, strict=True):
        mine = seen == y
        place[mine] = dy[mine]
    won = book.max_pool_backward(np.ones_like(y), x, *how) > 0
    return without_padding(dxp, x.shape, how[2]) * won


@bug("max_pool_backward", "mask misplaced", source="ahrefs/ocannl #512")
def the_last_window_decides_for_all(dy, x, size, stride=None, padding=0, ceil_mode=False):
    """Maxima are stored for each pixel instead of each window. If windows overlap, the last one decides for all."""
    how = size, stride or size, padding, ceil_mode
    y = book.max_pool(x, *how)
    _, gates = views(x.shape, bool, how)
    for seen, gate in zip(values(x, how), gates, strict=True):
        gate[...] = seen == y
    return spread(np.stack([dy * gate for gate in gates]), x.shape, how)


@bug("max_pool_backward", "ties", source="Theano/Theano #5248")
def gradient_to_every_maximum(dy, x, size, stride=None, padding=0, ceil_mode=False):
    """All pixels that equal the maximum receive the whole gradient."""
    how = size, stride or size, padding, ceil_mode
    return spread(dy * (values(x, how) == book.max_pool(x, *how)), x.shape, how)


@bug("max_pool_backward", "ties", source="tensorflow/tensorflow #4886")
def shares_among_the_maxima(dy, x, size, stride=None, padding=0, ceil_mode=False):
    """All pixels that equal the maximum receive an equal share. (In one framework the maximum does so, the pooling does
    not.)"""
    how = size, stride or size, padding, ceil_mode
    won = (values(x, how) == book.max_pool(x, *how)).astype(x.dtype)
    return spread(dy / won.sum(axis=0) * won, x.shape, how)


@bug("excite_backward", "relu at zero", source="jax-ml/jax #37821")
def relu_is_half_open_at_zero(ds, z, s, w1, w2, b1=None):
    """The ReLU is differentiated as a maximum of two equal numbers: relu'(0) = 1/2, but the book takes 0."""
    return excite_with(lambda a1: np.heaviside(a1, 0.5), ds, z, s, w1, w2, b1)


@bug("relu", "changed in place", source="rosinality/vq-vae-2-pytorch #60")
def relu_overwrites_the_shortcut(x):
    """The first ReLU of a residual branch works in place, so the shortcut adds relu(x) instead of x."""
    return np.maximum(x, 0, out=x)


@bug("sigmoid_backward", "sigmoid", source="dwhitena/gophernet #6")
def sigmoid_prime_of_the_output(dy, y):
    """sigma'(v) = sigma(v) (1 - sigma(v)) is called with v = y, the output, instead of the input."""
    once_more = book.sigmoid(y)
    return dy * once_more * (1 - once_more)


@bugs_of("forward", source="huoxiangzuo/HiFuse #9")
def applies_the_sigmoid_twice():
    """The sigmoid is applied twice to the gates, so they lie between 1/2 and 0.73; the gradient fits."""
    def excite(z, w1, w2, b1=None, b2=None):
        return book.sigmoid(book.excite(z, w1, w2, b1, b2))

    def excite_backward(ds, z, s, w1, w2, b1=None):
        inner = np.log(s / (1 - s))
        return book.excite_backward(book.sigmoid_backward(ds, s), z, inner, w1, w2, b1)
    return excite, excite_backward


@bugs_of("forward", source="xiaolai-sqlai/mobilenetv3 #12")
def never_calls_the_pooling():
    """The average pooling is declared but never called, so every pixel has its own gates."""
    def rows(u):
        return u.reshape(-1, 1, 1, u.shape[3])

    def se(u, w1, w2, b1=None, b2=None):
        return book.se(rows(u), w1, w2, b1, b2).reshape(u.shape)

    def se_backward(dy, u, w1, w2, b1=None, b2=None):
        du, *rest = book.se_backward(rows(dy), rows(u), w1, w2, b1, b2)
        return du.reshape(u.shape), *rest
    return se, se_backward


@bug("scale", "raises", source="titu1994/keras-squeeze-excite-network #15")
def forgets_to_call(u, s):
    """The layer is made but not called on its input: the result is the layer."""
    return lambda: book.scale(u, s)


@bug("scale_backward", "not summed", "shape", source="tenstorrent/tt-metal #40008")
def forgets_the_broadcast(dy, u, s):
    """The gates were broadcast over the map, and their gradient is not summed to their shape. (The same in
    pytorch/pytorch #1787 and deeplearning4j/nd4j #2424.)"""
    return book.scale_backward(dy, u, s)[0], dy * u


@bug("se_backward", "path twice", source="karpathy/micrograd #2")
def passes_on_before_all_has_arrived(dy, u, w1, w2, b1=None, b2=None):
    """A value that is used twice passes its gradient on after the first part has arrived, and passes the sum on after
    the second: the first part counts twice. (The same in sebgao/cTensor #5 and SethHWeidman/DLFS_code #13.)"""
    du, *rest = book.se_backward(dy, u, w1, w2, b1, b2)
    return du + book.scale(dy, book.excite(book.squeeze(u), w1, w2, b1, b2)), *rest


@bugs_of("accumulated", "not repeatable", "not linear", source="karpathy/micrograd #53")
def a_second_backward_adds_up():
    """A second backward pass adds to the gradients of the first one."""
    left = {}

    def sigmoid_backward(dy, y):
        left[dy.shape, dy.dtype] = dx = left.get((dy.shape, dy.dtype), 0) + book.sigmoid_backward(dy, y)
        return dx
    return (sigmoid_backward,)


@bugs_of("sign", "forward", source="KhawajaAbaid/micrograd_c #1")
def subtraction_goes_back_as_addition():
    """Both terms of a difference receive the same gradient: the minus sign of the second is lost."""
    def add(f, x):
        return f - x

    def add_backward(dy):
        return dy, dy
    return add, add_backward


@bug("add_relu_backward", "changed in place", source="pytorch/pytorch #81417")
def backward_edits_what_it_is_given(dy, y):
    """The backward pass changes the gradient that it is given. Other code that shares this array continues with wrong
    values, and no error is raised."""
    dy *= y > 0
    return dy, dy


@bug("batch_norm_backward", "path missing", "factor", source="denizyuret/Knet.jl #288")
def forgets_gamma(dy, x, gamma, mean, var, eps=1e-5):
    """dx is computed from dy instead of dy * gamma. gamma is 1 at the start, so tests at the start pass."""
    dx, dgamma, dbeta = book.batch_norm_backward(dy, x, gamma, mean, var, eps)
    return dx / gamma, dgamma, dbeta


@bug("batch_norm_backward", "variance", source="flagos-ai/FlagGems #5223")
def takes_the_inverse_deviation_for_a_variance(dy, x, gamma, mean, var, eps=1e-5):
    """The saved array is 1 / sqrt(var + eps), but it is used as if it were the variance."""
    return book.batch_norm_backward(dy, x, gamma, mean, 1 / np.sqrt(var + eps), eps)


@bug("batch_norm_backward", "constant statistics", source="abhiskk/ladder #2")
def detaches_the_variance(dy, x, gamma, mean, var, eps=1e-5):
    """The variance is computed from detached numbers: no gradient goes through it."""
    _, dgamma, dbeta = book.batch_norm_backward(dy, x, gamma, mean, var, eps)
    return gamma / np.sqrt(var + eps) * (dy - dbeta / (x.size // x.shape[3])), dgamma, dbeta


@bug("batch_norm_backward", "zero", source="huggingface/candle #3613")
def has_no_backward(dy, x, gamma, mean, var, eps=1e-5):
    """The fused op has no backward pass and raises no error: every gradient before it is missing."""
    return 0 * x, 0 * gamma, 0 * gamma


@bugs_of("forward", source="oreilly-japan/deep-learning-from-scratch, common/layers.py")
def normalizes_every_pixel_alone():
    """The maps are flattened to rows before the batch norm, so every pixel has its own statistics over the batch."""
    def split(x):
        return x.reshape(len(x), 1, 1, -1)

    def spread(x, a):
        return np.tile(a, x.shape[1] * x.shape[2])

    def batch_norm(x, gamma, beta, eps=1e-5):
        y, mean, var = book.batch_norm(split(x), spread(x, gamma), spread(x, beta), eps)
        return y.reshape(x.shape), mean, var

    def batch_norm_backward(dy, x, gamma, mean, var, eps=1e-5):
        dx, dgamma, dbeta = book.batch_norm_backward(split(dy), split(x), spread(x, gamma), mean, var, eps)
        return dx.reshape(x.shape), *(a.reshape(-1, gamma.size).sum(axis=0) for a in (dgamma, dbeta))
    return batch_norm, batch_norm_backward


@bug("running_statistics", "forward", "variance", source="callummcdougall/ARENA_3.0 #415")
def keeps_the_biased_variance(mean, var, count, running_mean, running_var, momentum=0.1):
    """The running variance is moved towards the biased variance of the batch."""
    return book.running_statistics(mean, var * ((count - 1) / count), count,
                                   running_mean, running_var, momentum)


@bug("dense_backward", "averaged", "factor", source="kvfrans/notes #5")
def means_the_bias(dy, x, w):
    """The gradient of the bias is a mean over the batch, that of the weights is a sum."""
    dx, dw, db = book.dense_backward(dy, x, w)
    return dx, dw, db / len(dy)


@bug("softmax_backward", "path missing", "not summed", source="eriklindernoren/ML-From-Scratch #71")
def differentiates_each_score_alone(dp, p):
    """The gradient of the softmax is written as p (1 - p), which is only the diagonal of its Jacobian."""
    return dp * (p * (1 - p))


@bug("softmax_cross_entropy_backward", "averaged", "factor", source="tensorflow/swift-apis #42")
def forgets_the_mean_of_the_loss(dloss, logits, labels, smoothing=0.0):
    """The loss is a mean over the batch, but the gradient is that of a sum. (The same in victorlempitsky/Mate #2.)"""
    return book.softmax_cross_entropy_backward(dloss, logits, labels, smoothing) * len(logits)


@bug("softmax_cross_entropy", "forward", source="TimDettmers/ConvE #55")
def smooths_by_one_over_the_classes(logits, labels, smoothing=0.0):
    """Smoothed targets add 1/K instead of a/K, so their sum is not 1, and p - q is not the gradient."""
    if not smoothing:
        return book.softmax_cross_entropy(logits, labels)
    excess = 1 - smoothing
    uniform = np.log(book.softmax(logits)).mean(axis=1, dtype=logits.dtype).mean(dtype=logits.dtype)
    return book.softmax_cross_entropy(logits, labels, smoothing) - excess * uniform
