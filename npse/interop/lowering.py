"""Every op that a network needs at inference, as nodes of a graph: functions with the names and arguments of the ops.

The first argument of each is the graph. Batch norms stay nodes of their own; they are not folded into convolutions.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from npse.interop.graph import Batch, Graph, NotExportable, Value
from npse.reference.pool import border, divisors, pooled_size
from npse.types import Array, Shape

TABLE: dict[str, Callable[..., Any]] = {}
PIXELS = [2, 3]                                    # axes of maps (N, C, H, W)


def lowers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Enter a function as the nodes of the op of its name; a last underscore keeps a name of Python free."""
    TABLE[function.__name__.rstrip("_")] = function
    return function


# Convolutions and dense layers --------------------------------------------------------------------------------------


@lowers
def conv2d(graph: Graph, x: Value, w: Array, stride: int = 1, padding: int = 0) -> Value:
    return grouped_conv2d(graph, x, w, 1, stride, padding)


@lowers
def grouped_conv2d(graph: Graph, x: Value, w: Array, groups: int, stride: int = 1, padding: int = 0,
                   dilation: int = 1) -> Value:
    kernel = w.shape[:2]
    sizes = [(size + 2 * padding - dilation * (k - 1) - 1) // stride + 1
             for size, k in zip(x.shape[1:3], kernel, strict=True)]
    if min(sizes) < 1:
        raise ValueError(f"conv2d: filters of {kernel[0]}x{kernel[1]} do not fit maps of {x.shape[1]}x{x.shape[2]} "
                         "pixels; use larger images")
    y = graph.add("Conv", x.name, graph.array(w, filters=True), kernel_shape=list(kernel), strides=[stride] * 2,
                  pads=[padding] * 4, dilations=[dilation] * 2, group=groups)
    return Value(graph, (x.shape[0], *sizes, w.shape[3]), y)


@lowers
def conv2d_moments(graph: Graph, x: Value, w: Array, stride: int = 1, padding: int = 0) -> tuple[Any, ...]:
    y = conv2d(graph, x, w, stride, padding)
    return y, *moments(graph, y)


@lowers
def moments(graph: Graph, x: Value) -> tuple[Any, ...]:
    """Return no statistics of the batch: they depend on all images, and inference does not use them."""
    return None, None, squeeze(graph, x)


@lowers
def add_bias(graph: Graph, y: Value, b: Array) -> Value:
    conv, bias = next(node for node in reversed(graph.nodes) if y.name in node.outputs), graph.array(b)
    if conv.op == "Conv" and len(conv.inputs) == 2:                   # a convolution adds its bias itself
        return Value(graph, y.shape, graph.add("Conv", *conv.inputs, bias, **conv.attributes))
    return Value(graph, y.shape, graph.add("Add", y.name, graph.add("Unsqueeze", bias, axes=[1, 2])))


@lowers
def dense(graph: Graph, x: Value, w: Array, b: Array | None = None) -> Value:
    inputs = [x.name, graph.array(w), *([] if b is None else [graph.array(b)])]
    return Value(graph, (x.shape[0], w.shape[0]), graph.add("Gemm", *inputs, transB=1))


@lowers
def grouped_dense(graph: Graph, z: Value, w: Array, b: Array | None = None) -> Value:
    a = graph.add("Einsum", z.name, graph.array(w), equation="ngd,gmd->ngm")
    return Value(graph, (*z.shape[:2], w.shape[1]), a if b is None else graph.add("Add", a, graph.array(b)))


# Batch norm ---------------------------------------------------------------------------------------------------------


@lowers
def batch_norm_inference(graph: Graph, x: Value, gamma: Array, beta: Array, running_mean: Array,
                         running_var: Array, eps: float = 1e-5) -> Value:
    if x.mean_of is not None:                     # the mean of a batch norm: so the batch norm itself runs once
        normalized = batch_norm_inference(graph, x.mean_of, gamma, beta, running_mean, running_var, eps)
        return squeeze(graph, normalized).reshape(x.shape)
    inputs = [x.name, *map(graph.array, (gamma, beta, running_mean, running_var))]
    return Value(graph, x.shape, graph.add("BatchNormalization", *inputs, epsilon=float(eps)))


