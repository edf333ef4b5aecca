"""Broken contracts: side effects, dtype, memory layout. The values are right, at least in the first call."""

import numpy as np

from npse import reference as book
from npse.zoo.bug import bug, bugs_of


@bug("relu_backward", "changed in place")
def masks_in_place(dy, y):
    """The upstream gradient is masked in place; the other branch of the residual addition reads it next."""
    dy[y <= 0] = 0
    return dy


@bug("relu_backward", "changed in place", "layout")
def borrows_dy(dy, y):
    """dy is used as a buffer and restored afterwards; another thread may read it in between."""
    kept = dy.copy()
    dy *= y > 0
    result = dy.copy()
    dy[...] = kept
    return result


@bug("scale_add_relu_backward", "changed in place")
def marks_the_output(dy, u, s, y):
    """The saved output is turned into its mask, in place."""
    np.greater(y, 0, out=y)
    return book.scale_add_relu_backward(dy, u, s, y)


@bug("scale_add_relu_backward", "changed in place")
def scales_the_saved_branch(dy, u, s, y):
    """The saved branch is scaled in place after its use."""
    result = book.scale_add_relu_backward(dy, u, s, y)
    u *= s[:, None, None, :]
    return result


@bug("dense_backward", "changed in place")
def updates_the_weights(dy, x, w):
    """The weights are updated during the backward pass, before other code has read them."""
    result = book.dense_backward(dy, x, w)
    w -= 0.1 * result[1]
    return result


@bugs_of("accumulated", "not repeatable", "not linear")
def accumulates():
    """The weights' gradient is added to that of the last call, which is never set to zero."""
    kept = {}

    def dense_backward(dy, x, w):
        dx, dw, db = book.dense_backward(dy, x, w)
        kept[w.shape, w.dtype] = dw = kept.get((w.shape, w.dtype), 0) + dw
        return dx, dw, db
    return (dense_backward,)


@bugs_of("changed in place", "not linear", "not repeatable")
def returns_the_same_buffer():
    """One buffer is kept and returned each time: a later call changes the result of an earlier one."""
    buffers = {}

    def relu_backward(dy, y):
        buffer = buffers.setdefault((dy.shape, dy.dtype), np.empty_like(dy))
        return np.multiply(dy, y > 0, out=buffer)
    return (relu_backward,)


@bugs_of("not repeatable")
def loses_updates():
    """Threads add to the same values without a lock, so updates are lost; here in every third call."""
    calls = []

    def conv2d_backward_x(dy, w, x_shape, stride=1, padding=0):
        dx = book.conv2d_backward_x(dy, w, x_shape, stride, padding)
        calls.append(None)
        if len(calls) % 3 == 0:
            dx.flat[np.abs(dx).argmax()] *= 0.5
        return dx
    return (conv2d_backward_x,)


@bugs_of("not repeatable")
def rounds_differently_each_time():
    """The order of additions changes from call to call, so the last bits differ each time."""
    calls = []

    def squeeze_backward(dz, u_shape):
        calls.append(None)
        return book.squeeze_backward(dz, u_shape) * (1 + np.finfo(dz.dtype).eps * (len(calls) % 5))
    return (squeeze_backward,)


@bug("squeeze_backward", "dtype")
def widens(dz, u_shape):
    """The gradient is always float64, from a np.zeros without dtype."""
    return book.squeeze_backward(dz, u_shape).astype(np.float64)


@bug("batch_norm_backward", "dtype")
def narrows(dy, x, gamma, mean, var, eps=1e-5):
    """Everything is computed in float32, also for float64."""
    arrays = (array.astype(np.float32) for array in (dy, x, gamma, mean, var))
    return tuple(gradient.astype(dy.dtype) for gradient in book.batch_norm_backward(*arrays, eps))


@bug("relu_backward", "layout")
def ignores_strides(dy, y):
    """Values are read in the order of memory, as by a kernel that gets a raw pointer."""
    return dy.ravel(order="K").reshape(dy.shape) * (y > 0)


@bug("scale_backward", "layout", "raises")
def insists_on_contiguous_maps(dy, u, s):
    """A flat view is made, which fails for a gradient that is not contiguous."""
    flat = dy.view()
    flat.shape = (dy.shape[0], -1, dy.shape[3])
    du, ds = book.scale_backward(flat.reshape(dy.shape), u, s)
    return du, ds


@bug("relu_backward", "not linear")
def squares_the_gradient(dy, y):
    """The upstream gradient is used as a factor twice."""
    return dy * np.abs(dy) * (y > 0)


@bug("dense_backward", "not linear")
def clips(dy, x, w):
    """Gradients are clipped inside the op, so they are not linear in dy."""
    dx, dw, db = book.dense_backward(dy, x, w)
    return np.clip(dx, -1, 1), dw, db


@bug("average_pool_backward", "shape")
def flattens(dy, x_shape, size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The gradient is returned as an array with one axis."""
    how = size, stride or size, padding, ceil_mode
    return book.average_pool_backward(dy, x_shape, *how, count_include_pad).ravel()


@bug("scale_backward", "raises")
def forgets_a_gradient(dy, u, s):
    """One of the two gradients is not returned."""
    return book.scale_backward(dy, u, s)[:1]
