"""The parts of a residual block. Each runs several layers with fewer ops than the layers have alone.

A convolution runs together with the batch norm after it, see `npse.layers.sequential`. The end of a block, with or
without gates, is one op: `bn_scale_add_relu`.
"""

from collections.abc import Callable
from typing import Any, TypeGuard

from npse.backend import active, reshape
from npse.layers.basic import Conv2d
from npse.layers.batch_norm import BatchNorm, BatchNormReLU, count_of
from npse.layers.excitation import Excitation, SqueezedGates
from npse.layers.layer import Layer, constant, prefixed
from npse.layers.sequential import Sequential, normalized
from npse.types import Array, Backward, Gradients, Ops


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


def channels_after(conv: Conv2d) -> int:
    """Return the number of channels of a convolution's output."""
    return int(conv.parameters["weight"].shape[3])


def takes_means(se: Excitation) -> TypeGuard[SqueezedGates]:
    """Whether an excitation needs no more of its maps than their means, which the end of a block knows already."""
    return isinstance(se, SqueezedGates) and se.squeeze is None


class ConvBNReLU(Fused):
    """h = relu(batch_norm(conv2d(x))): (N, H, W, cin) -> (N, Ho, Wo, cout).

    ``dx, gradients = backward(dh)``, and ``backward.add(dh, dx)`` adds the gradient of x to an array dx.

    Parameters
    ----------
    conv, norm : Conv2d, BatchNormReLU
    names : tuple of two str
        Their names in the block.
    """

    def __init__(self, conv: Conv2d, norm: BatchNormReLU, names: tuple[str, str] = ("conv1", "bn1")) -> None:
        super().__init__(**dict(zip(names, (conv, norm), strict=True)))
        self.conv, self.norm, self.names = conv, norm, names

    def __call__(self, x: Array) -> "tuple[Array, _ConvBNReLUBackward]":
        h, conv_backward, norm_backward = normalized(self.conv, self.norm, x)
        return h, _ConvBNReLUBackward(conv_backward, norm_backward, self.names)


class _ConvBNReLUBackward:
    """Computes the gradient of x, alone or added to an array, and the gradients of the parameters."""

    def __init__(self, conv_backward: Any, norm_backward: Any, names: tuple[str, str]) -> None:
        self._conv_backward, self._norm_backward, self._names = conv_backward, norm_backward, names

    def __call__(self, dh: Array) -> tuple[Array, Gradients]:
        dc, norm_gradients = self._norm_backward(dh)
        return self._with_names(self._conv_backward(dc), norm_gradients)

    def add(self, dh: Array, dx: Array) -> tuple[Array, Gradients]:
        dc, norm_gradients = self._norm_backward(dh)
        return self._with_names(self._conv_backward.add(dc, dx), norm_gradients)

    def _with_names(self, result: tuple[Array, Gradients], norm_gradients: Gradients) -> tuple[Array, Gradients]:
        (dx, conv_gradients), (conv, norm) = result, self._names
        return dx, prefixed(conv, conv_gradients) | prefixed(norm, norm_gradients)


class ConvBN(Fused):
    """u = batch_norm(conv2d(h)): the end of a branch that is not added to its shortcut at once."""

    def __init__(self, conv: Conv2d, norm: BatchNorm, names: tuple[str, str] = ("conv2", "bn2")) -> None:
        super().__init__(**dict(zip(names, (conv, norm), strict=True)))
        self.conv, self.norm, self.names = conv, norm, names

    def __call__(self, h: Array) -> tuple[Array, Backward]:
        u, conv_backward, norm_backward = normalized(self.conv, self.norm, h)

        def backward(du: Array) -> tuple[Array, Gradients]:
            dc, of_norm = norm_backward(du)
            dh, of_conv = conv_backward(dc)
            conv, norm = self.names
            return dh, prefixed(conv, of_conv) | prefixed(norm, of_norm)
        return u, backward


class Named(Fused):
    """One layer, such as an excitation within a branch, under its name in the block."""

    def __init__(self, name: str, layer: Layer) -> None:
        super().__init__(**{name: layer})
        self.name, self.layer = name, layer

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        y, layer_backward = self.layer(x)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, gradients = layer_backward(dy)
            return dx, prefixed(self.name, gradients)
        return y, backward


class Chain(Fused):
    """Parts one after another: a branch up to its last convolution. Without parts it is the identity.

    ``dx, gradients = backward(dy)``, and ``backward.add(dy, dx)`` adds the gradient of x to an array dx. If the first
    part has such a method, its op adds while it computes, which saves a pass over memory.
    """

    def __init__(self, *parts: Any) -> None:
        super().__init__(**{name: layer for part in parts for name, layer in part.children.items()})
        self.parts = parts

    def __call__(self, x: Array) -> "tuple[Array, _ChainBackward]":
        ops, backwards = active(), []
        for part in self.parts:
            x, part_backward = part(x)
            backwards.append(part_backward)
        return x, _ChainBackward(ops, backwards)

    def predict(self, x: Array) -> Array:
        """Return y alone; no array is kept for a backward pass."""
        for part in self.parts:
            x = part(x)[0]
        return x


