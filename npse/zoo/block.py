"""The backward pass of a whole SE block as another op, so that mistakes between the ops can be planted too.

    y = relu(s * b + x)      b = batch_norm(conv2d(x, w))      s = excite(squeeze(b))
"""

from npse import reference


def forward(ops, x, w, gamma, beta, w1, w2):
    """Return all arrays of the forward pass: u, mean, var, b, z, s, y."""
    u = ops.conv2d(x, w, 1, w.shape[0] // 2)
    b, mean, var = ops.batch_norm(u, gamma, beta)
    z = ops.squeeze(b)
    s = ops.excite(z, w1, w2)
    return u, mean, var, b, z, s, ops.scale_add_relu(b, s, x)


def backward(ops, dy, x, w, gamma, beta, w1, w2):
    """Return the gradients of `forward`: dx, dw, dgamma, dbeta, dw1, dw2."""
    u, mean, var, b, z, s, y = forward(ops, x, w, gamma, beta, w1, w2)
    direct, ds, shortcut = ops.scale_add_relu_backward(dy, b, s, y)
    dz, dw1, dw2, _, _ = ops.excite_backward(ds, z, s, w1, w2)
    db = ops.add_squeeze_backward(direct, dz)
    du, dgamma, dbeta = ops.batch_norm_backward(db, u, gamma, mean, var)
    dw = ops.conv2d_backward_w(du, x, w.shape, 1, w.shape[0] // 2)
    return ops.conv2d_backward_x_add(du, w, shortcut, 1, w.shape[0] // 2), dw, dgamma, dbeta, dw1, dw2


def se_block_backward(dy, x, w, gamma, beta, w1, w2):
    """Run `backward` on the book: x (N, H, W, C), w (k, k, C, C), gamma, beta (C,), w1 (M, C), w2 (C, M)."""
    return backward(reference, dy, x, w, gamma, beta, w1, w2)
