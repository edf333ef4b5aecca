"""The parameter update: stochastic gradient descent with (Nesterov) momentum and weight decay.

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
