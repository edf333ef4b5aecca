"""One layer after another, alone or as the branch of a residual unit. Layers share passes over memory where they can.

If a batch norm follows a convolution, both run together. In training the convolution sums its output while it is in
cache, so the statistics need no pass over memory. In evaluation the batch norm is an affine map of each channel, which
the convolution applies to its output. But for rounding the results are those of one layer after another.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from npse.backend import in_pieces
from npse.layers.basic import Conv2d
from npse.layers.batch_norm import BatchNorm
from npse.layers.layer import Layer, active, prefixed
from npse.layers.pooling import AveragePool
from npse.types import Array, Backward, Gradients, Ops

TOGETHER = 128          # images at inference: with more, a CPU's caches lose maps before the next layer reads them


def normalized(conv: Conv2d, norm: BatchNorm, x: Array) -> tuple[Array, Any, Backward]:
    """Return norm(conv(x)), and the backward passes of both.

    In evaluation the output of the convolution is not kept: a backward pass, which is rare there, computes it again.
    """
    if norm.training:
        (c, mean, var, _), conv_backward = conv.and_moments(x)
        y, norm_backward = norm.from_moments(c, mean, var)
        return y, conv_backward, norm_backward

    def norm_backward_again(dy: Array) -> tuple[Array, Gradients]:
        _, backward = norm(conv(x)[0])
        return backward(dy)
    return *norm.after(conv, x), norm_backward_again


class Sequential(Layer):
    """Runs named layers in order; without layers it is the identity.

    ``dx, gradients = backward(dy)``, and ``backward.add(dy, dx)`` adds the gradient of x to an array dx.

    Parameters
    ----------
    children : dict of str to Layer or None
        None stands for a layer that this network does not have, such as an excitation.
    """

    def __init__(self, children: Mapping[str, Layer | None] | None = None) -> None:
        super().__init__(children={name: layer for name, layer in (children or {}).items() if layer is not None})

    def __call__(self, x: Array) -> tuple[Array, Any]:
        backwards: dict[str, Any] = {}
        for name, layer, norm_name, norm in self.with_norms():
            if norm:
                x, backwards[name], backwards[norm_name] = normalized(layer, norm, x)
            else:
                x, backwards[name] = layer(x)
        return x, SequentialBackward(active(), backwards)

    def predict(self, x: Array) -> Array:
        if self.training:                                          # batch norm needs the whole batch
            return self._chain(x)
        return in_pieces(self._chain, x, TOGETHER)

    def _chain(self, x: Array) -> Array:
        for _, layer, _, norm in self.with_norms():
            if norm:
                x, *_ = normalized(layer, norm, x)
            else:
                x = layer.predict(x)
        return x

    def with_norms(self) -> Iterator[tuple[str, Any, str, BatchNorm | None]]:
        """Yield each layer with its name, and a batch norm that runs together with a convolution before it, or None."""
        layers: list[tuple[str, Layer | None]] = [*self.children.items(), ("", None)]
        after_conv = False
        for (name, layer), (next_name, follower) in itertools.pairwise(layers):
            if after_conv:
                after_conv = False
            elif isinstance(layer, Conv2d) and isinstance(follower, BatchNorm):
                after_conv = True
                yield name, layer, next_name, follower
            else:
                yield name, layer, "", None


def once(backward: Any) -> Backward:
    """Return a backward pass that can be called a single time: it lets go of the saved arrays as it uses them.

    So a step takes little more memory than the forward pass saves.
    """
    return getattr(backward, "once", backward)


class SequentialBackward:
    """dx, gradients = backward(dy); ``backward.add(dy, dx)`` adds the gradient of x to an array dx."""

    def __init__(self, ops: Ops, backwards: dict[str, Any]) -> None:
        self._ops, self._backwards = ops, backwards

    def __call__(self, dy: Array) -> tuple[Array, Gradients]:
        gradients: Gradients = {}
        for name, layer_backward in reversed(self._backwards.items()):
            dy, found = layer_backward(dy)
            gradients |= prefixed(name, found)
        return dy, gradients

    def once(self, dy: Array) -> tuple[Array, Gradients]:
        """See `npse.layers.sequential.once`."""
        gradients: Gradients = {}
        while self._backwards:
            name, layer_backward = self._backwards.popitem()
            dy, found = once(layer_backward)(dy)
            gradients |= prefixed(name, found)
        return dy, gradients

    def add(self, dy: Array, dx: Array) -> tuple[Array, Gradients]:
        """Return the sum of the gradient of x and dx; a first convolution adds while it computes."""
        (name, first), *others = self._backwards.items()
        if not hasattr(first, "add"):
            through, gradients = self(dy)
            return self._ops.add(through, dx), gradients
        dy, gradients = SequentialBackward(self._ops, dict(others))(dy)
        dx, found = first.add(dy, dx)
        return dx, gradients | prefixed(name, found)


class SkipSum(Sequential):
    """y = chain(x) + x, or the ReLU of this sum: the layers are a residual branch, (N, H, W, C) -> (N, H, W, C).

    Parameters
    ----------
    children : see `Sequential`
    relu : bool
    """

    def __init__(self, children: Mapping[str, Layer | None], relu: bool = False) -> None:
        super().__init__(children)
        self.relu = relu

    def __call__(self, x: Array) -> tuple[Array, Any]:
        ops = active()
        branch, branch_backward = super().__call__(x)
        y = ops.add_relu(branch, x) if self.relu else ops.add(branch, x)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dbranch, dx = ops.add_relu_backward(dy, y) if self.relu else ops.add_backward(dy)
            return branch_backward.add(dbranch, dx)
        return y, backward

    def predict(self, x: Array) -> Array:
        return self(x)[0]


class PoolConcat(Sequential):
    """y = relu(concat(pool(x), chain(x))): a residual unit that halves its map and appends channels (arXiv 1707.01083).

    (N, H, W, C) -> (N, ceil(H / 2), ceil(W / 2), C + channels of the chain's result). The pooling is the mean over 3x3
    pixels, every second pixel.

    Parameters
    ----------
    children : see `Sequential`
    """

    def __init__(self, children: Mapping[str, Layer | None]) -> None:
        super().__init__(children)
        self.pool = AveragePool(3, 2, padding=1)

    def __call__(self, x: Array) -> tuple[Array, Any]:
        ops = active()
        branch, branch_backward = super().__call__(x)
        shortcut, pool_backward = self.pool(x)
        y = ops.relu(ops.concat(shortcut, branch))
        widths = shortcut.shape[-1], branch.shape[-1]

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dshortcut, dbranch = ops.concat_backward(ops.relu_backward(dy, y), widths)
            dx, _ = pool_backward(dshortcut)
            return branch_backward.add(dbranch, dx)
        return y, backward

    def predict(self, x: Array) -> Array:
        return self(x)[0]
