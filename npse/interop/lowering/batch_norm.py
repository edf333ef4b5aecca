"""Batch norms as nodes; they are not folded into convolutions."""

from typing import Any

from npse.interop.graph import Graph, Value
from npse.interop.lowering.conv import conv2d
from npse.interop.lowering.elementwise import relu
from npse.interop.lowering.squeezes import squeeze
from npse.interop.lowering.table import lowers
from npse.types import Array


@lowers
def batch_norm_inference(graph: Graph, x: Value, gamma: Array, beta: Array, running_mean: Array,
                         running_var: Array, eps: float = 1e-5) -> Value:
    if x.mean_of is not None:                     # the mean of a batch norm: so the batch norm itself runs once
        normalized = batch_norm_inference(graph, x.mean_of, gamma, beta, running_mean, running_var, eps)
        return squeeze(graph, normalized).reshape(x.shape)
    inputs = [x.name, *map(graph.array, (gamma, beta, running_mean, running_var))]
    return Value(graph, x.shape, graph.add("BatchNormalization", *inputs, epsilon=float(eps)))


@lowers
def conv2d_batch_norm_inference(graph: Graph, x: Value, w: Array, gamma: Array, beta: Array, mean: Array, var: Array,
                                stride: int = 1, padding: int = 0, eps: float = 1e-5) -> Value:
    return batch_norm_inference(graph, conv2d(graph, x, w, stride, padding), gamma, beta, mean, var, eps)


@lowers
def conv2d_batch_norm_inference_relu(graph: Graph, x: Value, w: Array, *rest: Any, **options: float) -> Value:
    return relu(graph, conv2d_batch_norm_inference(graph, x, w, *rest, **options))


@lowers
def batch_norm_inference_relu(graph: Graph, x: Value, *rest: Any) -> Value:
    return relu(graph, batch_norm_inference(graph, x, *rest))
