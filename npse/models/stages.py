"""What the residual networks have in common: their stages, and which channels an excitation gates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from npse.layers import (
    BatchNormReLU,
    Conv2d,
    Dense,
    Excitation,
    GlobalAveragePool,
    Layer,
    Sequential,
    identity_shortcut,
    projection_shortcut,
)
from npse.support.names import suggest

__all__ = ["SHORTCUTS", "Position", "channels_times", "classifier", "excitation_at", "expect_depth", "expect_shortcut",
           "residual_stages", "shortcut_at", "stem"]

SHORTCUTS = ("projection", "identity")


@dataclass(frozen=True)
class Position:
    """Where a block stands in a network.

    Attributes
    ----------
    stage : int
        Counted from 1.
    cin, cout : int
        Channels of its input and of its output.
    stride : int
    size : int
        Height and width of its output.
    """

    stage: int
    cin: int
    cout: int
    stride: int
    size: int

    @property
    def changes_shape(self) -> bool:
        """Whether input and output have different shapes, so that the shortcut needs a layer."""
        return self.cin != self.cout or self.stride != 1


def residual_stages(block: Callable[[Position], Layer], blocks: Sequence[int], widths: Sequence[int], cin: int,
                    size: int) -> dict[str, Layer]:
    """Build the stages ``layer1``, ``layer2`` ...; each but the first halves the map in its first block.

    Parameters
    ----------
    block : function of a Position -> Layer
    blocks : number of blocks of each stage
    widths : channels of the output of each stage
    cin, size : channels of the input of the first stage, its height and width
    """
    stages: dict[str, Layer] = {}
    for stage, (count, cout) in enumerate(zip(blocks, widths, strict=True), start=1):
        parts: dict[str, Layer] = {}
        for index in range(count):
            stride = 2 if stage > 1 and index == 0 else 1
            size = -(-size // stride)
            parts[str(index)] = block(Position(stage, cin, cout, stride, size))
            cin = cout
        stages[f"layer{stage}"] = Sequential(parts)
    return stages


def excitation_at(position: Position, placement: str, excite: Callable[[int, int, int], Excitation | None],
                  inner: int | None = None) -> Excitation | None:
    """Make the excitation of a block by `npse.models.options.excitations`; None if its stage has none.

    ``inner`` is the number of channels after its 3x3 convolution, by default those of its output.
    """
    if placement == "pre":
        return excite(position.cin, position.size * position.stride, position.stage)
    if placement == "3x3" and inner is not None:
        return excite(inner, position.size, position.stage)
    return excite(position.cout, position.size, position.stage)


def expect_shortcut(shortcut: str) -> None:
    """Raise ValueError unless the kind of shortcut is known."""
    if shortcut not in SHORTCUTS:
        raise ValueError(f"unknown shortcut {shortcut!r}; {suggest(shortcut, SHORTCUTS)}")


def shortcut_at(position: Position, shortcut: str, rng: np.random.Generator) -> Layer | None:
    """Make the layer on the shortcut of a block with a ReLU after its sum; None if it is the identity."""
    if not position.changes_shape:
        return None
    shape = position.cin, position.cout, position.stride
    return projection_shortcut(*shape, rng=rng) if shortcut == "projection" else identity_shortcut(*shape)


def stem(channels: int, width: int, input_gradient: bool, rng: np.random.Generator) -> dict[str, Layer]:
    """Build what stands before the stages for small images: a 3x3 convolution, batch norm and ReLU."""
    return {"conv1": Conv2d(channels, width, 3, input_gradient=input_gradient, rng=rng), "bn1": BatchNormReLU(width)}


def classifier(cin: int, classes: int, rng: np.random.Generator) -> dict[str, Layer]:
    """Build what stands after the stages: global average pooling and a dense layer."""
    return {"pool": GlobalAveragePool(), "fc": Dense(cin, classes, rng=rng)}


def channels_times(factor: int, widths: Sequence[int]) -> tuple[int, ...]:
    """Return the widths, each times a factor."""
    return tuple(factor * width for width in widths)


def expect_depth(depth: int, of_a_block: int, rest: int = 2, stages: int = 3) -> int:
    """Return n, the number of blocks in each stage of a network of ``depth`` layers.

    Parameters
    ----------
    depth : int
    of_a_block : int
        Layers with weights on the branch of a block.
    rest : int
        Layers outside the blocks.
    stages : int

    Raises
    ------
    ValueError
        The depth is not stages * of_a_block * n + rest for an n of at least 1.
    """
    step = stages * of_a_block
    if not isinstance(depth, int) or depth < step + rest or (depth - rest) % step:
        first = ", ".join(str(step * n + rest) for n in (1, 2, 3))
        raise ValueError(f"depth must be {step}n + {rest} for n blocks in each stage ({first}, ...), but is {depth!r}")
    return (depth - rest) // step