@lowers
def batch_norm_inference_relu(graph: Graph, x: Value, *rest: Any) -> Value:
    return relu(graph, batch_norm_inference(graph, x, *rest))


@lowers
def bn_scale_add_relu(graph: Graph, x: Value, gamma: Array, beta: Array, mean: Array, var: Array, s: Any, r: Value,
                      eps: float = 1e-5) -> Value:
    u = batch_norm_inference(graph, x, gamma, beta, mean, var, eps)
    return add_relu(graph, scale(graph, u, s), r)


# Elementwise --------------------------------------------------------------------------------------------------------


def _like(x: Value, name: str) -> Value:
    return Value(x.graph, x.shape, name)


def _elementwise(op: str, **attributes: Any) -> Callable[..., Value]:
    def lowered(graph: Graph, *arrays: Value) -> Value:
        return _like(arrays[0], graph.add(op, *[array.name for array in arrays], **attributes))
    return lowered


relu, sigmoid, tanh = _elementwise("Relu"), _elementwise("Sigmoid"), _elementwise("Tanh")
add, multiply, maximum = _elementwise("Add"), _elementwise("Mul"), _elementwise("Max")
TABLE |= {"relu": relu, "sigmoid": sigmoid, "tanh": tanh, "add": add, "multiply": multiply, "maximum": maximum,
          "hard_sigmoid": _elementwise("HardSigmoid", alpha=1 / 6, beta=0.5), "hard_swish": _elementwise("HardSwish"),
          "relu6": _elementwise("Clip", min=0.0, max=6.0), "softmax": _elementwise("Softmax", axis=-1)}


@lowers
def add_relu(graph: Graph, f: Value, x: Value) -> Value:
    return relu(graph, add(graph, f, x))


@lowers
def scale_add(graph: Graph, u: Value, s: Any, x: Value) -> Value:
    return add(graph, scale(graph, u, s), x)


@lowers
def scale_add_relu(graph: Graph, u: Value, s: Any, x: Value) -> Value:
    return relu(graph, scale_add(graph, u, s, x))


@lowers
def twice_sigmoid(graph: Graph, x: Value) -> Value:
    return _like(x, graph.add("Mul", sigmoid(graph, x).name, graph.scalar(2)))


@lowers
def one_plus_tanh(graph: Graph, x: Value) -> Value:
    return _like(x, graph.add("Add", tanh(graph, x).name, graph.scalar(1)))


@lowers
def silu(graph: Graph, x: Value) -> Value:
    return multiply(graph, x, sigmoid(graph, x))


@lowers
def gelu(graph: Graph, x: Value, approximate: bool = False) -> Value:
    return _like(x, graph.add("Gelu", x.name, approximate="tanh" if approximate else "none"))


@lowers
def gaussian(graph: Graph, x: Value, width: float = 2.0) -> Value:
    return _like(x, graph.add("Exp", graph.add("Mul", graph.add("Mul", x.name, x.name),
                                               graph.scalar(-1 / (2 * width**2)))))


# Squeezes: maps (N, H, W, C) to (N, C) ------------------------------------------------------------------------------


@lowers
def squeeze(graph: Graph, u: Value) -> Value:
    return Value(graph, (u.shape[0], u.shape[3]), graph.add("ReduceMean", u.name, axes=PIXELS, keepdims=0), mean_of=u)


TABLE["global_average_pool"] = squeeze


@lowers
def global_max_pool(graph: Graph, u: Value) -> Value:
    return Value(graph, (u.shape[0], u.shape[3]), graph.add("ReduceMax", u.name, axes=PIXELS, keepdims=0))


@lowers
def deviation(graph: Graph, u: Value, eps: float = 1e-5) -> Value:
    _, squares = _about_the_mean(graph, u)
    return Value(graph, (u.shape[0], u.shape[3]), graph.add("Squeeze", _root(graph, squares, eps), axes=PIXELS))


