"""Pooling as nodes."""


import numpy as np

from npse.interop.graph import Graph, Value
from npse.interop.lowering.table import lowers
from npse.reference.pool import border, divisors, pooled_size
from npse.types import Shape


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
