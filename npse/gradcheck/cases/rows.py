"""Cases for the end of a network: the dense layer, the softmax and the loss."""

import numpy as np
from numpy.random import Generator

from npse.gradcheck.cases.case import Case, distinct, signed
from npse.types import Arguments, Array


def dense_case(label: str, N: int, C: int, K: int, biased: bool = True) -> Case:
    """A case for `dense`."""
    wrt = ("x", "w", "b") if biased else ("x", "w")

    def make(rng: Generator) -> Arguments:
        drawn = {"x": distinct(rng, N, C), "w": signed(rng, K, C), "b": signed(rng, K)}
        return {name: drawn[name] for name in wrt}

    return Case(
        ("dense", "dense_backward"), label, make,
        forward=lambda ops, x, w, b=None: ops.dense(x, w, b),
        backward=lambda ops, dy, x, w, b=None: ops.dense_backward(dy, x, w)[:len(wrt)],
        wrt=wrt)


def _scores(rng: Generator, N: int, K: int, spread: float = 1.0, offset: float = 0.0) -> Array:
    """Scores that lie ``offset`` above zero in every second row, and as much below it in the others."""
    return spread * distinct(rng, N, K) + offset * np.where(np.arange(N) % 2, -1, 1)[:, None]


def softmax_case(label: str, N: int, K: int, offset: float = 0.0) -> Case:
    """A case for `softmax`."""
    return Case(
        ("softmax", "softmax_backward"), label,
        make=lambda rng: {"logits": _scores(rng, N, K, offset=offset)},
        forward=lambda ops, logits: ops.softmax(logits),
        backward=lambda ops, dp, logits: (ops.softmax_backward(dp, ops.softmax(logits)),),
        wrt=("logits",))


def softmax_cross_entropy_case(label: str, N: int, K: int, smoothing: float, spread: float = 1.0,
                               offset: float = 0.0) -> Case:
    """A case for `softmax_cross_entropy`."""
    return Case(
        ("softmax_cross_entropy", "softmax_cross_entropy_backward"), label,
        make=lambda rng: {"logits": _scores(rng, N, K, spread, offset), "labels": rng.integers(K, size=N)},
        forward=lambda ops, logits, labels: ops.softmax_cross_entropy(logits, labels, smoothing),
        backward=lambda ops, dloss, logits, labels: (
            ops.softmax_cross_entropy_backward(dloss, logits, labels, smoothing),),
        wrt=("logits",))


CASES = (
    dense_case("C > K", 3, 5, 2),
    dense_case("C < K, N = 1", 1, 2, 4),
    dense_case("C = K, no bias", 4, 3, 3, biased=False),
    dense_case("C = 1, K = 1", 3, 1, 1),
    softmax_case("N < K", 3, 5),
    softmax_case("N = 1", 1, 4),
    softmax_case("K = 1: the gradient vanishes", 3, 1),
    softmax_cross_entropy_case("no smoothing", 4, 3, 0.0),
    softmax_cross_entropy_case("smoothing 0.1", 3, 5, 0.1),
    softmax_cross_entropy_case("N = 1, smoothing 0.3", 1, 4, 0.3),
    softmax_cross_entropy_case("large scores", 4, 6, 0.1, spread=10.0),
    *(case for what, offset in (("float32", 100.0), ("float64", 800.0)) for case in (
        softmax_case(f"exp of the scores overflows in {what}", 3, 4, offset),
        softmax_cross_entropy_case(f"exp of the scores overflows in {what}", 4, 3, 0.1, offset=offset))),
    dense_case("N = 259", 259, 2, 1),                            # more than a chunk of 256 rows, and a remainder
    softmax_case("N = 259", 259, 2),
    softmax_cross_entropy_case("N = 259", 259, 2, 0.1),
)
