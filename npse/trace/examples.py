"""Arguments for the ops of the book on maps of 8 x 8 pixels: what `npse trace` shows the kernels of an op with."""

import inspect

import numpy as np

from npse import reference as book

N, SIDE, C, K = 1, 8, 2, 2               # an image, two channels; two filters, hidden units
MAP, FILTERS, POOLED, ROWS = (N, SIDE, SIDE, C), (3, 3, C, K), (N, SIDE // 2, SIDE // 2, C), (SIDE, SIDE)

SHAPES = {
    **dict.fromkeys(("u", "x", "y", "dy", "f", "r", "du", "dx"), MAP),
    **dict.fromkeys(("z", "s", "dz", "ds", "means", "dgammas", "dbetas"), (N, C)),
    **dict.fromkeys(("gamma", "beta", "mean", "var", "running_mean", "running_var", "std"), (C,)),
    **dict.fromkeys(("w", "dw", "v"), FILTERS),
    **dict.fromkeys(("logits", "p", "dp"), ROWS),
    "w1": (K, C), "w2": (C, K),
}
VALUES = {"u_shape": MAP, "x_shape": MAP, "w_shape": FILTERS, "size": 2, "count": N * SIDE * SIDE, "lr": 0.1,
          "labels": np.arange(SIDE), "dloss": np.float32(1), "top": np.zeros(N, int), "left": np.zeros(N, int),
          "flip": np.ones(N, bool), "images": np.arange(np.prod(MAP), dtype=np.uint8).reshape(MAP)}
SPECIAL = {"dense": {"x": ROWS, "w": (4, SIDE)}, "dense_backward": {"x": ROWS, "w": (4, SIDE), "dy": (SIDE, 4)},
           "average_pool_backward": {"dy": POOLED}, "max_pool_backward": {"dy": POOLED}}
OPTIONS = {op: {"padding": 1} for op in book.OPS if op.startswith("conv2d")}


def example(op):
    """Arguments of an op by their names: arrays of float32, the same each time; ValueError for an unknown op."""
    if op not in book.OPS:
        raise ValueError(f"unknown op {op!r}; known are: {', '.join(book.OPS)}")
    rng, shapes = np.random.default_rng(0), SHAPES | SPECIAL.get(op, {})
    needed = [name for name, parameter in inspect.signature(getattr(book, op)).parameters.items()
              if parameter.default is parameter.empty]
    return OPTIONS.get(op, {}) | {name: VALUES[name] if name in VALUES else
                                  rng.uniform(0.5, 1.5, shapes[name]).astype(np.float32) for name in needed}
