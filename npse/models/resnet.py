"""SE-ResNets for 32x32 images, and the plain networks: arXiv 1512.03385 section 4.2, arXiv 1709.01507 figure 3.

The network has a first convolution of 16 channels, three stages of n blocks with 16, 32 and 64 channels, global average
pooling and one dense layer. The second and the third stage halve the map. 6n + 2 layers have weights.
"""

import numpy as np

from npse.layers import (
    BasicBlock,
    BatchNormReLU,
    Conv2d,
    Dense,
    GlobalAveragePool,
    Layer,
    Sequential,
    identity_shortcut,
    make_excitation,
    projection_shortcut,
)
from npse.support.names import suggest

SHORTCUTS = ("projection", "identity")


def resnet(depth: int = 20, *, se: bool = True, classes: int = 10, reduction: int = 4, bias: bool = False,
           min_hidden: int = 4, excitation: str = "se", gate: str = "sigmoid", placement: str = "standard",
           shortcut: str = "projection",
           widths: tuple[int, ...] = (16, 32, 64), channels: int = 3, input_gradient: bool = True,
           seed: int = 0) -> Sequential:
    """Build a residual network, with squeeze-and-excitation in every block or in none.

    Parameters
    ----------
    depth : int, 6n + 2 for n blocks in each stage
    se : bool
    classes : int
    excitation, gate : str, the structure and its gate, see `npse.layers.EXCITATIONS` and `npse.layers.GATES`
    reduction, bias, min_hidden : see `npse.layers.SqueezeExcite`
    placement : "standard", "pre", "post" or "identity", see `npse.layers.BasicBlock`
    shortcut : "projection" (1x1 convolution and batch norm) or "identity" (zero-padded channels), for blocks that
        change the shape of their input
    widths : channels of the three stages
    channels : int, channels of the images
    input_gradient : bool, whether backward returns the gradient of the images; training does not need it
    seed : int, for the initial weights (He normal)

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32; ``.astype(np.float64)`` for gradient checks.

    Raises
    ------
    ValueError
        A depth that is not 6n + 2, or an unknown placement or shortcut.
    """
    if not isinstance(depth, int) or depth < 8 or depth % 6 != 2:
        raise ValueError(f"depth must be 6n + 2 for n blocks in each stage (8, 14, 20, ...), but is {depth!r}")
    if shortcut not in SHORTCUTS:
        raise ValueError(f"unknown shortcut {shortcut!r}; {suggest(shortcut, SHORTCUTS)}")
    rng = np.random.default_rng(seed)

    def block(cin: int, cout: int, stride: int) -> BasicBlock:
        way = None
        if cin != cout or stride != 1:
            way = (projection_shortcut(cin, cout, stride, rng=rng) if shortcut == "projection"
                   else identity_shortcut(cin, cout, stride))
        gated = cin if placement == "pre" else cout
        part = make_excitation(excitation, gated, reduction=reduction, min_hidden=min_hidden, bias=bias, gate=gate,
                               rng=rng) if se else None
        return BasicBlock(cin, cout, stride, way, part, placement, rng=rng)

    parts: dict[str, Layer] = {"conv1": Conv2d(channels, widths[0], 3, input_gradient=input_gradient, rng=rng),
             "bn1": BatchNormReLU(widths[0])}
    cin = widths[0]
    for stage, cout in enumerate(widths, start=1):
        blocks: dict[str, Layer] = {}
        for index in range((depth - 2) // 6):
            blocks[str(index)] = block(cin, cout, stride=2 if stage > 1 and index == 0 else 1)
            cin = cout
        parts[f"layer{stage}"] = Sequential(blocks)
    parts["pool"] = GlobalAveragePool()
    parts["fc"] = Dense(cin, classes, rng=rng)
    return Sequential(parts)