class _ChainBackward:
    """Computes the gradient of x, alone or added to an array, and the gradients of the parameters."""

    def __init__(self, ops: Ops, backwards: list[Any]) -> None:
        self._ops, self._backwards = ops, backwards

    def __call__(self, dy: Array) -> tuple[Array, Gradients]:
        return self._through(self._backwards, dy)

    def add(self, dy: Array, dx: Array) -> tuple[Array, Gradients]:
        add = getattr(self._backwards[0], "add", None) if self._backwards else None
        if add is None:
            dy, gradients = self(dy)
            return self._ops.add(dy, dx), gradients
        dy, gradients = self._through(self._backwards[1:], dy)
        dx, found = add(dy, dx)
        return dx, gradients | found

    @staticmethod
    def _through(backwards: list[Any], dy: Array) -> tuple[Array, Gradients]:
        gradients: Gradients = {}
        for part_backward in reversed(backwards):
            dy, found = part_backward(dy)
            gradients |= found
        return dy, gradients


class ConvBNSEAddReLU(Fused):
    """y = relu(se(batch_norm(conv2d(h))) + r), where r is the shortcut; dh, dr, gradients = backward(dy).

    h (N, H, W, cin), r (N, Ho, Wo, cout) -> y (N, Ho, Wo, cout). Without ``se`` the same op runs with gates of one, so
    both kinds of networks make the same number of passes over their maps. An excitation whose gates need more than the
    means of the maps runs by itself, between the batch norm and the sum; so does every part of a block whose batch norm
    is shared with other processes.

    Parameters
    ----------
    conv, norm, se : Conv2d, BatchNorm, Excitation or None
    number : int
        Which convolution of the block it is: it is named ``conv2``, and its batch norm ``bn2``, if the number is 2.
    """

    def __init__(self, conv: Conv2d, norm: BatchNorm, se: Excitation | None = None, number: int = 2) -> None:
        self.names = f"conv{number}", f"bn{number}"
        super().__init__(**dict(zip(self.names, (conv, norm), strict=True)), se=se)
        self.conv, self.norm, self.se = conv, norm, se

    def __call__(self, h: Array, r: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array, Gradients]]]:
        ops = active()
        norm = self.norm
        if (self.se and not takes_means(self.se)) or (norm.training and norm.peers):
            return self._in_steps(self.se or Sequential(), h, r)
        gamma, beta, eps = norm.gamma, norm.parameters["bias"], norm.eps
        (c, mean, var, means), conv_backward = self.conv.and_moments(h)
        if norm.training:
            norm.update_running_stats(ops, mean, var, count_of(c))
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
            return dh, dr, self._with_names(conv_gradients, self.norm.gradients_of(dgamma, dbeta), se_gradients)
        return y, backward

    def predict(self, h: Array, r: Array) -> Array:
        """Return y alone. In inference one op computes it, if the gates are those of the paper's formula."""
        weights = self._weights()
        if self.norm.training or weights is None or not self.conv.begins_fused_ops:
            return self(h, r)[0]
        norm = self.norm
        arrays = norm.gamma, norm.parameters["bias"], norm.buffers["running_mean"], norm.buffers["running_var"], r
        return self.conv.fused(active().conv2d_se_add_relu_inference, h, *arrays, *weights, eps=norm.eps)[0]

    def _weights(self) -> tuple[Array | None, ...] | None:
        """Return w1, w2, b1, b2 of the gates, four times None for gates of one; None for other gates."""
        if self.se is None:
            return (None,) * 4
        return self.se.weights() if takes_means(self.se) else None

    def _in_steps(self, se: Layer, h: Array, r: Array
                  ) -> tuple[Array, Callable[[Array], tuple[Array, Array, Gradients]]]:
        """Return ``y, backward`` with the excitation as a layer of its own."""
        ops = active()
        u, conv_backward, norm_backward = normalized(self.conv, self.norm, h)
        v, se_backward = se(u)
        y = ops.add_relu(v, r)

        def backward(dy: Array) -> tuple[Array, Array, Gradients]:
            dv, dr = ops.add_relu_backward(dy, y)
            du, se_gradients = se_backward(dv)
            dc, norm_gradients = norm_backward(du)
            dh, conv_gradients = conv_backward(dc)
            return dh, dr, self._with_names(conv_gradients, norm_gradients, se_gradients)
        return y, backward

    def _with_names(self, of_conv: Gradients, of_norm: Gradients, of_se: Gradients) -> Gradients:
        conv, norm = self.names
        return prefixed(conv, of_conv) | prefixed(norm, of_norm) | prefixed("se", of_se)

    def _gates(self, means: Array, mean: Array, var: Array) -> tuple[Array, Callable[[Array], Any]]:
        """Return ``s, backward``: the gates (N, C), and dz, gradients = backward(ds)."""
        N, C = means.shape
        if not isinstance(self.se, SqueezedGates):
            ones, zeros = (constant(value, (N, C), means.dtype) for value in (1, 0))
            return ones, lambda ds: (zeros, {})
        # Batch norm is affine for each channel, so the mean of its output is the batch norm of the mean of its input.
        gamma, beta = self.norm.gamma, self.norm.parameters["bias"]
        z = active().batch_norm_inference(reshape(means, (N, 1, 1, C)), gamma, beta, mean, var, self.norm.eps)
        return self.se.excite(reshape(z, (N, C)))