def _about_the_mean(graph: Graph, u: Value) -> tuple[str, str]:
    """Return u - m (N, C, H, W), and the unbiased variance of each map (N, C, 1, 1)."""
    centered = graph.add("Sub", u.name, graph.add("ReduceMean", u.name, axes=PIXELS, keepdims=1))
    total = graph.add("ReduceSum", graph.add("Mul", centered, centered), axes=PIXELS, keepdims=1)
    return centered, graph.add("Div", total, graph.scalar(max(u.shape[1] * u.shape[2] - 1, 1)))


def _root(graph: Graph, squares: str, eps: float) -> str:
    return str(graph.add("Sqrt", graph.add("Add", squares, graph.scalar(eps))))


@lowers
def norm_squeeze(graph: Graph, u: Value, eps: float = 1e-5) -> Value:
    squares = graph.add("ReduceSum", graph.add("Mul", u.name, u.name), axes=PIXELS, keepdims=0)
    return Value(graph, (u.shape[0], u.shape[3]), _root(graph, squares, eps))


@lowers
def weighted_squeeze(graph: Graph, u: Value, b: Array) -> Value:
    weights = graph.add("Transpose", graph.array(b), perm=[2, 0, 1])
    z = graph.add("ReduceSum", graph.add("Mul", u.name, weights), axes=PIXELS, keepdims=0)
    return Value(graph, (u.shape[0], u.shape[3]), z)


@lowers
def attention_squeeze(graph: Graph, u: Value, k: Array) -> tuple[Value, Value]:
    N, H, W, C = u.shape
    weights = graph.add("Unsqueeze", graph.array(k), axes=[1, 2])
    scores = Value(graph, (N, H, W), graph.add("ReduceSum", graph.add("Mul", u.name, weights), axes=[1], keepdims=0))
    p = TABLE["softmax"](graph, scores.reshape((N, H * W))).reshape((N, H, W))
    z = graph.add("ReduceSum", scale_pixels(graph, u, p).name, axes=PIXELS, keepdims=0)
    return Value(graph, (N, C), z), p


# Gates --------------------------------------------------------------------------------------------------------------


def _same_everywhere(array: Any) -> float | None:
    """Return the number of a constant array that holds one number only; None for all other arrays."""
    return float(array.flat[0]) if isinstance(array, np.ndarray) and (array == array.flat[0]).all() else None


@lowers
def scale(graph: Graph, u: Value, s: Any) -> Value:
    number = _same_everywhere(s)
    if number is None:
        return _like(u, graph.add("Mul", u.name, graph.add("Unsqueeze", s.name, axes=PIXELS)))
    return u if number == 1 else _like(u, graph.add("Mul", u.name, graph.scalar(number)))


@lowers
def scale_pixels(graph: Graph, u: Value, s: Value) -> Value:
    return _like(u, graph.add("Mul", u.name, graph.add("Unsqueeze", s.name, axes=[1])))


@lowers
def scale_axes(graph: Graph, u: Value, sh: Value, sw: Value) -> Value:
    rows, columns = (graph.add("Unsqueeze", graph.add("Transpose", s.name, perm=[0, 2, 1]), axes=[axis])
                     for s, axis in ((sh, 3), (sw, 2)))
    return _like(u, graph.add("Mul", u.name, graph.add("Mul", rows, columns)))


@lowers
def shift(graph: Graph, u: Value, t: Value) -> Value:
    return _like(u, graph.add("Add", u.name, graph.add("Unsqueeze", t.name, axes=PIXELS)))


@lowers
def outer_sum(graph: Graph, a: Value, p: Value) -> Value:
    y = graph.add("Add", graph.add("Unsqueeze", a.name, axes=PIXELS), graph.add("Unsqueeze", p.name, axes=[1]))
    return Value(graph, (*p.shape, a.shape[1]), y)


@lowers
def excite(graph: Graph, z: Value, w1: Array, w2: Array, b1: Array | None = None, b2: Array | None = None) -> Value:
    return sigmoid(graph, dense(graph, relu(graph, dense(graph, z, w1, b1)), w2, b2))


