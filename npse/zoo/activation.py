"""The non-linearities: masks, and the point at which the sigmoid is differentiated."""

from npse import reference as book
from npse.zoo.bug import bug


@bug("relu_backward", "mask missing")
def relu_passes_everything(dy, y):
    """The gradient is also passed on where the ReLU was off."""
    return dy.copy()


@bug("relu_backward", "mask misplaced")
def relu_masks_the_gradient_by_itself(dy, y):
    """The ReLU is applied to the gradient: negative gradients are cut off instead of those of negative inputs."""
    return book.relu(dy)


@bug("relu_backward", "mask misplaced")
def relu_masks_the_wrong_side(dy, y):
    """The mask is inverted."""
    return dy * (y <= 0)


@bug("relu_backward", "zero", "mask misplaced")
def relu_asks_for_negative_outputs(dy, y):
    """The mask is y < 0, which is true for no output of a ReLU."""
    return dy * (y < 0)


@bug("relu_backward", "mask missing")
def relu_asks_for_outputs_not_negative(dy, y):
    """The mask is y >= 0, which is true for every output of a ReLU; the aim was another value of relu'(0)."""
    return dy * (y >= 0)


@bug("relu_backward", "factor", "mask misplaced")
def relu_multiplies_by_the_output(dy, y):
    """dy is multiplied by y itself instead of by its sign."""
    return dy * y


@bug("sigmoid_backward", "sigmoid")
def sigmoid_forgets_one_minus_s(dy, y):
    """dy * s: the factor 1 - s is missing."""
    return dy * y


@bug("sigmoid_backward", "sigmoid")
def sigmoid_forgets_s(dy, y):
    """dy * (1 - s): the factor s is missing."""
    return dy * (1 - y)


@bug("sigmoid_backward", "sigmoid")
def sigmoid_as_tanh(dy, y):
    """The derivative of the hyperbolic tangent, 1 - y^2."""
    return dy * (1 - y * y)


@bug("sigmoid_backward", "upstream ignored")
def sigmoid_ignores_the_upstream_gradient(dy, y):
    """s (1 - s) is returned without the factor dy."""
    return y * (1 - y)


@bug("sigmoid_backward", "sigmoid")
def sigmoid_overwrites_s(dy, y):
    """s is overwritten by s (1 - s), and then used again as if it were s."""
    s = y * (1 - y)
    return dy * s * (1 - s)


@bug("softmax_backward", "averaged")
def softmax_averages_over_the_classes(dp, p):
    """The mean of dp * p over the classes is taken instead of the sum."""
    return p * (dp - (dp * p).mean(axis=1, keepdims=True))


@bug("softmax_backward", "path missing")
def softmax_forgets_the_denominator(dp, p):
    """p * dp: the derivative of the exponential alone."""
    return p * dp


@bug("relu6_backward", "mask missing")
def relu6_passes_above_six(dy, y):
    """The mask is that of a ReLU: the gradient is also passed on where the output is 6."""
    return dy * (y > 0)


@bug("relu6_backward", "mask misplaced")
def relu6_masks_the_wrong_pieces(dy, y):
    """The mask is inverted: the gradient is passed on where the output is 0 or 6."""
    return dy * ((y <= 0) | (y >= 6))


@bug("relu6_backward", "factor")
def relu6_divides_by_six(dy, y):
    """The gradient is divided by 6, as in a hard sigmoid, which is relu6(x + 3) / 6."""
    return book.relu6_backward(dy, y) / 6
