"""Pre-activation ResNets for 32x32 images (arXiv 1603.05027), of basic blocks or of bottlenecks.

The network has a first convolution of 16 channels, three stages, a last batch norm and ReLU, global average pooling and
one dense layer. 6n + 2 layers have weights with basic blocks, 9n + 2 with bottlenecks.
"""

from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import (
    BatchNormReLU,
    Conv2d,
    Layer,
    PreActivationBasic,
    PreActivationBlock,
    PreActivationBottleneck,
    Sequential,
    identity_shortcut,
)
from npse.layers.bottleneck import EXPANSION
from npse.layers.excitations import ExcitationOptions
from npse.models.options import excitations, expect_stages
from npse.models.stages import (
    Position,
    channels_times,
    classifier,
    excitation_at,
    expect_depth,
    expect_shortcut,
    residual_stages,
)
from npse.support.names import suggest

BLOCKS = ("basic", "bottleneck")


def preact_resnet(depth: int = 20, block: str = "basic", *, se: bool = True, stages: Collection[int] | None = None,
                  classes: int = 10, placement: str = "standard", shortcut: str = "projection",
                  widths: tuple[int, ...] = (16, 32, 64), channels: int = 3, image_size: int = 32,
                  input_gradient: bool = True, seed: int = 0, **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build a pre-activation network, with squeeze-and-excitation in its blocks or without.

    Parameters
    ----------
    depth : int, 6n + 2 for n basic blocks in each stage, 9n + 2 for n bottlenecks
    block : "basic" or "bottleneck"
    placement : "standard", "pre", "post", "identity" or "3x3", see `npse.layers.preactivation`
    shortcut : "projection" (1x1 convolution) or "identity" (zero-padded channels), for blocks that change the shape of
        their input
    widths : channels of the 3x3 convolutions in each stage; the first is that of the first convolution too
    se, stages, classes, channels, image_size, input_gradient, seed, options : see `npse.models.options.NetworkOptions`

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32.

    Raises
    ------
    ValueError
        A depth that does not fit, an unknown block, stage, placement or shortcut; errors of
        `npse.layers.make_excitation`.
    """
    if block not in BLOCKS:
        raise ValueError(f"unknown block {block!r}; {suggest(block, BLOCKS)}")
    blocks = expect_depth(depth, of_a_block=2 if block == "basic" else 3)
    expect_shortcut(shortcut)
    expect_stages(stages, len(widths))
    rng = np.random.default_rng(seed)
    excite, outputs = excitations(se, stages, rng, **options), channels_times(
        1 if block == "basic" else EXPANSION, widths)

    def make(at: Position) -> PreActivationBlock:
        way = preactivation_shortcut(at, shortcut, rng)
        if block == "basic":
            part = excitation_at(at, placement, excite)
            return PreActivationBasic(at.cin, at.cout, at.stride, way, part, placement, rng=rng)
        width = at.cout // EXPANSION
        part = excitation_at(at, placement, excite, width)
        return PreActivationBottleneck(at.cin, width, at.cout, at.stride, way, part, placement, rng=rng)

    parts: dict[str, Layer] = {"conv1": Conv2d(channels, widths[0], 3, input_gradient=input_gradient, rng=rng)}
    return Sequential(parts | residual_stages(make, [blocks] * len(widths), outputs, widths[0], image_size)
                      | {"bn": BatchNormReLU(outputs[-1])} | classifier(outputs[-1], classes, rng))


def preactivation_shortcut(at: Position, shortcut: str, rng: np.random.Generator) -> Layer | None:
    """Make the layer on the shortcut of a pre-activation block, without batch norm; None if it is the identity."""
    if not at.changes_shape:
        return None
    if shortcut == "identity":
        return identity_shortcut(at.cin, at.cout, at.stride)
    return Sequential({"0": Conv2d(at.cin, at.cout, 1, at.stride, rng=rng)})
