"""The two halves of a residual block, each a few layers in fewer ops than they have alone.

A convolution that a batch norm follows sums its output while it is in cache, so no pass over memory is spent on
statistics; and the end of a block, with gates or without, is one op, `bn_scale_add_relu`.
"""

from npse.layers.layer import Layer, active, constant, prefixed


class FirstHalf(Layer):
    """h = relu(batch_norm(conv2d(x))).

    ``backward(dh, dx)`` adds dx, the gradient by which x reaches the loss past the branch, if there is one.
    """

    def __init__(self, conv, norm):
        super().__init__(parts={"conv1": conv, "bn1": norm})

    def __call__(self, x):
        conv, norm = self.parts.values()
        if norm.training:
            (c, mean, var, _), conv_backward = conv.with_moments(x)
            h, norm_backward = norm.with_moments(c, mean, var)
        else:
            c, conv_backward = conv(x)
            h, norm_backward = norm(c)

        def backward(dh, dx=None):
            dc, norm_gradients = norm_backward(dh)
            dx, conv_gradients = conv_backward(dc, dx)
            return dx, prefixed("conv1", conv_gradients) | prefixed("bn1", norm_gradients)
        return h, backward


class SecondHalf(Layer):
    """y = relu(se(batch_norm(conv2d(h))) + r), r being the shortcut; dh, dr, gradients = backward(dy).

    Without ``se`` it is the same op with gates of one, so that both kinds of networks pass over their maps as often.
    """

    def __init__(self, conv, norm, se=None):
        super().__init__(parts={"conv2": conv, "bn2": norm} | ({"se": se} if se else {}))
        self.conv, self.norm, self.se = conv, norm, se

    def __call__(self, h, r):
        ops = active()
        conv, norm = self.conv, self.norm
        gamma, beta, eps = norm.parameters["weight"], norm.parameters["bias"], norm.eps
        (c, mean, var, means), conv_backward = conv.with_moments(h)
        if norm.training:
            norm.remember(ops, c, mean, var)
        else:
            mean, var = norm.buffers["running_mean"], norm.buffers["running_var"]
        s, excite_backward = self._gates(ops, means, gamma, beta, mean, var, eps)
        y = ops.bn_scale_add_relu(c, gamma, beta, mean, var, s, r, eps)

        def through_statistics(dy):
            ds, dgammas, dbetas = ops.bn_scale_add_relu_backward_s(dy, c, y, gamma, beta, mean, var, eps)
            dz, se_gradients = excite_backward(ds)
            sums = dgammas, dbetas, means
            return *ops.bn_scale_add_relu_backward(dy, c, y, s, dz, *sums, gamma, mean, var, eps), se_gradients

        def past_constants(dy):
            u = ops.batch_norm_inference(c, gamma, beta, mean, var, eps)
            du, ds, dr = ops.scale_add_relu_backward(dy, u, s, y)
            dz, se_gradients = excite_backward(ds)
            du = ops.add_squeeze_backward(du, dz)
            return *ops.batch_norm_inference_backward(du, c, gamma, mean, var, eps), dr, se_gradients

        join_backward = through_statistics if norm.training else past_constants

        def backward(dy):
            dc, dgamma, dbeta, dr, se_gradients = join_backward(dy)
            dh, conv_gradients = conv_backward(dc)
            return dh, dr, (prefixed("conv2", conv_gradients) | {"bn2.weight": dgamma, "bn2.bias": dbeta}
                            | prefixed("se", se_gradients))
        return y, backward

    def _gates(self, ops, means, gamma, beta, mean, var, eps):
        """Return ``s, backward``: the gates (N, C), and dz, gradients = backward(ds)."""
        if self.se is None:
            ones, zeros = (constant(value, means.shape, means.dtype) for value in (1, 0))
            return ones, lambda ds: (zeros, {})
        # batch norm is affine, so the squeeze of its output is batch norm of the squeezed input
        N, C = means.shape
        z = ops.batch_norm_inference(means.reshape(N, 1, 1, C), gamma, beta, mean, var, eps).reshape(N, C)
        return self.se.excite(z)
