"""Cases for batch normalization, in training and in inference, alone and with the ReLU that follows it."""

import numpy as np
from numpy.random import Generator

from npse.gradcheck.cases.case import Case, distinct, signed
from npse.types import Arguments, Array, Ops, Shape

WRT = ("x", "gamma", "beta")


def batch_norm_case(label: str, shape: Shape, eps: float = 1e-5, wrt: tuple[str, ...] = WRT,
                    backward_op: str = "batch_norm_backward") -> Case:
    """A case for `batch_norm`."""
    def backward(ops: Ops, dy: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, ...]:
        _, mean, var = ops.batch_norm(x, gamma, beta, eps)
        return getattr(ops, backward_op)(dy, x, gamma, mean, var, eps)

    return Case(
        ("batch_norm", backward_op) if backward_op == "batch_norm_backward" else (backward_op,), label,
        make=lambda rng: _arguments(rng, shape),
        forward=lambda ops, x, gamma, beta: ops.batch_norm(x, gamma, beta, eps)[0],
        backward=backward, wrt=wrt)


def batch_norm_relu_case(label: str, shape: Shape, eps: float = 1e-5, wrt: tuple[str, ...] = WRT) -> Case:
    """A case for `batch_norm_relu`."""
    def backward(ops: Ops, dy: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, ...]:
        _, mean, var = ops.batch_norm_relu(x, gamma, beta, eps)
        return ops.batch_norm_relu_backward(dy, x, gamma, beta, mean, var, eps)

    def before_relu(x: Array, gamma: Array, beta: Array) -> list[Array]:
        centred = x - x.mean(axis=(0, 1, 2))
        return [gamma * centred / np.sqrt((centred**2).mean(axis=(0, 1, 2)) + eps) + beta]

    return Case(
        ("batch_norm_relu", "batch_norm_relu_backward"), label,
        make=lambda rng: _arguments(rng, shape),
        forward=lambda ops, x, gamma, beta: ops.batch_norm_relu(x, gamma, beta, eps)[0],
        backward=backward, wrt=wrt, kinks=before_relu if wrt else None)


def batch_norm_inference_case(label: str, shape: Shape, eps: float = 1e-5, wrt: tuple[str, ...] = WRT) -> Case:
    """A case for `batch_norm_inference`."""
    C = shape[-1]
    return Case(
        ("batch_norm_inference", "batch_norm_inference_backward"), label,
        make=lambda rng: _arguments(rng, shape) | {"running_mean": signed(rng, C),
                                                   "running_var": rng.uniform(0.5, 2, C)},
        forward=lambda ops, x, gamma, beta, running_mean, running_var:
            ops.batch_norm_inference(x, gamma, beta, running_mean, running_var, eps),
        backward=lambda ops, dy, x, gamma, beta, running_mean, running_var:
            ops.batch_norm_inference_backward(dy, x, gamma, running_mean, running_var, eps),
        wrt=wrt)


def _arguments(rng: Generator, shape: Shape) -> Arguments:
    C = shape[-1]
    return {"x": distinct(rng, *shape) + signed(rng, C), "gamma": signed(rng, C), "beta": signed(rng, C)}


CASES = (
    *(batch_norm_case(label, shape, eps, backward_op=backward_op)
      for backward_op in ("batch_norm_backward", "batch_norm_backward_staged")
      for label, shape, eps in (
          ("H < W", (2, 3, 4, 3), 1e-5),
          ("N = 1, H > W", (1, 4, 2, 2), 1e-5),
          ("1x1 map", (4, 1, 1, 3), 1e-5),
          ("one number a channel: dx and dgamma vanish", (1, 1, 1, 3), 1e-5),
          ("C = 1, large eps", (2, 2, 3, 1), 0.5))),
    batch_norm_relu_case("H < W", (2, 3, 4, 3)),
    batch_norm_relu_case("N = 1, H > W", (1, 4, 2, 2)),
    batch_norm_relu_case("1x1 map", (4, 1, 1, 3)),
    batch_norm_relu_case("C = 1, large eps", (2, 2, 3, 1), 0.5),
    batch_norm_inference_case("H < W", (2, 3, 4, 3)),
    batch_norm_inference_case("one number a channel", (1, 1, 1, 3)),
    batch_norm_inference_case("C = 1, large eps", (2, 2, 3, 1), 0.5),
    batch_norm_case("259 numbers a channel", (1, 7, 37, 1)),
    batch_norm_case("wide", (4, 9, 7, 37), wrt=()),
    batch_norm_relu_case("wide", (4, 9, 7, 37), wrt=()),
    batch_norm_inference_case("wide", (4, 9, 7, 37), wrt=()),
)
