"""The squeeze-and-excitation block: the two paths to u, and the sum for s."""

import numpy as np

from npse import reference as book
from npse.zoo.bug import bug, bugs_of


def two_paths(dy, u, w1, w2, b1, b2):
    """Return the gradient of u on the direct path, that through the squeeze, and the other gradients of `se`."""
    du, *rest = book.se_backward(dy, u, w1, w2, b1, b2)
    direct = dy * book.excite(book.squeeze(u), w1, w2, b1, b2)[:, None, None, :]
    return direct, du - direct, rest


def area(u):
    return u.shape[1] * u.shape[2]


def excite_with(mask, ds, z, s, w1, w2, b1):
    """Return the gradients of `excite` with another mask, a function of the input of the ReLU."""
    _, _, dw2, _, db2 = book.excite_backward(ds, z, s, w1, w2, b1)
    da1 = (ds * s * (1 - s) @ w2 * mask(book.dense(z, w1, b1))).astype(z.dtype)
    return da1 @ w1, da1.T @ z, dw2, da1.sum(axis=0), db2


@bug("scale_backward", "averaged", "factor")
def scale_averages_ds(dy, u, s):
    """ds is the mean over the map of dy * u instead of the sum."""
    du, ds = book.scale_backward(dy, u, s)
    return du, ds / area(u)


@bug("scale_backward", "averaged", "factor")
def scale_averages_over_rows(dy, u, s):
    """ds is a sum over the columns, but a mean over the rows."""
    du, ds = book.scale_backward(dy, u, s)
    return du, ds / u.shape[1]


@bug("scale_backward", "changed in place", "factor")
def scale_multiplies_by_y(dy, u, s):
    """ds is the sum of dy * y instead of dy * u: the output was saved instead of u."""
    du, ds = book.scale_backward(dy, u, s)
    return du, ds * s


@bug("scale_backward", "path missing")
def scale_passes_dy_unweighted(dy, u, s):
    """du = dy: the gates are forgotten in the backward pass."""
    return dy.copy(), book.scale_backward(dy, u, s)[1]


@bug("scale_backward", "averaged")
def scale_takes_the_batch_mean_of_s(dy, u, s):
    """du is multiplied by the mean of the gates over the batch, as if all images had the same gates."""
    return dy * s.mean(axis=0), book.scale_backward(dy, u, s)[1]


@bug("scale", "changed in place")
def scale_overwrites_u(u, s):
    """The maps are scaled in place, and u, which the gradient of the gates needs, is lost."""
    u *= s[:, None, None, :]
    return u


@bug("excite_backward", "mask missing")
def excite_without_mask(ds, z, s, w1, w2, b1=None):
    """The ReLU between the two layers is forgotten in the backward pass."""
    return excite_with(np.ones_like, ds, z, s, w1, w2, b1)


@bug("excite_backward", "relu at zero")
def excite_is_open_at_zero(ds, z, s, w1, w2, b1=None):
    """relu'(0) is taken as 1, but the book takes 0. No difference quotient shows it, and a block that starts with
    gamma = 0 is exactly at this point."""
    return excite_with(lambda a1: a1 >= 0, ds, z, s, w1, w2, b1)


@bug("excite_backward", "mask missing")
def excite_keeps_what_entered_the_relu(ds, z, s, w1, w2, b1=None):
    """dw2 is computed from the input of the ReLU instead of its output."""
    dz, dw1, _, db1, db2 = book.excite_backward(ds, z, s, w1, w2, b1)
    return dz, dw1, (ds * s * (1 - s)).T @ book.dense(z, w1, b1), db1, db2


@bug("excite_backward", "mask misplaced")
def excite_masks_by_the_gradient(ds, z, s, w1, w2, b1=None):
    """The mask is dh > 0, the gradient, instead of h > 0."""
    _, _, dw2, _, db2 = book.excite_backward(ds, z, s, w1, w2, b1)
    da1 = book.relu(ds * s * (1 - s) @ w2)
    return da1 @ w1, da1.T @ z, dw2, da1.sum(axis=0), db2


