"""A network as an ONNX model: standard operators of opset 20 alone, so that every runtime can load it.

    images  float32 (N, C, H, W), pixels in 0..1        logits  float32 (N, classes)

The first two nodes subtract the mean and divide by the deviation that the network was trained with. Batch norms are
nodes of their own; a runtime folds them into the convolutions before them. N is open, H and W are fixed.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from npse.interop.graph import Graph, Node, trace
from npse.layers import Layer
from npse.support.extras import install
from npse.types import Array, Shape

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR_VERSION = 20, 10
INPUT, NORMALIZED, OUTPUT = "images", "normalized", "logits"
# Attributes that are inputs in ONNX, in their order. Those of Clip are numbers, all others lists of integers.
AS_INPUTS = {"Reshape": ("shape",), "Unsqueeze": ("axes",), "Squeeze": ("axes",), "ReduceMean": ("axes",),
             "ReduceMax": ("axes",), "ReduceSum": ("axes",), "Pad": ("pads",), "Slice": ("start", "end", "axis"),
             "Split": ("widths",), "Clip": ("min", "max")}


def to_onnx(network: Layer, image_shape: Shape, mean: Array | Sequence[float] | None = None,
            std: Array | Sequence[float] | None = None, facts: Mapping[str, Any] | None = None) -> "ModelProto":
    """Return a network at inference as an ONNX model, checked by ``onnx.checker``.

    Parameters
    ----------
    network : Layer
    image_shape : tuple of int
        (H, W, C) of the images.
    mean, std : arrays (C,), optional
        Of each channel, for pixels in 0..1. Without them the images must be normalized already.
    facts : dict, optional
        Entries for the model's metadata; JSON must be able to hold them.

    Raises
    ------
    npse.interop.NotExportable
        A layer cannot be expressed; the message names it.
    ValueError
        Images of this size do not fit the network.
    ImportError
        The package onnx is not installed.
    """
    onnx = _onnx()
    graph = trace(network, image_shape)
    model = _model(graph, mean, std)
    about = {"producer": "npse", "input": "pixels in 0..1" if mean is not None else "normalized pixels",
             "mean": _numbers(mean), "std": _numbers(std), **(facts or {})}
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    onnx.checker.check_model(model, full_check=True)
    return model


def _onnx() -> Any:
    try:
        import onnx
        import onnx.checker
    except ImportError as error:
        raise ImportError("ONNX files need the package onnx, which is not installed; "
                          f"run: {install('interop')}") from error
    return onnx


def _numbers(values: Array | Sequence[float] | None) -> list[float] | None:
    return None if values is None else [float(value) for value in values]


def _model(graph: Graph, mean: Any, std: Any) -> "ModelProto":
    from onnx import TensorProto, helper, numpy_helper

    names = {graph.input: INPUT if mean is None else NORMALIZED, graph.output: OUTPUT}
    nodes, arrays = list(graph.nodes), dict(graph.arrays)
    if mean is not None:
        for key, values in (("mean", mean), ("std", std)):
            arrays[key] = np.asarray(values, np.float32)[:, None, None]
        nodes = [Node("Sub", (INPUT, "mean"), ("centered",), {}), Node("Div", ("centered", "std"), (NORMALIZED,), {}),
                 *nodes]
    made = []
    for number, node in enumerate(nodes):
        attributes = dict(node.attributes)
        extra = []
        for key in AS_INPUTS.get(node.op, ()):
            if key in attributes:
                extra.append(f"{node.op.lower()}_{number}_{key}")
                arrays[extra[-1]] = _as_array(attributes.pop(key), node.op)
        if "parts" in attributes:
            attributes["num_outputs"] = attributes.pop("parts")
        made.append(helper.make_node(node.op, [names.get(name, name) for name in node.inputs] + extra,
                                     [names.get(name, name) for name in node.outputs], **attributes))
    H, W, C = graph.image_shape
    pixels = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", C, H, W])
    logits = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", None])
    proto = helper.make_graph(made, "network", [pixels], [logits],
                              [numpy_helper.from_array(_single(array), name) for name, array in arrays.items()])
    return helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                             producer_name="npse")


def _single(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _as_array(value: Any, op: str) -> Array:
    if op == "Clip":
        return np.array(value, np.float32)
    return np.atleast_1d(np.array(value, np.int64))
