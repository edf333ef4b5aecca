"""Batch normalization: dependence on the batch, and the two variances."""

import numpy as np

from npse import reference as book
from npse.zoo.bug import bug, bugs_of

OVER = (0, 1, 2)


@bug("batch_norm_backward", "constant statistics")
def statistics_are_constants(dy, x, gamma, mean, var, eps=1e-5):
    """Mean and variance are used as constants, as in inference: the terms through them are left out."""
    return dy * gamma / np.sqrt(var + eps), *book.batch_norm_backward(dy, x, gamma, mean, var, eps)[1:]


@bug("batch_norm_backward", "constant statistics")
def mean_is_a_constant(dy, x, gamma, mean, var, eps=1e-5):
    """The term through the mean is left out."""
    dx, dgamma, dbeta = book.batch_norm_backward(dy, x, gamma, mean, var, eps)
    return dx + gamma / np.sqrt(var + eps) * dy.mean(axis=OVER), dgamma, dbeta


@bug("batch_norm_backward", "variance")
def backward_takes_the_unbiased_variance(dy, x, gamma, mean, var, eps=1e-5):
    """The variance is divided by B - 1 in the backward pass, by B in the forward pass."""
    B = x.size // x.shape[3]
    return book.batch_norm_backward(dy, x, gamma, mean, var * (B / max(B - 1, 1)), eps)


@bug("batch_norm", "variance", "forward")
def forward_takes_the_unbiased_variance(x, gamma, beta, eps=1e-5):
    """The batch is normalized with the unbiased variance, which is only meant for the running average."""
    B = x.size // x.shape[3]
    _, mean, var = book.batch_norm(x, gamma, beta, eps)
    unbiased = var * (B / max(B - 1, 1))
    return book.batch_norm_inference(x, gamma, beta, mean, unbiased, eps), mean, unbiased


@bug("batch_norm_backward", "variance")
def forgets_eps(dy, x, gamma, mean, var, eps=1e-5):
    """eps is left out of the square root in the backward pass."""
    tiny = np.finfo(x.dtype).tiny
    return book.batch_norm_backward(dy, x, gamma, mean, var, float(tiny))


@bug("batch_norm_backward", "variance")
def takes_its_own_eps(dy, x, gamma, mean, var, eps=1e-5):
    """The backward pass uses the default eps, even if the forward pass used another."""
    return book.batch_norm_backward(dy, x, gamma, mean, var)


@bug("batch_norm_backward", "variance")
def adds_eps_after_the_root(dy, x, gamma, mean, var, eps=1e-5):
    """sqrt(var) + eps instead of sqrt(var + eps)."""
    return book.batch_norm_backward(dy, x, gamma, mean, (np.sqrt(var) + eps) ** 2, 0.0)


@bug("batch_norm_backward", "variance")
def divides_by_the_variance(dy, x, gamma, mean, var, eps=1e-5):
    """x and dy are divided by var + eps, without the square root."""
    return book.batch_norm_backward(dy, x, gamma, mean, (var + eps) ** 2, 0.0)


@bug("batch_norm_backward", "averaged", "factor")
def averages_dgamma_and_dbeta(dy, x, gamma, mean, var, eps=1e-5):
    """The gradients of gamma and beta are means over the batch and the map instead of sums."""
    dx, dgamma, dbeta = book.batch_norm_backward(dy, x, gamma, mean, var, eps)
    B = x.size // x.shape[3]
    return dx, dgamma / B, dbeta / B


@bug("batch_norm_backward", "not summed", "shape")
def sums_over_the_batch_alone(dy, x, gamma, mean, var, eps=1e-5):
    """dgamma and dbeta are summed over the images, not over the pixels."""
    dx, _, _ = book.batch_norm_backward(dy, x, gamma, mean, var, eps)
    return dx, (dy * (x - mean) / np.sqrt(var + eps)).sum(axis=0), dy.sum(axis=0)


@bug("batch_norm_backward", "not summed")
def takes_the_sums_of_the_first_image(dy, x, gamma, mean, var, eps=1e-5):
    """dgamma and dbeta are summed over the pixels of one image only."""
    dx, _, _ = book.batch_norm_backward(dy, x, gamma, mean, var, eps)
    return dx, *book.batch_norm_backward(dy[:1], x[:1], gamma, mean, var, eps)[1:]


@bug("batch_norm_backward", "wrong value")
def multiplies_dgamma_by_x(dy, x, gamma, mean, var, eps=1e-5):
    """dgamma is the sum of dy * x: x is not normalized."""
    dx, _, dbeta = book.batch_norm_backward(dy, x, gamma, mean, var, eps)
    return dx, (dy * x).sum(axis=OVER), dbeta


@bug("batch_norm_backward", "swapped")
def returns_dbeta_before_dgamma(dy, x, gamma, mean, var, eps=1e-5):
    """The last two results are exchanged."""
    dx, dgamma, dbeta = book.batch_norm_backward(dy, x, gamma, mean, var, eps)
    return dx, dbeta, dgamma


@bug("batch_norm", "changed in place")
def centres_in_place(x, gamma, beta, eps=1e-5):
    """The mean is subtracted from x itself, which a shortcut may still need."""
    y, mean, var = book.batch_norm(x, gamma, beta, eps)
    x -= mean
    return y, mean, var


