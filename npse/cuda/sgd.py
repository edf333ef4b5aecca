"""The parameter update in one pass over w, dw and v. Letters: as in the book.

Each call is one launch. Training updates all parameters at once, by the same arithmetic: `npse.cuda.update_kernels`.

The learning rate may be a device array without axes, see `npse.cuda.runtime.learning_rate`.
"""

from npse import reference as book
from npse.cuda.runtime.arrays import flat, replaces
from npse.cuda.runtime.device import device_function, empty_like, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import grid_for_elements, grid_stride
from npse.cuda.runtime.learning_rate import with_rate


@replaces(book.sgd)
def sgd(w, dw, v, lr, momentum=0.9, weight_decay=0.0, nesterov=True):
    new_w, new_v = empty_like(w), empty_like(v)
    update, lr = _sgd(lr, w)
    launch(update, *grid_for_elements(w), flat(w), flat(dw), flat(v), lr, scalar(momentum, w), scalar(weight_decay, w),
           int(nesterov), flat(new_w), flat(new_v))
    return new_w, new_v


@device_function
def moved(weight, gradient, speed, rate, momentum, weight_decay, nesterov):
    """Return the new weight and the new speed of one number."""
    g = gradient + weight_decay * weight
    speed = momentum * speed + g
    return weight - rate * (g + momentum * speed if nesterov else speed), speed


@with_rate
def _sgd(number):
    @kernel
    def sgd(w, dw, v, lr, momentum, weight_decay, nesterov, new_w, new_v):
        rate = w.dtype.type(number(lr))
        k, end, step = grid_stride(w.size)
        while k < end:
            new_w[k], new_v[k] = moved(w[k], dw[k], v[k], rate, momentum, weight_decay, nesterov)
            k += step
    return sgd


@replaces(book.lookahead)
def lookahead(w, slow, share):
    new_slow = empty_like(slow)
    launch(_lookahead, *grid_for_elements(w), flat(w), flat(slow), scalar(share, w), flat(new_slow))
    return new_slow


@kernel
def _lookahead(w, slow, share, new_slow):
    k, end, step = grid_stride(w.size)
    while k < end:
        new_slow[k] = slow[k] + share * (w[k] - slow[k])
        k += step
