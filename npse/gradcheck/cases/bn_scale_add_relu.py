"""Cases for fused ops: convolution with what follows it, and the end of an SE block."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.random import Generator

from npse.gradcheck.cases.case import Case, distinct, signed
from npse.types import Arguments, Array, Ops, Shape


def bn_scale_add_relu_case(label: str, shape: Shape, M: int,
                           wrt: tuple[str, ...] = ("x", "gamma", "beta", "w1", "w2", "r"), eps: float = 1e-5) -> Case:
    """The whole end of a block as a network runs it, so that dx is checked through statistics, squeeze and gates."""
    N, _, _, C = shape

    def make(rng: Generator) -> Arguments:
        return {"x": distinct(rng, *shape) + signed(rng, N, 1, 1, C), "gamma": signed(rng, C), "beta": signed(rng, C),
                "w1": signed(rng, M, C) / C, "w2": signed(rng, C, M) / M, "r": 2 * distinct(rng, *shape)}

    def inner(ops: Ops, x: Array, gamma: Array, beta: Array, w1: Array, w2: Array) -> tuple[Array, ...]:
        mean, var, means = ops.moments(x)
        z = ops.batch_norm_inference(means[:, None, None], gamma, beta, mean, var, eps)[:, 0, 0]
        return mean, var, means, z, ops.excite(z, w1, w2)

    def forward(ops: Ops, x: Array, gamma: Array, beta: Array, w1: Array, w2: Array, r: Array) -> Array:
        mean, var, _, _, s = inner(ops, x, gamma, beta, w1, w2)
        return ops.bn_scale_add_relu(x, gamma, beta, mean, var, s, r, eps)

    def backward(ops: Ops, dy: Array, x: Array, gamma: Array, beta: Array, w1: Array, w2: Array,
                 r: Array) -> tuple[Array, ...]:
        mean, var, means, z, s = inner(ops, x, gamma, beta, w1, w2)
        y = ops.bn_scale_add_relu(x, gamma, beta, mean, var, s, r, eps)
        ds, dgammas, dbetas = ops.bn_scale_add_relu_backward_s(dy, x, y, gamma, beta, mean, var, eps)
        dz, dw1, dw2, _, _ = ops.excite_backward(ds, z, s, w1, w2)
        dx, dgamma, dbeta, dr = ops.bn_scale_add_relu_backward(
            dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps)
        return dx, dgamma, dbeta, dw1, dw2, dr

    def kinks(x: Array, gamma: Array, beta: Array, w1: Array, w2: Array, r: Array) -> list[Array]:
        u = gamma * (x - x.mean(axis=(0, 1, 2))) / np.sqrt(x.var(axis=(0, 1, 2)) + eps) + beta
        hidden = u.mean(axis=(1, 2)) @ w1.T
        s = 1 / (1 + np.exp(-np.maximum(hidden, 0) @ w2.T))
        return [hidden, s[:, None, None] * u + r]

    ops = "bn_scale_add_relu", "bn_scale_add_relu_backward_s", "bn_scale_add_relu_backward"
    return Case(ops, label, make, forward, backward, wrt, kinks if wrt else None)


def moments_case(label: str, part: int, *shape: int) -> Case:
    """A case for `moments`."""
    return Case(("moments",), label,
                make=lambda rng: {"x": distinct(rng, *shape) + signed(rng, shape[-1])},
                forward=lambda ops, x: ops.moments(x)[part])


def batch_norm_inference_relu_case(label: str, *shape: int) -> Case:
    """A case for `batch_norm_inference_relu`."""
    C = shape[-1]
    return Case(("batch_norm_inference_relu",), label,
                make=lambda rng: {"x": distinct(rng, *shape), "gamma": signed(rng, C), "beta": signed(rng, C),
                                  "mean": signed(rng, C), "var": rng.uniform(0.5, 2, C)},
                forward=lambda ops, x, gamma, beta, mean, var:
                    ops.batch_norm_inference_relu(x, gamma, beta, mean, var))


def conv2d_batch_norm_inference_case(label: str, rectified: bool, x_shape: Shape, w_shape: Shape, stride: int = 1,
                                     padding: int = 0, wrt: tuple[str, ...] = ("x", "w", "gamma", "beta")) -> Case:
    """A case for `conv2d_batch_norm_inference`, or for the one with a ReLU."""
    name, C, how = "conv2d_batch_norm_inference" + "_relu" * rectified, w_shape[3], (stride, padding)

    def forward(ops: Ops, x: Array, w: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> Array:
        return getattr(ops, name)(x, w, gamma, beta, mean, var, *how)

    def backward(ops: Ops, dy: Array, x: Array, w: Array, gamma: Array, beta: Array, mean: Array,
                 var: Array) -> tuple[Array, ...]:
        c = ops.conv2d(x, w, *how)
        if rectified:
            dy = ops.relu_backward(dy, ops.batch_norm_inference(c, gamma, beta, mean, var))
        dc, dgamma, dbeta = ops.batch_norm_inference_backward(dy, c, gamma, mean, var)
        return ops.conv2d_backward_x(dc, w, x.shape, *how), ops.conv2d_backward_w(dc, x, w.shape, *how), dgamma, dbeta

    def kinks(x: Array, w: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> list[Array]:
        padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
        windows = sliding_window_view(padded, w.shape[:2], (1, 2))[:, ::stride, ::stride]
        c = np.einsum("nabcij,ijck->nabk", windows, w)
        return [gamma * (c - mean) / np.sqrt(var + 1e-5) + beta]

    return Case((name,), label,
                make=lambda rng: {"x": distinct(rng, *x_shape) + 0.5, "w": signed(rng, *w_shape),
                                  "gamma": signed(rng, C), "beta": signed(rng, C), "mean": signed(rng, C),
                                  "var": rng.uniform(0.5, 2, C)},
                forward=forward, backward=backward, wrt=wrt, kinks=kinks if rectified and wrt else None)


def conv2d_se_add_relu_inference_case(label: str, x_shape: Shape, w_shape: Shape, r_shape: Shape, M: int = 0,
                                      biases: bool = False, stride: int = 1, padding: int = 0) -> Case:
    """A case for `conv2d_se_add_relu_inference`: gates with a hidden layer of M units, or none if M is 0."""
    C = w_shape[3]

    def make(rng: Generator) -> Arguments:
        weights = {"w1": signed(rng, M, C) / C, "w2": signed(rng, C, M) / M} if M else {}
        more = {"b1": signed(rng, M), "b2": signed(rng, C)} if biases else {}
        return {"x": distinct(rng, *x_shape) + 0.5, "w": signed(rng, *w_shape), "gamma": signed(rng, C),
                "beta": signed(rng, C), "mean": signed(rng, C), "var": rng.uniform(0.5, 2, C),
                "r": 2 * distinct(rng, *r_shape)} | weights | more

    def forward(ops: Ops, x: Array, w: Array, gamma: Array, beta: Array, mean: Array, var: Array, r: Array,
                w1: Array | None = None, w2: Array | None = None, b1: Array | None = None,
                b2: Array | None = None) -> Array:
        return ops.conv2d_se_add_relu_inference(x, w, gamma, beta, mean, var, r, w1, w2, b1, b2, stride, padding)

    return Case(("conv2d_se_add_relu_inference",), label, make, forward)


def conv2d_moments_case(label: str, part: int, x_shape: Shape, w_shape: Shape, *strided: int) -> Case:
    """A case for `conv2d_moments`."""
    return Case(("conv2d_moments",), label,
                make=lambda rng: {"x": distinct(rng, *x_shape) + 0.5, "w": signed(rng, *w_shape)},
                forward=lambda ops, x, w: ops.conv2d_moments(x, w, *strided)[part])


def conv2d_backward_x_add_case(label: str, x_shape: Shape, w_shape: Shape, dy_shape: Shape, *strided: int) -> Case:
    """A case for `conv2d_backward_x_add`."""
    return Case(("conv2d_backward_x_add",), label,
                make=lambda rng: {"dy": distinct(rng, *dy_shape), "w": signed(rng, *w_shape),
                                  "dx": signed(rng, *x_shape)},
                forward=lambda ops, dy, w, dx: ops.conv2d_backward_x_add(dy, w, dx, *strided))


CASES = (
    bn_scale_add_relu_case("H < W", (2, 3, 4, 3), 2),
    bn_scale_add_relu_case("N = 1, H > W", (1, 4, 2, 2), 2),
    bn_scale_add_relu_case("1x1 map", (4, 1, 1, 3), 2),
    bn_scale_add_relu_case("C = 1, large eps", (3, 2, 3, 1), 2, eps=0.5),
    bn_scale_add_relu_case("wide", (4, 9, 7, 37), 5, wrt=()),
    bn_scale_add_relu_case("a vector of channels", (3, 5, 4, 32), 4, wrt=()),
    *(moments_case(f"{what}, {label}", part, *shape)
      for part, what in enumerate(("mean", "var", "means"))
      for label, shape in (("H < W", (2, 3, 4, 3)), ("one number a channel", (1, 1, 1, 3)), ("wide", (4, 9, 7, 32)))),
    batch_norm_inference_relu_case("H < W", 2, 3, 4, 3),
    *(conv2d_batch_norm_inference_case(label, rectified, *sizes)
      for rectified in (False, True)
      for label, *sizes in (("stride 2", (2, 5, 6, 3), (3, 2, 3, 4), 2, 1), ("1x1", (2, 3, 4, 2), (1, 1, 2, 3)),
                            ("3x3, wide", (18, 9, 10, 32), (3, 3, 32, 16), 1, 1, ()))),
    conv2d_se_add_relu_inference_case("stride 2", (2, 5, 6, 3), (3, 2, 3, 4), (2, 3, 4, 4), 2, False, 2, 1),
    conv2d_se_add_relu_inference_case("no gates", (2, 3, 4, 2), (1, 1, 2, 3), (2, 3, 4, 3)),
    *(conv2d_se_add_relu_inference_case(label, (18, 9, 10, 32), (3, 3, 32, 16), (18, 9, 10, 16), M, biases, 1, 1)
      for label, M, biases in (("3x3, wide", 4, False), ("3x3, wide, biases", 3, True),
                               ("3x3, wide, no gates", 0, False))),
    *(conv2d_moments_case(f"{what}, {label}", part, x_shape, w_shape, stride, padding)
      for part, what in enumerate(("y", "mean", "var", "means"))
      for label, x_shape, w_shape, stride, padding in (("stride 2", (2, 5, 6, 3), (3, 2, 3, 4), 2, 1),
                                                       ("3x3, wide", (18, 9, 10, 32), (3, 3, 32, 16), 1, 1))),
    conv2d_backward_x_add_case("stride 2", (2, 5, 6, 3), (3, 2, 3, 4), (2, 3, 4, 4), 2, 1),
    conv2d_backward_x_add_case("3x3, wide", (18, 9, 10, 32), (3, 3, 32, 16), (18, 9, 10, 16), 1, 1),
)
