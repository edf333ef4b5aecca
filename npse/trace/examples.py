"""Example arguments for each op, with maps of 8 x 8 pixels. `npse trace` calls an op with them."""

import inspect

import numpy as np

from npse import reference as book
from npse.support.names import suggest

N, SIDE = 1, 8                           # one image


def example(op):
    """Return arguments for an op by their names. Arrays are float32, and their values are the same each time.

    Raise ValueError if the op is unknown.
    """
    if op not in book.OPS:
        raise ValueError(f"unknown op {op!r}; {suggest(op, book.OPS, 'npse.reference.OPS')}")
    rng, values = np.random.default_rng(0), _values(op)
    needed = [name for name, parameter in inspect.signature(getattr(book, op)).parameters.items()
              if parameter.default is parameter.empty]
    arguments = {name: values[name] if name in values else rng.uniform(0.5, 1.5, _shape(op, name)).astype(np.float32)
                 for name in needed}
    return arguments | ({"padding": 1} if op.startswith("conv2d") else {})


def _channels(op):
    return 4 if op.startswith("conv2d") else 2       # in the simulator a tile of the convolution has four channels


def _shape(op, name):
    """Return the shape of an array, by its name, or by its axes in the declaration of the op."""
    axes, sizes = getattr(book, op).contract.arguments[name].split(), {"N": N, "H": SIDE, "W": SIDE}
    by_name = _shapes(op).get(name)
    return by_name if by_name and (len(by_name) == len(axes) or "*" in axes) else tuple(sizes.get(a, 2) for a in axes)


def _shapes(op):
    C, rows = _channels(op), (SIDE, SIDE)
    special = {"dense": {"x": rows, "w": (4, SIDE)}, "dense_backward": {"x": rows, "w": (4, SIDE), "dy": (SIDE, 4)},
               "average_pool_backward": {"dy": (N, SIDE // 2, SIDE // 2, C)},
               "max_pool_backward": {"dy": (N, SIDE // 2, SIDE // 2, C)},
               "channel_conv": {"w": (3,)}, "channel_conv_backward": {"w": (3,)},
               "grouped_conv2d_backward_x": {"dy": (N, SIDE - 2, SIDE - 2, C)},
               "grouped_conv2d_backward_w": {"dy": (N, SIDE - 2, SIDE - 2, C)},
               "shake_backward": {"beta": (N,)}, "split_rows": {"z": (N, SIDE, 1, C)},
               "merged_moments": {"means": (2, C)}}
    return {
        **dict.fromkeys(("u", "x", "y", "dy", "f", "r", "du", "dx"), (N, SIDE, SIDE, C)),
        **dict.fromkeys(("z", "s", "dz", "ds", "means", "dgammas", "dbetas"), (N, C)),
        **dict.fromkeys(("gamma", "beta", "mean", "var", "running_mean", "running_var", "std"), (C,)),
        **dict.fromkeys(("w", "dw", "v", "slow"), (3, 3, C, C)),
        **dict.fromkeys(("logits", "p", "dp"), rows),
        "w1": (2, C), "w2": (C, 2),
    } | special.get(op, {})


def _values(op):
    C = _channels(op)
    images = np.arange(N * SIDE * SIDE * C, dtype=np.uint8).reshape(N, SIDE, SIDE, C)
    return {"u_shape": images.shape, "x_shape": images.shape, "w_shape": (3, 3, C, C), "size": 2, "lr": 0.1,
            "count": N * SIDE * SIDE, "labels": np.arange(SIDE), "dloss": np.float32(1), "images": images,
            "top": np.zeros(N, int), "left": np.zeros(N, int), "flip": np.ones(N, bool), "widths": (1, 1), "groups": 2,
            "height": 1, "mask": images % 2 > 0, "rate": 0.5, "share": 0.5, "counts": np.array([24, 40])}
