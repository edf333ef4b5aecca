"""The parameter update in one pass over w, dw and v. Letters: as in the book.

Each call is one launch. If all weights are in one array, and their gradients and velocities too, one launch updates all
parameters.

The learning rate may be a device array without axes. A recorded sequence of launches repeats the numbers that it was
recorded with, but reads the arrays again each time. So the array can give it a new learning rate.
"""

from npse import reference as book
from npse.cuda.runtime.arrays import flat, replaces
from npse.cuda.runtime.device import device_function, empty_like, is_device_array, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import grid_for_elements, grid_stride


@replaces(book.sgd)
def sgd(w, dw, v, lr, momentum=0.9, weight_decay=0.0, nesterov=True):
    new_w, new_v = empty_like(w), empty_like(v)
    update, lr = (_sgd_lr_array, lr) if is_device_array(lr) else (_sgd_lr_number, scalar(lr, w))
    launch(update, *grid_for_elements(w), flat(w), flat(dw), flat(v), lr, scalar(momentum, w), scalar(weight_decay, w),
           int(nesterov), flat(new_w), flat(new_v))
    return new_w, new_v


def _sgd(number):
    @kernel
    def sgd(w, dw, v, lr, momentum, weight_decay, nesterov, new_w, new_v):
        rate = w.dtype.type(number(lr))
        k, end, step = grid_stride(w.size)
        while k < end:
            weight = w[k]
            g = dw[k] + weight_decay * weight
            speed = momentum * v[k] + g
            new_v[k] = speed
            new_w[k] = weight - rate * (g + momentum * speed if nesterov else speed)
            k += step
    return sgd


_sgd_lr_number = _sgd(device_function(lambda lr: lr))
_sgd_lr_array = _sgd(device_function(lambda lr: lr[()]))


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
