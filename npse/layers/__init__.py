"""Layers compose ops: ``y, backward = layer(x)``, then ``dx, gradients = backward(dy)``."""

from npse.layers.activation import ACTIVATIONS, Activation
from npse.layers.basic import Conv2d, Dense, GlobalAveragePool, ReLU
from npse.layers.batch_norm import BatchNorm, BatchNormReLU
from npse.layers.block import PLACEMENTS, BasicBlock, ResidualUnit
from npse.layers.bottleneck import Bottleneck
from npse.layers.channels import Branches, ChannelShuffle
from npse.layers.dropout import Dropout
from npse.layers.excitation import GATES, Excitation
from npse.layers.excitations import EXCITATIONS, make_excitation
from npse.layers.layer import Layer
from npse.layers.pooling import AveragePool, GlobalMaxPool, MaxPool
from npse.layers.preactivation import PreActivationBasic, PreActivationBlock, PreActivationBottleneck
from npse.layers.sequential import Sequential
from npse.layers.shake import Shake, ShakeBlock, shake_shortcut
from npse.layers.shortcut import identity_shortcut, projection_shortcut
from npse.layers.squeeze_excite import SqueezeExcite
from npse.layers.squeezes import SQUEEZES
from npse.layers.whitening import Whitening

__all__ = ["ACTIVATIONS", "EXCITATIONS", "GATES", "PLACEMENTS", "SQUEEZES", "Activation", "AveragePool", "BasicBlock",
           "BatchNorm", "BatchNormReLU", "Bottleneck", "Branches", "ChannelShuffle", "Conv2d", "Dense", "Dropout",
           "Excitation", "GlobalAveragePool", "GlobalMaxPool", "Layer", "MaxPool", "PreActivationBasic",
           "PreActivationBlock", "PreActivationBottleneck", "ReLU", "ResidualUnit", "Sequential", "Shake", "ShakeBlock",
           "SqueezeExcite", "Whitening", "identity_shortcut", "make_excitation", "projection_shortcut",
           "shake_shortcut"]