@lowers
def se(graph: Graph, u: Value, w1: Array, w2: Array, b1: Array | None = None, b2: Array | None = None) -> Value:
    return scale(graph, u, excite(graph, squeeze(graph, u), w1, w2, b1, b2))


@lowers
def per_channel(graph: Graph, z: Value, w: Array, b: Array | None = None) -> Value:
    a = graph.add("Mul", z.name, graph.array(w))
    return _like(z, a if b is None else graph.add("Add", a, graph.array(b)))


@lowers
def channel_conv(graph: Graph, z: Value, w: Array, circular: bool = False) -> Value:
    reach, (N, C) = len(w) // 2, z.shape
    rows, filters = z.reshape((N, 1, C)).name, graph.add("Unsqueeze", graph.array(w), axes=[0, 1])
    if circular and reach:
        start, end = (graph.add("Slice", rows, axis=2, start=first, end=last)
                      for first, last in ((0, reach), (C - reach, C)))
        rows, reach = graph.add("Concat", end, rows, start, axis=2), 0
    a = graph.add("Conv", rows, filters, kernel_shape=[len(w)], strides=[1], pads=[reach] * 2, dilations=[1], group=1)
    return Value(graph, (N, 1, C), a).reshape((N, C))


@lowers
def channel_norm(graph: Graph, z: Value, eps: float = 1e-5) -> Value:
    centered = graph.add("Sub", z.name, graph.add("ReduceMean", z.name, axes=[2], keepdims=1))
    variance = graph.add("ReduceMean", graph.add("Mul", centered, centered), axes=[2], keepdims=1)
    return _like(z, graph.add("Div", centered, _root(graph, variance, eps)))


@lowers
def channel_rms(graph: Graph, z: Value, eps: float = 1e-5) -> Value:
    squares = graph.add("ReduceMean", graph.add("Mul", z.name, z.name), axes=[1], keepdims=1)
    return _like(z, graph.add("Div", z.name, _root(graph, squares, eps)))


@lowers
def channel_pool(graph: Graph, u: Value) -> Value:
    parts = [graph.add(op, u.name, axes=[1], keepdims=1) for op in ("ReduceMax", "ReduceMean")]
    return Value(graph, (*u.shape[:3], 2), graph.add("Concat", *parts, axis=1))


@lowers
def simam(graph: Graph, u: Value, lam: float = 1e-4) -> Value:
    centered, variance = _about_the_mean(graph, u)
    spread = graph.add("Mul", graph.add("Add", variance, graph.scalar(lam)), graph.scalar(4))
    energy = graph.add("Add", graph.add("Div", graph.add("Mul", centered, centered), spread), graph.scalar(0.5))
    return _like(u, graph.add("Mul", u.name, graph.add("Sigmoid", energy)))


@lowers
def shake(graph: Graph, a: Value, b: Value, alpha: Array) -> Value:
    share = _same_everywhere(alpha)
    if share is None:
        raise NotExportable("random shares, which only training has")
    parts = [graph.add("Mul", x.name, graph.scalar(s)) for x, s in ((a, share), (b, 1 - share))]
    return _like(a, graph.add("Add", *parts))


# Rows and channels of maps ------------------------------------------------------------------------------------------


@lowers
def axis_means(graph: Graph, u: Value) -> tuple[Value, Value]:
    N, H, W, C = u.shape
    rows, columns = (graph.add("Transpose", graph.add("ReduceMean", u.name, axes=[axis], keepdims=0), perm=[0, 2, 1])
                     for axis in (3, 2))
    return Value(graph, (N, H, C), rows), Value(graph, (N, W, C), columns)


