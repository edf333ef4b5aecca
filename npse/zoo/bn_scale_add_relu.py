"""The residual join and the end of a block: the mask is applied before the split, and every path is added once."""

import numpy as np

from npse import reference as book
from npse.support.wrapped import Overlay
from npse.zoo import block
from npse.zoo.bug import BOOK, bug, bugs_of


def block_with(**planted):
    """Return the backward pass of a whole block with some ops replaced; the forward pass is that of the book."""
    ops = Overlay(BOOK, **planted)

    def se_block_backward(dy, x, w, gamma, beta, w1, w2):
        return block.backward(ops, dy, x, w, gamma, beta, w1, w2)
    return (se_block_backward,)


@bug("add_backward", "zero", "path missing")
def add_drops_the_shortcut(dy):
    """The branch receives the gradient, the shortcut receives zero."""
    return dy.copy(), 0 * dy


@bug("add_backward", "factor", "averaged")
def add_shares_the_gradient(dy):
    """Branch and shortcut receive one half of the gradient each."""
    return dy / 2, dy / 2


@bug("add_relu_backward", "mask missing")
def add_relu_without_mask(dy, y):
    """The ReLU after the addition is forgotten in the backward pass."""
    return dy.copy(), dy.copy()


@bug("add_relu_backward", "mask missing")
def add_relu_masks_the_branch_alone(dy, y):
    """The mask is applied after the split, to the branch only."""
    return book.relu_backward(dy, y), dy.copy()


@bug("add_relu_backward", "path twice", "factor")
def add_relu_adds_the_shortcut_twice(dy, y):
    """The shortcut's gradient is added by the join and by the block."""
    df, dx = book.add_relu_backward(dy, y)
    return df, 2 * dx


@bug("scale_add_relu_backward", "mask missing")
def join_masks_the_shortcut_alone(dy, u, s, y):
    """The mask is applied after the split, to the shortcut only."""
    return *book.scale_backward(dy, u, s), book.relu_backward(dy, y)


@bug("scale_add_relu_backward", "mask missing")
def join_does_not_mask_ds(dy, u, s, y):
    """ds is summed over all pixels, including those where the ReLU is off."""
    du, _, dx = book.scale_add_relu_backward(dy, u, s, y)
    return du, book.scale_backward(dy, u, s)[1], dx


@bug("scale_add_relu_backward", "mask misplaced")
def join_masks_by_the_branch(dy, u, s, y):
    """The mask is s * u > 0, the branch alone, instead of the sum > 0."""
    return book.scale_add_relu_backward(dy, u, s, book.scale(u, s))


@bug("scale_add_relu_backward", "path missing", "zero")
def join_drops_the_shortcut(dy, u, s, y):
    """The shortcut receives a gradient of zero."""
    du, ds, dx = book.scale_add_relu_backward(dy, u, s, y)
    return du, ds, 0 * dx


@bug("scale_add_relu_backward", "path twice", "factor")
def join_scales_the_shortcut_too(dy, u, s, y):
    """The gradient of the shortcut is multiplied by the gates too."""
    du, ds, dx = book.scale_add_relu_backward(dy, u, s, y)
    return du, ds, book.scale(dx, s)


@bug("scale_add_relu_backward", "path missing")
def join_passes_the_gradient_unweighted(dy, u, s, y):
    """The branch receives the gradient without the gates."""
    _, ds, dx = book.scale_add_relu_backward(dy, u, s, y)
    return dx.copy(), ds, dx


@bug("scale_add_relu_backward", "averaged", "factor")
def join_averages_ds(dy, u, s, y):
    """ds is a mean over the map."""
    du, ds, dx = book.scale_add_relu_backward(dy, u, s, y)
    return du, ds / (u.shape[1] * u.shape[2]), dx


@bug("bn_scale_add_relu_backward_s", "path missing")
def gates_forget_beta(dy, x, y, gamma, beta, mean, var, eps=1e-5):
    """ds = gamma * dgammas: beta, the constant part of u, is forgotten."""
    _, dgammas, dbetas = book.bn_scale_add_relu_backward_s(dy, x, y, gamma, beta, mean, var, eps)
    return gamma * dgammas, dgammas, dbetas