@bugs_of("changed in place", "not repeatable")
def inference_moves_the_running_mean():
    """The running mean moves towards the batch in every call, so a check that calls forward twice for each entry
    moves it far."""
    def batch_norm_inference(x, gamma, beta, running_mean, running_var, eps=1e-5):
        y = book.batch_norm_inference(x, gamma, beta, running_mean, running_var, eps)
        running_mean += 0.1 * (x.mean(axis=OVER, dtype=x.dtype) - running_mean)
        return y
    return (batch_norm_inference,)


@bug("batch_norm_inference_backward", "constant statistics", "path twice")
def inference_couples_the_batch(dy, x, gamma, running_mean, running_var, eps=1e-5):
    """The gradient of training is used in inference, where the statistics are constants."""
    return book.batch_norm_backward(dy, x, gamma, running_mean, running_var, eps)


@bug("batch_norm_inference_backward", "variance")
def inference_forgets_eps(dy, x, gamma, running_mean, running_var, eps=1e-5):
    """eps is left out of the square root."""
    return book.batch_norm_inference_backward(dy, x, gamma, running_mean, running_var, 0.0)


@bug("batch_norm_relu_backward", "mask missing")
def norm_relu_without_mask(dy, x, gamma, beta, mean, var, eps=1e-5):
    """The ReLU is forgotten in the backward pass."""
    return book.batch_norm_backward(dy, x, gamma, mean, var, eps)


@bug("batch_norm_relu_backward", "mask misplaced")
def norm_relu_masks_at_the_end(dy, x, gamma, beta, mean, var, eps=1e-5):
    """The mask is applied to dx, after the batch norm, instead of to dy before it."""
    dx, dgamma, dbeta = book.batch_norm_backward(dy, x, gamma, mean, var, eps)
    return dx * (book.batch_norm_inference(x, gamma, beta, mean, var, eps) > 0), dgamma, dbeta


@bug("batch_norm_relu_backward", "mask misplaced")
def norm_relu_masks_by_the_input(dy, x, gamma, beta, mean, var, eps=1e-5):
    """The mask is x > 0 instead of y > 0, where y is the normalized x."""
    return book.batch_norm_backward(dy * (x > 0), x, gamma, mean, var, eps)


@bug("batch_norm_relu_backward", "mask missing", "mask misplaced")
def norm_relu_masks_dx_alone(dy, x, gamma, beta, mean, var, eps=1e-5):
    """dgamma and dbeta are summed over all pixels, including those where the ReLU is off."""
    dx, _, _ = book.batch_norm_relu_backward(dy, x, gamma, beta, mean, var, eps)
    return dx, *book.batch_norm_backward(dy, x, gamma, mean, var, eps)[1:]


@bug("shared_batch_norm_backward_x", "constant statistics")
def shared_forgets_the_mean(dy, x, gamma, mean, var, dgamma, dbeta, count, eps=1e-5):
    """The term through the common mean is left out."""
    return book.shared_batch_norm_backward_x(dy, x, gamma, mean, var, dgamma, 0 * dbeta, count, eps)


@bug("shared_batch_norm_backward_sums", "variance", "factor")
def shared_sums_forget_the_deviation(dy, x, mean, var, eps=1e-5):
    """dgamma sums dy * (x - mean), which is not divided by the standard deviation."""
    dgamma, dbeta = book.shared_batch_norm_backward_sums(dy, x, mean, var, eps)
    return dgamma * np.sqrt(var + eps), dbeta


@bug("shared_batch_norm_relu_backward_sums", "mask missing")
def shared_sums_without_mask(dy, x, gamma, beta, mean, var, eps=1e-5):
    """The ReLU is forgotten in the sums."""
    return book.shared_batch_norm_backward_sums(dy, x, mean, var, eps)


@bug("shared_batch_norm_relu_backward_x", "mask missing")
def shared_without_mask(dy, x, gamma, beta, mean, var, dgamma, dbeta, count, eps=1e-5):
    """The ReLU is forgotten in dx."""
    return book.shared_batch_norm_backward_x(dy, x, gamma, mean, var, dgamma, dbeta, count, eps)


@bug("batch_norm_backward_staged", "constant statistics")
def staged_forgets_the_mean(dy, x, gamma, mean, var, eps=1e-5):
    """The last stage is forgotten: x is used a second time, in the mean."""
    dx, dgamma, dbeta = book.batch_norm_backward(dy, x, gamma, mean, var, eps)
    return dx + gamma / np.sqrt(var + eps) * dbeta / (x.size // x.shape[3]), dgamma, dbeta


@bug("batch_norm_backward_staged", "path twice", "constant statistics", "variance")
def staged_forgets_the_half(dy, x, gamma, mean, var, eps=1e-5):
    """The derivative of the square root is written as 1 / std instead of 1 / (2 std), so the path through the variance
    counts twice."""
    dx, dgamma, dbeta = book.batch_norm_backward(dy, x, gamma, mean, var, eps)
    through_the_variance = -gamma * (x - mean) / (var + eps) * dgamma / (x.size // x.shape[3])
    return dx + through_the_variance, dgamma, dbeta


@bug("running_statistics", "forward")
def reverses_the_momentum(mean, var, count, running_mean, running_var, momentum=0.1):
    """The old average is weighted with momentum and the batch with 1 - momentum, which is another convention."""
    return book.running_statistics(mean, var, count, running_mean, running_var, 1 - momentum)