@bug("excite_backward", "sigmoid")
def excite_differentiates_at_the_gates(ds, z, s, w1, w2, b1=None):
    """The derivative of the sigmoid is evaluated at the gate s instead of the input of the sigmoid."""
    return book.excite_backward(ds, z, book.sigmoid(s), w1, w2, b1)


@bug("excite_backward", "sigmoid")
def excite_overwrites_s(ds, z, s, w1, w2, b1=None):
    """s is overwritten by s (1 - s) before it is used for the last time."""
    return book.excite_backward(ds, z, s * (1 - s), w1, w2, b1)


@bug("excite_backward", "sigmoid")
def excite_forgets_the_sigmoid(ds, z, s, w1, w2, b1=None):
    """The sigmoid is forgotten in the backward pass: ds goes to the second layer unchanged."""
    return book.excite_backward(ds / (s * (1 - s)), z, s, w1, w2, b1)


@bug("excite_backward", "path missing")
def excite_recomputes_h_without_b1(ds, z, s, w1, w2, b1=None):
    """The hidden layer is computed again for the backward pass, but without its bias."""
    return book.excite_backward(ds, z, s, w1, w2)


@bug("excite_backward", "averaged", "factor")
def excite_averages_the_weights(ds, z, s, w1, w2, b1=None):
    """dw1 and dw2 are divided by N."""
    dz, dw1, dw2, db1, db2 = book.excite_backward(ds, z, s, w1, w2, b1)
    return dz, dw1 / len(z), dw2 / len(z), db1, db2


@bug("excite_backward", "transposed", "shape")
def excite_transposes_dw1(ds, z, s, w1, w2, b1=None):
    """dw1 = z^T da1, stored (C, M)."""
    dz, dw1, dw2, db1, db2 = book.excite_backward(ds, z, s, w1, w2, b1)
    return dz, dw1.T.copy(), dw2, db1, db2


@bug("excite_backward", "zero")
def excite_stops_at_the_squeeze(ds, z, s, w1, w2, b1=None):
    """z is detached: the weights have gradients, but the maps have none."""
    dz, *rest = book.excite_backward(ds, z, s, w1, w2, b1)
    return 0 * dz, *rest


@bug("se_backward", "path missing")
def se_takes_the_direct_path_alone(dy, u, w1, w2, b1=None, b2=None):
    """du = dy * s: the second path, through the squeeze, is forgotten. The gradients of the weights do not show it."""
    direct, _, rest = two_paths(dy, u, w1, w2, b1, b2)
    return direct, *rest


@bug("se_backward_staged", "path missing")
def se_staged_forgets_the_second_use(dy, u, w1, w2, b1=None, b2=None):
    """The last stage, where u is used for the second time, is forgotten."""
    return se_takes_the_direct_path_alone(dy, u, w1, w2, b1, b2)


@bug("se_backward", "path missing")
def se_takes_the_squeeze_path_alone(dy, u, w1, w2, b1=None, b2=None):
    """The gradient of the direct path is overwritten by the one through the squeeze."""
    _, squeezed, rest = two_paths(dy, u, w1, w2, b1, b2)
    return squeezed, *rest


@bug("se_backward", "averaged", "factor")
def se_forgets_the_area(dy, u, w1, w2, b1=None, b2=None):
    """dz is added to every pixel without the division by H*W."""
    direct, squeezed, rest = two_paths(dy, u, w1, w2, b1, b2)
    return direct + squeezed * area(u), *rest


@bug("se_backward", "averaged", "factor")
def se_divides_by_the_area_twice(dy, u, w1, w2, b1=None, b2=None):
    """The gradient through the squeeze is divided by H*W in the squeeze, and again when it is added."""
    direct, squeezed, rest = two_paths(dy, u, w1, w2, b1, b2)
    return direct + squeezed / area(u), *rest


@bug("se_backward", "averaged", "factor")
def se_averages_the_gates_gradient(dy, u, w1, w2, b1=None, b2=None):
    """ds is averaged over the map: the gradients of the weights and through the squeeze are H*W times too small."""
    direct, squeezed, rest = two_paths(dy, u, w1, w2, b1, b2)
    return direct + squeezed / area(u), *(gradient / area(u) for gradient in rest)


