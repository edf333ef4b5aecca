"""The parameter update in one pass over w, dw and v. Letters: as in the book."""

from functools import partial

from npse import reference as book
from npse.cpu.runtime.arrays import RANGE, replaces
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty_like
from npse.cpu.runtime.parallel import parallel_for


@replaces(book.sgd)
def sgd(w, dw, v, lr, momentum=0.9, weight_decay=0.0, nesterov=True):
    new_w, new_v = empty_like(w), empty_like(v)
    arrays = (array.reshape(-1) for array in (w, dw, v, new_w, new_v))
    rates = map(w.dtype.type, (lr, momentum, weight_decay))
    parallel_for(partial(_sgd, *arrays, *rates, bool(nesterov)), w.size, RANGE)
    return new_w, new_v


@kernel
def _sgd(w, dw, v, new_w, new_v, lr, momentum, weight_decay, nesterov, first, last):
    w, dw, v, new_w, new_v = w[first:last], dw[first:last], v[first:last], new_w[first:last], new_v[first:last]
    for k in range(len(w)):
        new_w[k], new_v[k] = moved(w[k], dw[k], v[k], lr, momentum, weight_decay, nesterov)


@kernel
def moved(weight, gradient, speed, lr, momentum, weight_decay, nesterov):
    """Return the new weight and the new speed of one number."""
    g = gradient + weight_decay * weight
    speed = momentum * speed + g
    return weight - lr * (g + momentum * speed if nesterov else speed), speed
