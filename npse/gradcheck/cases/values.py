"""Cases for the ops without a gradient of their own: their values are compared between editions."""

import numpy as np

from npse.gradcheck.cases.case import Case, distinct, signed


def _sgd(label, *shape, **options):
    return Case(
        ("sgd",), label,
        make=lambda rng: {name: distinct(rng, *shape) for name in ("w", "dw", "v")},
        forward=lambda ops, w, dw, v: ops.sgd(w, dw, v, 0.1, **options))


def _muon(label, *shape, **options):
    return Case(
        ("muon",), label,
        make=lambda rng: {name: signed(rng, *shape) for name in ("w", "dw", "v")},
        forward=lambda ops, w, dw, v: ops.muon(w, dw, v, 0.1, **options))


def _orthogonalize(label, *shape):
    return Case(("orthogonalize",), label, make=lambda rng: {"u": signed(rng, *shape)},
                forward=lambda ops, u: ops.orthogonalize(u))


def _running_statistics(label, C, count, *momentum):
    return Case(
        ("running_statistics",), label,
        make=lambda rng: {"mean": signed(rng, C), "var": rng.uniform(0.5, 2, C),
                          "running_mean": signed(rng, C), "running_var": rng.uniform(0.5, 2, C)},
        forward=lambda ops, mean, var, running_mean, running_var:
            ops.running_statistics(mean, var, count, running_mean, running_var, *momentum))


def _images(rng, N, H, W, C):
    return {"images": rng.integers(256, size=(N, H, W, C), dtype=np.uint8),
            "mean": rng.uniform(0.3, 0.6, C), "std": rng.uniform(0.1, 0.3, C)}


def _normalize(label, *shape):
    return Case(("normalize",), label, make=lambda rng: _images(rng, *shape),
                forward=lambda ops, images, mean, std: ops.normalize(images, mean, std))


def _augment(label, *shape, padding=4):
    N = shape[0]

    def make(rng):
        return _images(rng, *shape) | {"top": rng.integers(2 * padding + 1, size=N),
                                       "left": rng.integers(2 * padding + 1, size=N),
                                       "flip": rng.integers(2, size=N).astype(bool)}

    return Case(("augment",), label, make,
                forward=lambda ops, images, top, left, flip, mean, std:
                    ops.augment(images, top, left, flip, mean, std, padding))


def _add_squeeze_backward(label, N, H, W, C):
    return Case(("add_squeeze_backward",), label,
                make=lambda rng: {"du": signed(rng, N, H, W, C), "dz": signed(rng, N, C)},
                forward=lambda ops, du, dz: ops.add_squeeze_backward(du, dz))


CASES = (
    _sgd("Nesterov, weight decay", 3, 4, weight_decay=0.05),
    _sgd("plain momentum", 2, 3, 2, 3, momentum=0.8, nesterov=False),
    _sgd("no momentum", 5, momentum=0.0),
    _muon("filters", 2, 3, 2, 3),
    _muon("fewer rows than columns", 2, 5, momentum=0.5),
    _muon("one column", 4, 1, momentum=0.0),
    _orthogonalize("R > K", 2, 4, 3),
    _orthogonalize("R < K", 2, 6),
    _running_statistics("momentum left out", 3, 24),
    _running_statistics("count 2, momentum 0.3", 2, 2, 0.3),
    _normalize("H < W", 2, 3, 5, 3),
    _add_squeeze_backward("H < W", 2, 3, 4, 5),
    _add_squeeze_backward("1x1 maps, N = 1", 1, 1, 1, 3),
    _augment("padding 4", 6, 8, 9, 3),
    _augment("padding 1, N = 1", 1, 5, 3, 2, padding=1),
    _augment("padding 3 of a map of 4", 5, 4, 6, 1, padding=3),
    _augment("no padding", 2, 3, 4, 3, padding=0),
)
