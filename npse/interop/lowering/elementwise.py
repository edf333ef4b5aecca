"""Functions of single numbers, and sums and products of arrays of one shape, as nodes."""



from npse.interop.graph import Graph, Value
from npse.interop.lowering.table import TABLE, like, lowers, one_node

relu, sigmoid, tanh = one_node("Relu"), one_node("Sigmoid"), one_node("Tanh")
add, multiply, maximum = one_node("Add"), one_node("Mul"), one_node("Max")
TABLE |= {"relu": relu, "sigmoid": sigmoid, "tanh": tanh, "add": add, "multiply": multiply, "maximum": maximum,
          "hard_sigmoid": one_node("HardSigmoid", alpha=1 / 6, beta=0.5), "hard_swish": one_node("HardSwish"),
          "relu6": one_node("Clip", min=0.0, max=6.0), "softmax": one_node("Softmax", axis=-1)}


@lowers
def add_relu(graph: Graph, f: Value, x: Value) -> Value:
    return relu(graph, add(graph, f, x))


@lowers
def twice_sigmoid(graph: Graph, x: Value) -> Value:
    return like(x, graph.add("Mul", sigmoid(graph, x).name, graph.scalar(2)))


@lowers
def one_plus_tanh(graph: Graph, x: Value) -> Value:
    return like(x, graph.add("Add", tanh(graph, x).name, graph.scalar(1)))


@lowers
def silu(graph: Graph, x: Value) -> Value:
    return multiply(graph, x, sigmoid(graph, x))


@lowers
def gelu(graph: Graph, x: Value, approximate: bool = False) -> Value:
    return like(x, graph.add("Gelu", x.name, approximate="tanh" if approximate else "none"))


@lowers
def gaussian(graph: Graph, x: Value, width: float = 2.0) -> Value:
    return like(x, graph.add("Exp", graph.add("Mul", graph.add("Mul", x.name, x.name),
                                               graph.scalar(-1 / (2 * width**2)))))
