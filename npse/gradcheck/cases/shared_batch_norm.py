"""Cases for batch norm of a batch in parts: the parts play the processes, and every sum over processes is made here."""

import numpy as np
from numpy.random import Generator

from npse.gradcheck.cases.case import Case, distinct, signed
from npse.types import Arguments, Array, Ops, Shape

WRT = ("x", "gamma", "beta")


def shared_batch_norm_case(label: str, shape: Shape, first: int, eps: float = 1e-5, relu: bool = False,
                           wrt: tuple[str, ...] = WRT) -> Case:
    """A backward pass over two parts, the first of ``first`` images, is that of batch norm over the whole batch.

    With ``relu``, a ReLU follows.
    """
    name = "shared_batch_norm_relu" if relu else "shared_batch_norm"

    def parts(array: Array) -> tuple[Array, Array]:
        return array[:first], array[first:]

    def merged(ops: Ops, x: Array) -> tuple[Array, Array]:
        found = [ops.moments(part) for part in parts(x)]
        means, variances = (np.stack([part[k] for part in found]) for k in (0, 1))
        return ops.merged_moments(means, variances, np.array([part[..., 0].size for part in parts(x)]))

    def forward(ops: Ops, x: Array, gamma: Array, beta: Array) -> Array:
        return (ops.batch_norm_relu if relu else ops.batch_norm)(x, gamma, beta, eps)[0]

    def backward(ops: Ops, dy: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, ...]:
        mean, var = merged(ops, x)
        sums, of_input = (getattr(ops, f"{name}_backward_{which}") for which in ("sums", "x"))
        of_sums, both = ((gamma, beta), (gamma, beta)) if relu else ((), (gamma,))
        pairs = list(zip(parts(dy), parts(x), strict=True))
        found = [sums(g, part, *of_sums, mean, var, eps) for g, part in pairs]
        dgamma, dbeta = (sum(each) for each in zip(*found, strict=True))
        count = x[..., 0].size
        return (np.concatenate([of_input(g, part, *both, mean, var, dgamma, dbeta, count, eps) for g, part in pairs]),
                dgamma, dbeta)

    def before_relu(x: Array, gamma: Array, beta: Array) -> list[Array]:
        centred = x - x.mean(axis=(0, 1, 2))
        return [gamma * centred / np.sqrt((centred**2).mean(axis=(0, 1, 2)) + eps) + beta]

    return Case((f"{name}_backward_x", f"{name}_backward_sums", "merged_moments"), label,
                make=lambda rng: _arguments(rng, shape), forward=forward, backward=backward, wrt=wrt,
                kinks=before_relu if relu and wrt else None)


def merged_moments_case(label: str, part: int, parts: int, C: int) -> Case:
    """A case for `merged_moments`."""
    return Case(("merged_moments",), label,
                make=lambda rng: {"means": distinct(rng, parts, C), "variances": rng.uniform(0.5, 2, (parts, C))},
                forward=lambda ops, means, variances:
                    ops.merged_moments(means, variances, np.arange(1, parts + 1))[part])


def _arguments(rng: Generator, shape: Shape) -> Arguments:
    C = shape[-1]
    return {"x": distinct(rng, *shape) + signed(rng, C), "gamma": signed(rng, C), "beta": signed(rng, C)}


CASES = (
    *(shared_batch_norm_case(label, shape, first, eps, relu)
      for relu in (False, True)
      for label, shape, first, eps in (
          ("unequal parts, H < W", (3, 3, 4, 3), 1, 1e-5),
          ("equal parts, H > W", (2, 4, 2, 2), 1, 1e-5),
          ("1x1 map", (4, 1, 1, 3), 3, 1e-5),
          ("C = 1, large eps", (3, 2, 3, 1), 2, 0.5))),
    shared_batch_norm_case("wide", (4, 9, 7, 37), 1, wrt=()),
    shared_batch_norm_case("wide", (4, 9, 7, 37), 1, relu=True, wrt=()),
    *(merged_moments_case(f"{what}, {label}", part, parts, C)
      for part, what in enumerate(("mean", "var"))
      for label, parts, C in (("3 parts", 3, 4), ("one part", 1, 3), ("C = 1", 4, 1))),
)
