"""The loss: the mean over N images, and the difference p - q."""

import numpy as np

from npse import reference as book
from npse.zoo.bug import bug, bugs_of


@bug("softmax_cross_entropy_backward", "averaged", "factor")
def loss_averages_twice(dloss, logits, labels, smoothing=0.0):
    """The gradient is divided by N twice."""
    return book.softmax_cross_entropy_backward(dloss, logits, labels, smoothing) / len(logits)


@bug("softmax_cross_entropy", "averaged", "factor", "forward")
def loss_sums_forward(logits, labels, smoothing=0.0):
    """The loss is a sum over the batch; its gradient is that of a mean."""
    return book.softmax_cross_entropy(logits, labels, smoothing) * len(logits)


@bugs_of("forward")
def loss_sums():
    """Both passes sum over the batch: every learning rate has another effect."""
    def softmax_cross_entropy(logits, labels, smoothing=0.0):
        return loss_sums_forward(logits, labels, smoothing)

    def softmax_cross_entropy_backward(dloss, logits, labels, smoothing=0.0):
        return book.softmax_cross_entropy_backward(dloss, logits, labels, smoothing) * len(logits)
    return softmax_cross_entropy, softmax_cross_entropy_backward


@bug("softmax_cross_entropy_backward", "upstream ignored")
def loss_ignores_the_upstream_gradient(dloss, logits, labels, smoothing=0.0):
    """dloss is taken to be 1, which is true in training only."""
    return book.softmax_cross_entropy_backward(1, logits, labels, smoothing)


@bug("softmax_cross_entropy_backward", "sign")
def loss_subtracts_the_wrong_way(dloss, logits, labels, smoothing=0.0):
    """q - p instead of p - q."""
    return -book.softmax_cross_entropy_backward(dloss, logits, labels, smoothing)


@bug("softmax_cross_entropy_backward", "path missing")
def loss_forgets_the_targets(dloss, logits, labels, smoothing=0.0):
    """p / N: the derivative of the log-sum-exp alone."""
    return dloss * book.softmax(logits) / len(logits)


@bug("softmax_cross_entropy_backward", "factor")
def loss_forgets_the_smoothing(dloss, logits, labels, smoothing=0.0):
    """The gradient is that of one-hot targets."""
    return book.softmax_cross_entropy_backward(dloss, logits, labels)


@bug("softmax_cross_entropy_backward", "wrong value")
def loss_subtracts_from_the_log(dloss, logits, labels, smoothing=0.0):
    """log p is used instead of p."""
    p = book.softmax(logits)
    return book.softmax_cross_entropy_backward(dloss, logits, labels, smoothing) + \
        dloss * (np.log(p) - p) / len(logits)


@bug("softmax_cross_entropy_backward", "averaged", "factor")
def loss_divides_by_all_numbers(dloss, logits, labels, smoothing=0.0):
    """The gradient is divided by N*K, the number of all elements, instead of N."""
    return book.softmax_cross_entropy_backward(dloss, logits, labels, smoothing) / logits.shape[1]


@bug("softmax_cross_entropy_backward", "averaged", "factor")
def loss_averages_over_the_classes(dloss, logits, labels, smoothing=0.0):
    """p - q is divided by the number of classes instead of the number of images: the size of the wrong axis."""
    N, K = logits.shape
    return book.softmax_cross_entropy_backward(dloss, logits, labels, smoothing) * (N / K)