@bug("bn_scale_add_relu_backward_s", "mask missing")
def gates_without_mask(dy, x, y, gamma, beta, mean, var, eps=1e-5):
    """The sums over each map contain all of dy instead of dy where y > 0."""
    return book.bn_scale_add_relu_backward_s(dy, x, y * y + 1, gamma, beta, mean, var, eps)


@bug("bn_scale_add_relu_backward", "path missing")
def join_forgets_the_squeeze(dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps=1e-5):
    """dz is not added, although u reaches the output through the squeeze too."""
    return book.bn_scale_add_relu_backward(dy, x, y, s, 0 * dz, dgammas, dbetas, means, gamma, mean, var, eps)


@bug("bn_scale_add_relu_backward", "averaged", "factor")
def join_forgets_the_area(dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps=1e-5):
    """dz is added to every pixel without the division by H*W."""
    dz = dz * (x.shape[1] * x.shape[2])
    return book.bn_scale_add_relu_backward(dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps)


@bug("bn_scale_add_relu_backward", "path missing")
def join_forgets_the_gates_in_dgamma(dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps=1e-5):
    """dgamma and dbeta sum the gradient without the factor of the gates."""
    one = s - s + 1
    _, dgamma, dbeta, _ = book.bn_scale_add_relu_backward(
        dy, x, y, one, dz, dgammas, dbetas, means, gamma, mean, var, eps)
    dx, _, _, dr = book.bn_scale_add_relu_backward(dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps)
    return dx, dgamma, dbeta, dr


@bug("bn_scale_add_relu_backward", "constant statistics")
def join_takes_the_statistics_for_constants(
        dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps=1e-5):
    """dx is the gradient of a batch norm in inference."""
    _, dgamma, dbeta, dr = book.bn_scale_add_relu_backward(
        dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps)
    du = book.add_squeeze_backward(book.scale(dr, s), dz)
    return du * gamma / np.sqrt(var + eps), dgamma, dbeta, dr


@bug("bn_scale_add_relu_backward", "mask missing")
def join_does_not_mask_the_shortcut(dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps=1e-5):
    """The shortcut receives dy without the mask, also where the ReLU was off."""
    gradients = book.bn_scale_add_relu_backward(dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps)
    return *gradients[:3], dy.copy()


@bugs_of("path missing")
def block_drops_the_shortcut():
    """The gradient of the convolution overwrites the shortcut's in the block's input."""
    return block_with(conv2d_backward_x_add=lambda dy, w, dx, *strided:
                      book.conv2d_backward_x(dy, w, dx.shape, *strided))


@bugs_of("path twice")
def block_adds_the_shortcut_twice():
    """The shortcut's gradient is added at the join and again at the block's input."""
    return block_with(conv2d_backward_x_add=lambda dy, w, dx, *strided:
                      book.conv2d_backward_x_add(dy, w, dx + dx, *strided))


@bugs_of("path missing")
def block_detaches_the_squeeze():
    """The gradient through the squeeze is not added to that of the branch; the block still trains, but worse."""
    return block_with(add_squeeze_backward=lambda du, dz: du)


@bugs_of("mask missing")
def block_masks_the_branch_alone():
    """The ReLU's mask is applied after the split, to the branch only: the shortcut receives dy without the mask."""
    return block_with(scale_add_relu_backward=lambda dy, u, s, y:
                      (*book.scale_add_relu_backward(dy, u, s, y)[:2], dy))


@bugs_of("path twice", "factor")
def block_routes_the_shortcut_through_the_gates():
    """The shortcut's gradient is multiplied by the gates, as if the block had scaled the sum."""
    return block_with(scale_add_relu_backward=join_scales_the_shortcut_too)


@bugs_of("changed in place", "factor")
def block_scales_in_place():
    """The branch is scaled in place in the forward pass, so the gates' gradient is computed from s * u instead of u."""
    return block_with(scale_add_relu_backward=lambda dy, u, s, y:
                      book.scale_add_relu_backward(dy, book.scale(u, s), s, y))


@bugs_of("constant statistics")
def block_normalizes_as_in_inference():
    """The batch norm in the block runs forward in training mode, but backward in inference mode."""
    return block_with(batch_norm_backward=book.batch_norm_inference_backward)