@lowers
def join_rows(graph: Graph, zh: Any, zw: Any) -> Value:
    rows = zh.shape[1] + zw.shape[1]
    zeros = [_same_everywhere(part) == 0 for part in (zh, zw)]
    if any(zeros):                                                # constant zeros before or behind the rows
        inner = zw if zeros[0] else zh
        edges = [zh.shape[1] if zeros[0] else 0, zw.shape[1] if zeros[1] else 0]
        joined = graph.add("Pad", inner.name, pads=[0, edges[0], 0, 0, edges[1], 0])
    else:
        inner, joined = zh, graph.add("Concat", zh.name, zw.name, axis=1)
    return Value(graph, (inner.shape[0], rows, 1, inner.shape[2]), last=graph.add("Unsqueeze", joined, axes=[2]))


@lowers
def split_rows(graph: Graph, z: Value, height: int) -> tuple[Value, Value]:
    N, L, _, C = z.shape
    rows = graph.add("Squeeze", z.last, axes=[2])
    if isinstance(height, Batch) and 2 * height == L:
        parts = graph.add("Split", rows, axis=1, parts=2, outputs=2)
    elif isinstance(height, Batch):
        raise NotExportable("a part of rows that depends on the number of images")
    else:
        parts = graph.add("Split", rows, axis=1, widths=[height, L - height], outputs=2)
    return Value(graph, (N, height, C), parts[0]), Value(graph, (N, L - height, C), parts[1])


@lowers
def concat(graph: Graph, *maps: Value) -> Value:
    y = graph.add("Concat", *[part.name for part in maps], axis=1)
    return Value(graph, (*maps[0].shape[:3], sum(part.shape[3] for part in maps)), y)


@lowers
def split(graph: Graph, x: Value, widths: tuple[int, ...]) -> tuple[Value, ...]:
    parts = graph.add("Split", x.name, axis=1, widths=list(widths), outputs=len(widths))
    return tuple(Value(graph, (*x.shape[:3], width), part) for part, width in zip(parts, widths, strict=True))


@lowers
def channel_shuffle(graph: Graph, x: Value, groups: int) -> Value:
    _, H, W, C = x.shape
    table = graph.add("Reshape", x.name, shape=[-1, groups, C // groups, H, W])
    return _like(x, graph.add("Reshape", graph.add("Transpose", table, perm=[0, 2, 1, 3, 4]), shape=[-1, C, H, W]))


# Pooling ------------------------------------------------------------------------------------------------------------


def _windows(x: Value, size: int, stride: int, padding: int, ceil_mode: bool) -> tuple[Shape, list[int]]:
    """Return (Ho, Wo), and the pads that make ceil_mode needless: [above, left, below, right]."""
    shape = tuple(map(int, x.shape))
    _, rows, columns, _ = border(shape, size, stride, padding, ceil_mode)
    return pooled_size(shape, size, stride, padding, ceil_mode), [rows[0], columns[0], rows[1], columns[1]]


@lowers
def max_pool(graph: Graph, x: Value, size: int, stride: int | None = None, padding: int = 0,
             ceil_mode: bool = False) -> Value:
    sizes, pads = _windows(x, size, stride or size, padding, ceil_mode)
    y = graph.add("MaxPool", x.name, kernel_shape=[size] * 2, strides=[stride or size] * 2, pads=pads)
    return Value(graph, (x.shape[0], *sizes, x.shape[3]), y)


@lowers
def average_pool(graph: Graph, x: Value, size: int, stride: int | None = None, padding: int = 0,
                 ceil_mode: bool = False, count_include_pad: bool = True) -> Value:
    """Divide by size * size or by the pixels of the map, then correct the windows whose divisor is another one."""
    how = size, stride or size, padding, ceil_mode
    sizes, pads = _windows(x, *how)
    y = graph.add("AveragePool", x.name, kernel_shape=[size] * 2, strides=[stride or size] * 2, pads=pads,
                  count_include_pad=int(count_include_pad))
    counted = divisors(tuple(map(int, x.shape)), np.float64, *how, count_include_pad)
    if count_include_pad and (counted != size * size).any():
        factors = (size * size / counted).astype(np.float32).transpose(2, 0, 1)
        y = graph.add("Mul", y, graph.constant(np.ascontiguousarray(factors)))
    return Value(graph, (x.shape[0], *sizes, x.shape[3]), y)
