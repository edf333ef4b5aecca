"""Gates and what applies them to maps, as nodes."""

from typing import Any

from npse.interop.graph import Graph, NotExportable, Value
from npse.interop.lowering.batch_norm import batch_norm_inference
from npse.interop.lowering.conv import conv2d, dense
from npse.interop.lowering.elementwise import add, add_relu, relu, sigmoid
from npse.interop.lowering.squeezes import about_the_mean, root, squeeze
from npse.interop.lowering.table import PIXELS, TABLE, like, lowers, same_everywhere
from npse.types import Array


@lowers
def scale(graph: Graph, u: Value, s: Any) -> Value:
    number = same_everywhere(s)
    if number is None:
        return like(u, graph.add("Mul", u.name, graph.add("Unsqueeze", s.name, axes=PIXELS)))
    return u if number == 1 else like(u, graph.add("Mul", u.name, graph.scalar(number)))


@lowers
def scale_pixels(graph: Graph, u: Value, s: Value) -> Value:
    return like(u, graph.add("Mul", u.name, graph.add("Unsqueeze", s.name, axes=[1])))


@lowers
def scale_axes(graph: Graph, u: Value, sh: Value, sw: Value) -> Value:
    rows, columns = (graph.add("Unsqueeze", graph.add("Transpose", s.name, perm=[0, 2, 1]), axes=[axis])
                     for s, axis in ((sh, 3), (sw, 2)))
    return like(u, graph.add("Mul", u.name, graph.add("Mul", rows, columns)))


@lowers
def shift(graph: Graph, u: Value, t: Value) -> Value:
    return like(u, graph.add("Add", u.name, graph.add("Unsqueeze", t.name, axes=PIXELS)))


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
    return like(z, a if b is None else graph.add("Add", a, graph.array(b)))


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
    return like(z, graph.add("Div", centered, root(graph, variance, eps)))


@lowers
def channel_rms(graph: Graph, z: Value, eps: float = 1e-5) -> Value:
    squares = graph.add("ReduceMean", graph.add("Mul", z.name, z.name), axes=[1], keepdims=1)
    return like(z, graph.add("Div", z.name, root(graph, squares, eps)))


@lowers
def channel_pool(graph: Graph, u: Value) -> Value:
    parts = [graph.add(op, u.name, axes=[1], keepdims=1) for op in ("ReduceMax", "ReduceMean")]
    return Value(graph, (*u.shape[:3], 2), graph.add("Concat", *parts, axis=1))


@lowers
def simam(graph: Graph, u: Value, lam: float = 1e-4) -> Value:
    centered, variance = about_the_mean(graph, u)
    spread = graph.add("Mul", graph.add("Add", variance, graph.scalar(lam)), graph.scalar(4))
    energy = graph.add("Add", graph.add("Div", graph.add("Mul", centered, centered), spread), graph.scalar(0.5))
    return like(u, graph.add("Mul", u.name, graph.add("Sigmoid", energy)))


@lowers
def shake(graph: Graph, a: Value, b: Value, alpha: Array) -> Value:
    share = same_everywhere(alpha)
    if share is None:
        raise NotExportable("random shares, which only training has")
    parts = [graph.add("Mul", x.name, graph.scalar(s)) for x, s in ((a, share), (b, 1 - share))]
    return like(a, graph.add("Add", *parts))


@lowers
def scale_add(graph: Graph, u: Value, s: Any, x: Value) -> Value:
    return add(graph, scale(graph, u, s), x)


@lowers
def scale_add_relu(graph: Graph, u: Value, s: Any, x: Value) -> Value:
    return relu(graph, scale_add(graph, u, s, x))


@lowers
def attention_squeeze(graph: Graph, u: Value, k: Array) -> tuple[Value, Value]:
    N, H, W, C = u.shape
    weights = graph.add("Unsqueeze", graph.array(k), axes=[1, 2])
    scores = Value(graph, (N, H, W), graph.add("ReduceSum", graph.add("Mul", u.name, weights), axes=[1], keepdims=0))
    p = TABLE["softmax"](graph, scores.reshape((N, H * W))).reshape((N, H, W))
    z = graph.add("ReduceSum", scale_pixels(graph, u, p).name, axes=PIXELS, keepdims=0)
    return Value(graph, (N, C), z), p


@lowers
def bn_scale_add_relu(graph: Graph, x: Value, gamma: Array, beta: Array, mean: Array, var: Array, s: Any, r: Value,
                      eps: float = 1e-5) -> Value:
    u = batch_norm_inference(graph, x, gamma, beta, mean, var, eps)
    return add_relu(graph, scale(graph, u, s), r)


@lowers
def conv2d_se_add_relu_inference(graph: Graph, x: Value, w: Array, gamma: Array, beta: Array, mean: Array, var: Array,
                                 r: Value, w1: Array | None = None, w2: Array | None = None, b1: Array | None = None,
                                 b2: Array | None = None, stride: int = 1, padding: int = 0,
                                 eps: float = 1e-5) -> Value:
    u = batch_norm_inference(graph, conv2d(graph, x, w, stride, padding), gamma, beta, mean, var, eps)
    return add_relu(graph, u if w1 is None or w2 is None else se(graph, u, w1, w2, b1, b2), r)
