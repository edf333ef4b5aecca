"""Cases for ops without a gradient: their values are compared between editions."""

import numpy as np
from numpy.random import Generator

from npse.gradcheck.cases.case import Case, distinct, signed
from npse.types import Arguments


def sgd_case(label: str, *shape: int, **options: float) -> Case:
    """A case for `sgd`."""
    return Case(
        ("sgd",), label,
        make=lambda rng: {name: distinct(rng, *shape) for name in ("w", "dw", "v")},
        forward=lambda ops, w, dw, v: ops.sgd(w, dw, v, 0.1, **options))


def muon_case(label: str, *shape: int, **options: float) -> Case:
    """A case for `muon`."""
    return Case(
        ("muon",), label,
        make=lambda rng: {name: signed(rng, *shape) for name in ("w", "dw", "v")},
        forward=lambda ops, w, dw, v: ops.muon(w, dw, v, 0.1, **options))


def orthogonalize_case(label: str, *shape: int) -> Case:
    """A case for `orthogonalize`."""
    return Case(("orthogonalize",), label, make=lambda rng: {"u": signed(rng, *shape)},
                forward=lambda ops, u: ops.orthogonalize(u))


def running_statistics_case(label: str, C: int, count: int, *momentum: float) -> Case:
    """A case for `running_statistics`."""
    return Case(
        ("running_statistics",), label,
        make=lambda rng: {"mean": signed(rng, C), "var": rng.uniform(0.5, 2, C),
                          "running_mean": signed(rng, C), "running_var": rng.uniform(0.5, 2, C)},
        forward=lambda ops, mean, var, running_mean, running_var:
            ops.running_statistics(mean, var, count, running_mean, running_var, *momentum))


def _images(rng: Generator, N: int, H: int, W: int, C: int) -> Arguments:
    return {"images": rng.integers(256, size=(N, H, W, C), dtype=np.uint8),
            "mean": rng.uniform(0.3, 0.6, C), "std": rng.uniform(0.1, 0.3, C)}


def normalize_case(label: str, *shape: int) -> Case:
    """A case for `normalize`."""
    return Case(("normalize",), label, make=lambda rng: _images(rng, *shape),
                forward=lambda ops, images, mean, std: ops.normalize(images, mean, std))


def augment_case(label: str, *shape: int, padding: int = 4) -> Case:
    """A case for `augment`."""
    N = shape[0]

    def make(rng: Generator) -> Arguments:
        return _images(rng, *shape) | {"top": rng.integers(2 * padding + 1, size=N),
                                       "left": rng.integers(2 * padding + 1, size=N),
                                       "flip": rng.integers(2, size=N).astype(bool)}

    return Case(("augment",), label, make,
                forward=lambda ops, images, top, left, flip, mean, std:
                    ops.augment(images, top, left, flip, mean, std, padding))


def jitter_case(label: str, *shape: int) -> Case:
    """A case for `jitter`."""
    return Case(("jitter",), label,
                make=lambda rng: {"x": signed(rng, *shape), "contrast": rng.uniform(0.5, 2, shape[0]),
                                  "brightness": signed(rng, shape[0])},
                forward=lambda ops, x, contrast, brightness: ops.jitter(x, contrast, brightness))


def lookahead_case(label: str, *shape: int, share: float) -> Case:
    """A case for `lookahead`."""
    return Case(("lookahead",), label, make=lambda rng: {name: distinct(rng, *shape) for name in ("w", "slow")},
                forward=lambda ops, w, slow: ops.lookahead(w, slow, share))


def whitening_case(label: str, *shape: int, kernel: int = 2, directions: int | None = None) -> Case:
    """A case for `whitening_filters`."""
    return Case(("whitening_filters",), label, make=lambda rng: {"x": signed(rng, *shape)},
                forward=lambda ops, x: ops.whitening_filters(x, kernel, directions=directions))


def add_squeeze_backward_case(label: str, N: int, H: int, W: int, C: int) -> Case:
    """A case for `add_squeeze_backward`."""
    return Case(("add_squeeze_backward",), label,
                make=lambda rng: {"du": signed(rng, N, H, W, C), "dz": signed(rng, N, C)},
                forward=lambda ops, du, dz: ops.add_squeeze_backward(du, dz))


CASES = (
    whitening_case("H < W", 3, 4, 6, 2),
    whitening_case("3x3 patches of one channel", 4, 5, 5, 1, kernel=3),
    whitening_case("as large as the image", 40, 2, 2, 3),
    whitening_case("four of eight directions", 3, 5, 4, 2, directions=4),
    sgd_case("Nesterov, weight decay", 3, 4, weight_decay=0.05),
    sgd_case("plain momentum", 2, 3, 2, 3, momentum=0.8, nesterov=False),
    sgd_case("no momentum", 5, momentum=0.0),
    muon_case("filters", 2, 3, 2, 3),
    muon_case("fewer rows than columns", 2, 5, momentum=0.5),
    muon_case("one column", 4, 1, momentum=0.0),
    orthogonalize_case("R > K", 2, 4, 3),
    orthogonalize_case("R < K", 2, 6),
    running_statistics_case("momentum left out", 3, 24),
    running_statistics_case("count 2, momentum 0.3", 2, 2, 0.3),
    normalize_case("H < W", 2, 3, 5, 3),
    add_squeeze_backward_case("H < W", 2, 3, 4, 5),
    add_squeeze_backward_case("1x1 maps, N = 1", 1, 1, 1, 3),
    augment_case("padding 4", 6, 8, 9, 3),
    augment_case("padding 1, N = 1", 1, 5, 3, 2, padding=1),
    augment_case("padding 3 of a map of 4", 5, 4, 6, 1, padding=3),
    augment_case("no padding", 2, 3, 4, 3, padding=0),
    jitter_case("H < W", 3, 2, 5, 4),
    jitter_case("1x1 maps, N = 1", 1, 1, 1, 3),
    lookahead_case("filters", 2, 3, 2, 3, share=0.3),
    lookahead_case("whole way", 5, share=1.0),
)
