"""Squeezes, which take maps (N, H, W, C) to (N, C), as nodes."""



from npse.interop.graph import Graph, Value
from npse.interop.lowering.table import PIXELS, TABLE, lowers
from npse.types import Array


@lowers
def squeeze(graph: Graph, u: Value) -> Value:
    return Value(graph, (u.shape[0], u.shape[3]), graph.add("ReduceMean", u.name, axes=PIXELS, keepdims=0), mean_of=u)


TABLE["global_average_pool"] = squeeze


@lowers
def global_max_pool(graph: Graph, u: Value) -> Value:
    return Value(graph, (u.shape[0], u.shape[3]), graph.add("ReduceMax", u.name, axes=PIXELS, keepdims=0))


@lowers
def deviation(graph: Graph, u: Value, eps: float = 1e-5) -> Value:
    _, squares = about_the_mean(graph, u)
    return Value(graph, (u.shape[0], u.shape[3]), graph.add("Squeeze", root(graph, squares, eps), axes=PIXELS))


def about_the_mean(graph: Graph, u: Value) -> tuple[str, str]:
    """Return u - m (N, C, H, W), and the unbiased variance of each map (N, C, 1, 1)."""
    centered = graph.add("Sub", u.name, graph.add("ReduceMean", u.name, axes=PIXELS, keepdims=1))
    total = graph.add("ReduceSum", graph.add("Mul", centered, centered), axes=PIXELS, keepdims=1)
    return centered, graph.add("Div", total, graph.scalar(max(u.shape[1] * u.shape[2] - 1, 1)))


def root(graph: Graph, squares: str, eps: float) -> str:
    return str(graph.add("Sqrt", graph.add("Add", squares, graph.scalar(eps))))


@lowers
def norm_squeeze(graph: Graph, u: Value, eps: float = 1e-5) -> Value:
    squares = graph.add("ReduceSum", graph.add("Mul", u.name, u.name), axes=PIXELS, keepdims=0)
    return Value(graph, (u.shape[0], u.shape[3]), root(graph, squares, eps))


@lowers
def weighted_squeeze(graph: Graph, u: Value, b: Array) -> Value:
    weights = graph.add("Transpose", graph.array(b), perm=[2, 0, 1])
    z = graph.add("ReduceSum", graph.add("Mul", u.name, weights), axes=PIXELS, keepdims=0)
    return Value(graph, (u.shape[0], u.shape[3]), z)
