"""One training step: forward, loss, backward, update."""

from npse.backend import active


def step(network, optimizer, x, labels, lr, smoothing):
    """Move the parameters by one step; returns the loss and the logits as the edition keeps them, not yet looked at.

    Parameters
    ----------
    network : Layer, in training mode
    optimizer : SGD
    x : array (N, H, W, C)
    labels : integer array (N,)
    lr, smoothing : float
    """
    ops = active()
    logits, backward = network(x)
    loss = ops.softmax_cross_entropy(logits, labels, smoothing)
    _, gradients = backward(ops.softmax_cross_entropy_backward(1.0, logits, labels, smoothing))
    optimizer.step(gradients, lr)
    return loss, logits
