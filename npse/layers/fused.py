"""The two parts of a residual block. Each runs several layers with fewer ops than the layers have alone.

If a batch norm follows a convolution, the convolution sums its output while it is in cache, so the statistics need no
pass over memory. The end of a block, with or without gates, is one op: `bn_scale_add_relu`.
"""

from collections.abc import Callable
from typing import Any

from npse.backend import active, reshape
from npse.layers.basic import BatchNorm, BatchNormReLU, Conv2d
from npse.layers.excitation import Excitation, SqueezedGates
from npse.layers.layer import Layer, constant, prefixed
from npse.types import Array, Backward, Gradients


class Fused:
    """Layers that run together. This is not a `Layer`: it has no arrays and no mode of its own.

    Attributes
    ----------
    children : dict of str to Layer
        Its layers, under the names that they have in the block. The block makes them its own children, so one call of
        ``train`` or ``eval`` switches the block and these layers.
    """

    def __init__(self, **children: Layer | None) -> None:
        self.children = {name: layer for name, layer in children.items() if layer is not None}


def _normalized(conv: Conv2d, norm: BatchNorm, x: Array) -> tuple[Array, Any, Backward]:
    """Return norm(conv(x)), and the backward passes of both; in training the convolution sums for the statistics."""
    if norm.training:
        (c, mean, var, _), conv_backward = conv.and_moments(x)
        y, norm_backward = norm.from_moments(c, mean, var)
    else:
        c, conv_backward = conv(x)
        y, norm_backward = norm(c)
    return y, conv_backward, norm_backward


class ConvBNReLU(Fused):
    """h = relu(batch_norm(conv2d(x))): (N, H, W, cin) -> (N, Ho, Wo, cout).

    ``dx, gradients = backward(dh)``, and ``backward.add(dh, dx)`` adds the gradient of x to an array dx.
    """

    def __init__(self, conv: Conv2d, norm: BatchNormReLU) -> None:
        super().__init__(conv1=conv, bn1=norm)
        self.conv, self.norm = conv, norm

    def __call__(self, x: Array) -> "tuple[Array, _ConvBNReLUBackward]":
        h, conv_backward, norm_backward = _normalized(self.conv, self.norm, x)
        return h, _ConvBNReLUBackward(conv_backward, norm_backward)


class _ConvBNReLUBackward:
    """Computes the gradient of x, alone or added to an array, and the gradients of the parameters."""

    def __init__(self, conv_backward: Any, norm_backward: Any) -> None:
        self._conv_backward, self._norm_backward = conv_backward, norm_backward

    def __call__(self, dh: Array) -> tuple[Array, Gradients]:
        dc, norm_gradients = self._norm_backward(dh)
        return self._with_names(self._conv_backward(dc), norm_gradients)

    def add(self, dh: Array, dx: Array) -> tuple[Array, Gradients]:
        dc, norm_gradients = self._norm_backward(dh)
        return self._with_names(self._conv_backward.add(dc, dx), norm_gradients)

    @staticmethod
    def _with_names(result: tuple[Array, Gradients], norm_gradients: Gradients) -> tuple[Array, Gradients]:
        dx, conv_gradients = result
        return dx, prefixed("conv1", conv_gradients) | prefixed("bn1", norm_gradients)


class ConvBNSEAddReLU(Fused):
    """y = relu(se(batch_norm(conv2d(h))) + r), where r is the shortcut; dh, dr, gradients = backward(dy).

    h (N, H, W, cin), r (N, Ho, Wo, cout) -> y (N, Ho, Wo, cout). Without ``se`` the same op runs with gates of one, so
    both kinds of networks make the same number of passes over their maps. An excitation whose gates need more than the
    means of the maps runs by itself, between the batch norm and the sum.
    """

    def __init__(self, conv: Conv2d, norm: BatchNorm, se: Excitation | None = None) -> None:
        super().__init__(conv2=conv, bn2=norm, se=se)
        self.conv, self.norm, self.se = conv, norm, se

    def __call__(self, h: Array, r: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array, Gradients]]]:
        ops = active()
        norm = self.norm
        if self.se and not (isinstance(self.se, SqueezedGates) and self.se.squeeze is None):
            return self._in_steps(self.se, h, r)
        gamma, beta, eps = norm.parameters["weight"], norm.parameters["bias"], norm.eps
        (c, mean, var, means), conv_backward = self.conv.and_moments(h)
        if norm.training:
            norm.update_running_stats(ops, c, mean, var)
        else:
            mean, var = norm.buffers["running_mean"], norm.buffers["running_var"]
        s, excite_backward = self._gates(means, mean, var)
        y = ops.bn_scale_add_relu(c, gamma, beta, mean, var, s, r, eps)

        def backward_train(dy: Array) -> tuple[Any, ...]:
            ds, dgammas, dbetas = ops.bn_scale_add_relu_backward_s(dy, c, y, gamma, beta, mean, var, eps)
            dz, se_gradients = excite_backward(ds)
            sums = dgammas, dbetas, means
            return *ops.bn_scale_add_relu_backward(dy, c, y, s, dz, *sums, gamma, mean, var, eps), se_gradients

        def backward_eval(dy: Array) -> tuple[Any, ...]:
            u = ops.batch_norm_inference(c, gamma, beta, mean, var, eps)
            du, ds, dr = ops.scale_add_relu_backward(dy, u, s, y)
            dz, se_gradients = excite_backward(ds)
            du = ops.add_squeeze_backward(du, dz)
            return *ops.batch_norm_inference_backward(du, c, gamma, mean, var, eps), dr, se_gradients

        end_backward = backward_train if norm.training else backward_eval

        def backward(dy: Array) -> tuple[Array, Array, Gradients]:
            dc, dgamma, dbeta, dr, se_gradients = end_backward(dy)
            dh, conv_gradients = conv_backward(dc)
            return dh, dr, (prefixed("conv2", conv_gradients) | {"bn2.weight": dgamma, "bn2.bias": dbeta}
                            | prefixed("se", se_gradients))
        return y, backward

    def _in_steps(self, se: Excitation, h: Array, r: Array
                  ) -> tuple[Array, Callable[[Array], tuple[Array, Array, Gradients]]]:
        """Return ``y, backward`` with the excitation as a layer of its own."""
        ops = active()
        u, conv_backward, norm_backward = _normalized(self.conv, self.norm, h)
        v, se_backward = se(u)
        y = ops.add_relu(v, r)

        def backward(dy: Array) -> tuple[Array, Array, Gradients]:
            dv, dr = ops.add_relu_backward(dy, y)
            du, se_gradients = se_backward(dv)
            dc, norm_gradients = norm_backward(du)
            dh, conv_gradients = conv_backward(dc)
            return dh, dr, (prefixed("conv2", conv_gradients) | prefixed("bn2", norm_gradients)
                            | prefixed("se", se_gradients))
        return y, backward

    def _gates(self, means: Array, mean: Array, var: Array) -> tuple[Array, Callable[[Array], Any]]:
        """Return ``s, backward``: the gates (N, C), and dz, gradients = backward(ds)."""
        N, C = means.shape
        if not isinstance(self.se, SqueezedGates):
            ones, zeros = (constant(value, (N, C), means.dtype) for value in (1, 0))
            return ones, lambda ds: (zeros, {})
        # Batch norm is affine for each channel, so the mean of its output is the batch norm of the mean of its input.
        gamma, beta = self.norm.parameters["weight"], self.norm.parameters["bias"]
        z = active().batch_norm_inference(reshape(means, (N, 1, 1, C)), gamma, beta, mean, var, self.norm.eps)
        return self.se.excite(reshape(z, (N, C)))