@bug("se_backward", "path twice")
def se_adds_the_squeeze_path_twice(dy, u, w1, w2, b1=None, b2=None):
    """The gradient through the squeeze is added twice: by the squeeze and by the block."""
    direct, squeezed, rest = two_paths(dy, u, w1, w2, b1, b2)
    return direct + 2 * squeezed, *rest


@bug("se_backward", "sign")
def se_subtracts_the_squeeze_path(dy, u, w1, w2, b1=None, b2=None):
    """The gradient through the squeeze is subtracted."""
    direct, squeezed, rest = two_paths(dy, u, w1, w2, b1, b2)
    return direct - squeezed, *rest


@bug("se_backward", "path missing")
def se_passes_dy_unweighted(dy, u, w1, w2, b1=None, b2=None):
    """The direct path passes dy on without the factor of the gates."""
    _, squeezed, rest = two_paths(dy, u, w1, w2, b1, b2)
    return dy + squeezed, *rest


@bug("se_backward", "mask missing")
def se_without_mask(dy, u, w1, w2, b1=None, b2=None):
    """The ReLU in the excitation is forgotten in the backward pass."""
    z = book.squeeze(u)
    s = book.excite(z, w1, w2, b1, b2)
    du, ds = book.scale_backward(dy, u, s)
    dz, *rest = excite_without_mask(ds, z, s, w1, w2, b1)
    return book.add_squeeze_backward(du, dz), *rest


@bug("se_backward", "sigmoid")
def se_differentiates_at_the_gates(dy, u, w1, w2, b1=None, b2=None):
    """The derivative of the sigmoid is evaluated at the gate instead of the input of the sigmoid."""
    z = book.squeeze(u)
    s = book.excite(z, w1, w2, b1, b2)
    du, ds = book.scale_backward(dy, u, s)
    dz, *rest = excite_differentiates_at_the_gates(ds, z, s, w1, w2, b1)
    return book.add_squeeze_backward(du, dz), *rest


@bug("se_backward", "zero", "path missing")
def se_takes_the_gates_for_constants(dy, u, w1, w2, b1=None, b2=None):
    """The gates are detached: du is dy * s, and the gradients of the weights are zero."""
    direct, _, rest = two_paths(dy, u, w1, w2, b1, b2)
    return direct, *(0 * gradient for gradient in rest)


@bugs_of("forward")
def se_doubles_the_gates():
    """y = 2 s u, because the gates are one half at the start; the gradient fits, but this is another block."""
    def se(u, w1, w2, b1=None, b2=None):
        return 2 * book.se(u, w1, w2, b1, b2)

    def se_backward(dy, u, w1, w2, b1=None, b2=None):
        return tuple(2 * gradient for gradient in book.se_backward(dy, u, w1, w2, b1, b2))
    return se, se_backward


@bugs_of("forward")
def se_squeezes_the_sum():
    """The squeeze is a sum instead of a mean, in both passes: the gates saturate on larger maps."""
    def se(u, w1, w2, b1=None, b2=None):
        return book.se(u, w1 * area(u), w2, b1, b2)

    def se_backward(dy, u, w1, w2, b1=None, b2=None):
        du, dw1, *rest = book.se_backward(dy, u, w1 * area(u), w2, b1, b2)
        return du, dw1 * area(u), *rest
    return se, se_backward


@bug("add_squeeze_backward", "averaged", "factor")
def add_squeeze_forgets_the_area(du, dz):
    """dz is added to every pixel without the division by H*W."""
    return du + dz[:, None, None, :]


@bug("add_squeeze_backward", "changed in place")
def add_squeeze_adds_in_place(du, dz):
    """The gradient through the squeeze is added to du in place, which is the result of another op."""
    du += book.squeeze_backward(dz, du.shape)
    return du


@bug("add_squeeze_backward", "path missing")
def add_squeeze_drops_the_direct_path(du, dz):
    """The gradient through the squeeze overwrites the direct one."""
    return book.squeeze_backward(dz, du.shape)
