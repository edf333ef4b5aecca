"""A network as a Python file that needs PyTorch alone: its graph, written as one class with a line for each node.

The class has the parameters and buffers of the network under the names of a state dict, so it loads the file of arrays
that is exported beside it.
"""

import pprint
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from npse.interop.graph import Graph, Node
from npse.interop.names import Names
from npse.layers import Layer
from npse.types import Array, Arrays

CONSTANTS = "constants."                  # before the names of arrays that belong to no layer

HEAD = '''"""{title}, as one module of PyTorch. Written by npse {version}; nothing but PyTorch is needed.

    from {module} import load, normalize

    network = load("{weights}")
    logits = network(normalize(images))        # images: float32 (N, {channels}, {height}, {width}), pixels in 0..1

In evaluation mode the network computes what npse computes. In training mode the batch norms use the statistics of
their batch and update the running ones; layers that are random in training, such as dropout, stay as in evaluation.
"""

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = {classes}

# Of pixels in 0..1, by channel.
MEAN = {mean}
STD = {std}

PARAMETERS = {{
{parameters}}}

BUFFERS = {{
{buffers}}}


def normalize(images):
    """Return pixels in 0..1, (N, C, H, W), as the network needs them."""
    mean, std = (images.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    return (images - mean) / std


def load(path):
    """Return the network with the arrays of a .safetensors, .pt or .pth file, in evaluation mode."""
    if str(path).endswith(".safetensors"):
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    network = Network()
    network.load_state_dict(state)
    return network.eval()


class Network(nn.Module):
    """{title}: normalized images (N, {channels}, {height}, {width}) -> logits (N, {count})."""

    def __init__(self):
        super().__init__()
        for name, shape in PARAMETERS.items():
            owner, key = self._place(name)
            owner.register_parameter(key, nn.Parameter(torch.zeros(shape)))
        for name, shape in BUFFERS.items():
            owner, key = self._place(name)
            owner.register_buffer(key, torch.zeros(shape, dtype=torch.long if key == "num_batches_tracked" else None))

    def _place(self, name):
        """Return the module that holds an array with a dotted name, made if need be, and the last part of the name."""
        owner, (*path, key) = self, name.split(".")
        for part in path:
            if part not in dict(owner.named_children()):
                owner.add_module(part, nn.Module())
            owner = owner.get_submodule(part)
        return owner, key

    def _batch_norm(self, x, name, eps):
        norm = self.get_submodule(name)
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, self.training, 0.1, eps)

    def forward(self, x):
        a = dict(self.named_parameters()) | dict(self.named_buffers())
'''


def to_python(graph: Graph, network: Layer, names: Names, facts: Mapping[str, Any]) -> str:
    """Return the text of a Python file.

    Parameters
    ----------
    graph : Graph
        The graph of the network, from `npse.interop.trace`.
    network : Layer
    names : Names
        The names and layouts of its arrays in the state dict.
    facts : dict
        title, module, weights, version, classes, mean, std: texts for the head of the file.
    """
    count = len(facts["classes"])
    learned = [name for name, _ in (names.arrays[ours] for ours in network.named_parameters())]
    shapes = {name: array.shape for name, array in (names.there(network.state()) | constants(graph)).items()}
    shapes |= dict.fromkeys(names.counters, ())
    height, width, channels = graph.image_shape
    facts = {**facts, "classes": pprint.pformat(list(facts["classes"]), width=110, compact=True)}
    head = HEAD.format(**facts, channels=channels, height=height, width=width, count=count,
                       parameters=_table({name: shapes[name] for name in learned}),
                       buffers=_table({name: shape for name, shape in shapes.items() if name not in learned}))
    uses = _Uses(graph, names)
    lines = [f"        {', '.join(map(uses, node.outputs))} = {_expression(node, uses)}" for node in graph.nodes]
    return "\n".join([head.rstrip("\n"), *lines, f"        return {uses(graph.output)}", ""])


def constants(graph: Graph) -> Arrays:
    """Return the arrays of a graph that belong to no layer, but no single numbers, under their names in a file."""
    layers = set(graph.names.values())
    return {CONSTANTS + name.removeprefix("constant_"): array.astype(np.float32) for name, array in graph.arrays.items()
            if name not in layers and array.ndim}


def _table(shapes: Mapping[str, Sequence[int]]) -> str:
    return "".join(f'    "{name}": {tuple(shape)},\n' for name, shape in shapes.items())


class _Uses:
    """How the code refers to an array of the graph, by its name there."""

    def __init__(self, graph: Graph, names: Names) -> None:
        self._graph, self._names, self._layers = graph, names, set(graph.names.values())

    def __call__(self, name: str) -> str:
        if name in self._layers:
            theirs, layout = self._names.arrays[name]
            there = f'a["{theirs}"]'
            return layout.torch.replace("{}", there)
        if name not in self._graph.arrays:
            return name
        value: Array = self._graph.arrays[name]
        return f'a["{CONSTANTS}{name.removeprefix("constant_")}"]' if value.ndim else repr(float(value))


