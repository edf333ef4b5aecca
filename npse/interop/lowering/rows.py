"""Rows and channels of maps, joined and split, as nodes."""

from typing import Any

from npse.interop.graph import Batch, Graph, NotExportable, Value
from npse.interop.lowering.table import like, lowers, same_everywhere


@lowers
def axis_means(graph: Graph, u: Value) -> tuple[Value, Value]:
    N, H, W, C = u.shape
    rows, columns = (graph.add("Transpose", graph.add("ReduceMean", u.name, axes=[axis], keepdims=0), perm=[0, 2, 1])
                     for axis in (3, 2))
    return Value(graph, (N, H, C), rows), Value(graph, (N, W, C), columns)


@lowers
def join_rows(graph: Graph, zh: Any, zw: Any) -> Value:
    rows = zh.shape[1] + zw.shape[1]
    zeros = [same_everywhere(part) == 0 for part in (zh, zw)]
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
    return like(x, graph.add("Reshape", graph.add("Transpose", table, perm=[0, 2, 1, 3, 4]), shape=[-1, C, H, W]))
