"""Layers side by side, whose maps are put together along the channels, and the shuffle of channels."""

from collections.abc import Mapping
from functools import reduce

from npse.layers.basic import expect_sizes
from npse.layers.layer import Layer, active, prefixed
from npse.types import Array, Backward, Gradients


class Branches(Layer):
    """Runs two to four layers on the same x and puts their maps together along the channels, in order.

    (N, H, W, C) -> (N, Ho, Wo, the sum of their channels). All must give maps of one size. It is the module of
    GoogLeNet, arXiv 1409.4842. A branch that is the identity is an empty `Sequential`.

    Parameters
    ----------
    children : dict of str to Layer

    Raises
    ------
    ValueError
        Fewer than two or more than four layers.
    """

    def __init__(self, children: Mapping[str, Layer]) -> None:
        if not 2 <= len(children) <= 4:
            raise ValueError(f"Branches: there must be two to four layers, but there are {len(children)}")
        super().__init__(children=dict(children))

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops = active()
        maps, backwards = zip(*(layer(x) for layer in self.children.values()), strict=True)
        widths = tuple(y.shape[3] for y in maps)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            gradients: Gradients = {}
            paths = []
            parts = ops.concat_backward(dy, widths)
            for name, branch_backward, part in zip(self.children, backwards, parts, strict=True):
                dx, found = branch_backward(part)
                paths.append(dx)
                gradients |= prefixed(name, found)
            return reduce(ops.add, paths), gradients
        return ops.concat(*maps), backward

    def predict(self, x: Array) -> Array:
        return active().concat(*[layer.predict(x) for layer in self.children.values()])


class ChannelShuffle(Layer):
    """Mixes the channels of ``groups`` groups, (N, H, W, C) -> the same shape, see the op `channel_shuffle`."""

    def __init__(self, groups: int) -> None:
        expect_sizes("ChannelShuffle", groups=groups)
        super().__init__()
        self.groups = groups

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops = active()

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.channel_shuffle_backward(dy, self.groups), {}
        return ops.channel_shuffle(x, self.groups), backward