def _expression(node: Node, uses: _Uses) -> str:
    """Return the Python expression of a node."""
    return WRITTEN[node.op]([uses(name) for name in node.inputs], node.attributes)


def _call(function: str) -> Callable[..., str]:
    return lambda x, a: f"{function}({', '.join(x)})"


def _between(sign: str) -> Callable[..., str]:
    return lambda x, a: f"{x[0]} {sign} {x[1]}"


def _reduced(method: str) -> Callable[..., str]:
    return lambda x, a: f"{x[0]}.{method}({tuple(a['axes'])}, keepdim={bool(a['keepdims'])})"


def _conv(x: list[str], a: Mapping[str, Any]) -> str:
    count = len(a["kernel_shape"])
    bias = x[2] if len(x) > 2 else "None"
    return (f"F.conv{count}d({x[0]}, {x[1]}, {bias}, {a['strides'][0]}, {a['pads'][0]}, {a['dilations'][0]}, "
            f"{a['group']})")


def _batch_norm(x: list[str], a: Mapping[str, Any]) -> str:
    maps, gamma, *_ = x                       # all arrays have one name but for its last part
    name = gamma.removeprefix('a["').removesuffix('.weight"]')
    return f'self._batch_norm({maps}, "{name}", {a["epsilon"]!r})'


def _padded(x: str, pads: Sequence[int], value: str = "0.0") -> str:
    """Return x with pads in ONNX's order (all fronts, then all ends) as PyTorch's, which begin with the last axis."""
    count = len(pads) // 2
    pairs = [(pads[axis], pads[axis + count]) for axis in reversed(range(count))]
    return f"F.pad({x}, {tuple(edge for pair in pairs for edge in pair)}, value={value})"


def _max_pool(x: list[str], a: Mapping[str, Any]) -> str:
    return _pooled("F.max_pool2d", x[0], a, "float('-inf')")


def _average_pool(x: list[str], a: Mapping[str, Any]) -> str:
    return _pooled("F.avg_pool2d", x[0], a, "0.0", "" if a["count_include_pad"] else ", count_include_pad=False")


def _pooled(function: str, x: str, a: Mapping[str, Any], beyond: str, more: str = "") -> str:
    size, stride, pads = a["kernel_shape"][0], a["strides"][0], a["pads"]
    if len(set(pads)) == 1 and 2 * pads[0] <= size:
        return f"{function}({x}, {size}, {stride}, {pads[0]}{more})"
    return f"{function}({_padded(x, pads, beyond)}, {size}, {stride})"


def _unsqueezed(x: list[str], a: Mapping[str, Any]) -> str:
    return x[0] + "".join(f".unsqueeze({axis})" for axis in a["axes"])


def _split(x: list[str], a: Mapping[str, Any]) -> str:
    return f"{x[0]}.split({a['widths']}, {a['axis']})" if "widths" in a else f"{x[0]}.chunk({a['parts']}, {a['axis']})"


WRITTEN: dict[str, Callable[[list[str], Mapping[str, Any]], str]] = {
    "Add": _between("+"), "Sub": _between("-"), "Mul": _between("*"), "Div": _between("/"),
    "Relu": _call("F.relu"), "Sigmoid": _call("torch.sigmoid"), "Tanh": _call("torch.tanh"), "Exp": _call("torch.exp"),
    "Sqrt": _call("torch.sqrt"), "Max": _call("torch.maximum"), "HardSigmoid": _call("F.hardsigmoid"),
    "HardSwish": _call("F.hardswish"),
    "Clip": lambda x, a: f"{x[0]}.clamp({a['min']}, {a['max']})",
    "Softmax": lambda x, a: f"F.softmax({x[0]}, {a['axis']})",
    "Gelu": lambda x, a: f'F.gelu({x[0]}, approximate="{a["approximate"]}")',
    "ReduceMean": _reduced("mean"), "ReduceMax": _reduced("amax"), "ReduceSum": _reduced("sum"),
    "Conv": _conv, "Gemm": _call("F.linear"), "BatchNormalization": _batch_norm,
    "Einsum": lambda x, a: f'torch.einsum("{a["equation"]}", {", ".join(x)})',
    "MaxPool": _max_pool, "AveragePool": _average_pool, "Pad": lambda x, a: _padded(x[0], a["pads"]),
    "Reshape": lambda x, a: f"{x[0]}.reshape({tuple(a['shape'])})",
    "Transpose": lambda x, a: f"{x[0]}.permute({tuple(a['perm'])})",
    "Unsqueeze": _unsqueezed, "Squeeze": lambda x, a: f"{x[0]}.squeeze({tuple(a['axes'])})",
    "Concat": lambda x, a: f"torch.cat([{', '.join(x)}], {a['axis']})", "Split": _split,
    "Slice": lambda x, a: f"{x[0]}.narrow({a['axis']}, {a['start']}, {a['end'] - a['start']})",
}


def numbers(values: Any) -> list[float]:
    """Return an array as Python numbers that print short, such as 0.485."""
    return [float(np.format_float_positional(value, unique=True)) for value in np.asarray(values, np.float32)]
