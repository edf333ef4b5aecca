"""Layers in order that share passes over memory, alone or as the branch of a residual unit."""

from collections.abc import Mapping
from typing import Any

from npse.layers.basic import Conv2d
from npse.layers.batch_norm import BatchNorm
from npse.layers.layer import Layer, active, prefixed
from npse.layers.pooling import AveragePool
from npse.layers.sequential import Sequential
from npse.types import Array, Gradients, Ops


class FusedSequential(Sequential):
    """Runs named layers in order. In training a convolution computes the statistics for the batch norm after it.

    The convolution sums its output while it is in cache, so the statistics need no pass over memory. But for rounding
    the results are those of a `Sequential`.

    Parameters
    ----------
    children : dict of str to Layer or None
        None stands for a layer that this network does not have, such as an excitation.
    """

    def __init__(self, children: Mapping[str, Layer | None]) -> None:
        super().__init__({name: layer for name, layer in children.items() if layer is not None})

    def __call__(self, x: Array) -> tuple[Array, Any]:
        backwards: dict[str, Any] = {}
        moments: tuple[Array, Array] | None = None
        followers: list[Layer | None] = [*list(self.children.values())[1:], None]
        for (name, layer), follower in zip(self.children.items(), followers, strict=True):
            if moments and isinstance(layer, BatchNorm):
                x, backwards[name] = layer.from_moments(x, *moments)
                moments = None
            elif isinstance(layer, Conv2d) and isinstance(follower, BatchNorm) and follower.training:
                (x, mean, var, _), backwards[name] = layer.and_moments(x)
                moments = mean, var
            else:
                x, backwards[name] = layer(x)
        return x, _FusedBackward(active(), backwards)


class _FusedBackward:
    """dx, gradients = backward(dy); ``backward.add(dy, dx)`` adds the gradient of x to an array dx."""

    def __init__(self, ops: Ops, backwards: dict[str, Any]) -> None:
        self._ops, self._backwards = ops, backwards

    def __call__(self, dy: Array) -> tuple[Array, Gradients]:
        gradients: Gradients = {}
        for name, layer_backward in reversed(self._backwards.items()):
            dy, found = layer_backward(dy)
            gradients |= prefixed(name, found)
        return dy, gradients

    def add(self, dy: Array, dx: Array) -> tuple[Array, Gradients]:
        """Return the sum of the gradient of x and dx; a first convolution adds while it computes."""
        (name, first), *_ = self._backwards.items()
        if not hasattr(first, "add"):
            through, gradients = self(dy)
            return self._ops.add(through, dx), gradients
        others = dict(self._backwards)
        del others[name]
        dy, gradients = _FusedBackward(self._ops, others)(dy)
        dx, found = first.add(dy, dx)
        return dx, gradients | prefixed(name, found)


class SkipSum(FusedSequential):
    """y = chain(x) + x, or the ReLU of this sum: the layers are a residual branch, (N, H, W, C) -> (N, H, W, C).

    Parameters
    ----------
    children : see `FusedSequential`
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


class PoolConcat(FusedSequential):
    """y = relu(concat(pool(x), chain(x))): a residual unit that halves its map and appends channels (arXiv 1707.01083).

    (N, H, W, C) -> (N, ceil(H / 2), ceil(W / 2), C + channels of the chain's result). The pooling is the mean over 3x3
    pixels, every second pixel.

    Parameters
    ----------
    children : see `FusedSequential`
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
