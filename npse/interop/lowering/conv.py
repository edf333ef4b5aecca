"""Convolutions and dense layers as nodes."""

from typing import Any

from npse.interop.graph import Graph, Value
from npse.interop.lowering.squeezes import squeeze
from npse.interop.lowering.table import lowers
from npse.types import Array


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
