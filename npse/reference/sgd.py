"""The parameter update: stochastic gradient descent with (Nesterov) momentum and weight decay; and Lookahead.

    w  parameter, any shape     dw  its gradient     v  velocity, like w; zero at the start
"""

from npse.reference.contract import op
from npse.types import Array


@op("w: *, dw: *, v: * -> new_w: *, new_v: *", backward=None, flops=7)
def sgd(w: Array, dw: Array, v: Array, lr: float, momentum: float = 0.9, weight_decay: float = 0.0,
        nesterov: bool = True) -> tuple[Array, Array]:
    """Return w and v after one step, as new arrays.

    g = dw + weight_decay * w
    v = momentum * v + g
    w = w - lr * (g + momentum * v)      with Nesterov's look ahead;   w - lr * v without

    The caller chooses the weight decay of each parameter. Usually weights are decayed, batch norm and biases are not.

    Parameters
    ----------
    w, dw, v : arrays of one shape and dtype
    lr, momentum, weight_decay : float
    nesterov : bool
    """
    lr, momentum, weight_decay = float(lr), float(momentum), float(weight_decay)   # NumPy scalars would widen float32
    g = dw + weight_decay * w
    v = momentum * v + g
    return w - lr * (g + momentum * v if nesterov else v), v


@op("w: *, slow: * -> new_slow: *", backward=None, flops=3)
def lookahead(w: Array, slow: Array, share: float) -> Array:
    """Return slow + share * (w - slow), as a new array: the slow weights, moved towards w.

    Every few steps the slow weights move by a share of the way that the optimizer went, and the optimizer goes on from
    there.

    Parameters
    ----------
    w, slow : arrays of one shape and dtype
    share : float

    Source: M. R. Zhang et al., arXiv 1907.08610.
    """
    return slow + float(share) * (w - slow)
