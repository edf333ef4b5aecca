"""ONNX's own tests of operators, and adapters that run them with the ops of npse.

`cases` reads the tests from the package onnx: those of single nodes, and models of one node that were converted from
PyTorch. An adapter turns the arguments of a node into those of ops. It changes layouts (NCHW to NHWC), splits or joins
axes and pads with zeros, but computes nothing. What npse does not offer raises `NotOffered` with the reason.
"""

import functools
import itertools
import math
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

KINDS = ("pytorch-converted", "pytorch-operator")                 # of models that the package onnx holds
FLOATS = (np.float16, np.float32, np.float64)

# Results of a node that no op returns, and why the first result is compared all the same.
FIRST_RESULT_ONLY = {
    "LayerNormalization": "the mean and the inverse deviation are no results of channel_norm",
    "SoftmaxCrossEntropyLoss": "the logarithms of the probabilities are no result of softmax_cross_entropy",
    "MaxPool": "the places of the maxima are no result of max_pool",
}


class NotOffered(Exception):
    """The ops of npse cannot compute this; the message is the reason."""


@dataclass
class Node:
    """A test of one node: what goes in, what must come out."""

    name: str
    op: str
    version: int                 # of ONNX's set of operators
    attributes: dict
    inputs: list
    outputs: list
    rtol: float
    atol: float

    def get(self, name, default=None):
        """Return an attribute; bytes as a string."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value


@functools.cache
def cases():
    """Return the tests of all operators that have an adapter, by operator; without the package onnx skip the test."""
    onnx = pytest.importorskip("onnx")
    from onnx.backend.test.case.node import collect_testcases
    from onnx.backend.test.loader import load_model_tests

    found = defaultdict(list)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                           # other operators' examples overflow on purpose
        tests = [(case, case.model, case.data_sets) for case in collect_testcases(None)]
    for kind in KINDS:
        for case in load_model_tests(kind=kind):
            tests.append((case, onnx.load(f"{case.model_dir}/model.onnx"), _stored(case.model_dir)))
    for case, model, data_sets in tests:
        graph = model.graph
        nodes = [node for node in graph.node if node.op_type != "Constant"]
        if len(nodes) == 1 and nodes[0].op_type in ADAPTERS:
            for inputs, outputs in data_sets:
                found[nodes[0].op_type].append(_node(case, model, nodes[0], inputs, outputs))
    return found


def _stored(folder):
    """Return the inputs and outputs that a model has in files, in pairs."""
    from onnx import TensorProto, numpy_helper

    def arrays(data_set, kind):
        files = sorted(data_set.glob(f"{kind}_*.pb"), key=lambda file: int(file.stem.split("_")[1]))
        return [numpy_helper.to_array(TensorProto.FromString(file.read_bytes())) for file in files]
    return [(arrays(data_set, "input"), arrays(data_set, "output")) for data_set in sorted(Path(folder).glob("test_*"))]


def _node(case, model, node, inputs, outputs):
    from onnx import helper, numpy_helper

    graph = model.graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    values |= {other.output[0]: numpy_helper.to_array(other.attribute[0].t) for other in graph.node
               if other.op_type == "Constant"}
    values |= zip((value.name for value in graph.input if value.name not in values), inputs, strict=True)
    return Node(case.name, node.op_type, model.opset_import[0].version,
                {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute},
                [values.get(name) for name in node.input], list(outputs),
                case.rtol or 1e-3, case.atol or 1e-7)


def compute(ops, node):
    """Return the results of a node, computed by ops.

    Raises
    ------
    NotOffered
        npse has no ops for it.
    """
    for value in node.inputs[:1]:
        if value.dtype not in FLOATS:
            raise NotOffered("integers")
        if value.size == 0:
            raise NotOffered("empty arrays")
    return ADAPTERS[node.op](ops, node, *node.inputs)


def judged(ops, op, chosen=lambda node: True):
    """Return what the cases of an operator are: the names of those that are right, the others with the reason.

    Returns
    -------
    right : list of str
    wrong, not_offered : dict of str to str
    """
    right, wrong, not_offered = [], {}, {}
    for node in filter(chosen, cases()[op]):
        try:
            _agree(compute(ops, node), node)
        except NotOffered as reason:
            not_offered[node.name] = str(reason)
        except AssertionError as difference:
            wrong[node.name] = str(difference)
        else:
            right.append(node.name)
    return right, wrong, not_offered


def _agree(results, node):
    if node.op not in FIRST_RESULT_ONLY:
        assert len(results) == len(node.outputs), f"{len(results)} results, {len(node.outputs)} expected"
    for result, expected in zip(results, node.outputs, strict=False):
        assert result.shape == expected.shape
        assert result.dtype == expected.dtype
        np.testing.assert_allclose(result, expected, node.rtol, node.atol)


# Layouts ------------------------------------------------------------------------------------------------------------


def to_nhwc(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def to_nchw(x):
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def last(x, axis):
    """Return x as maps (1, 1, P, C) whose channels are an axis of x, and a function that takes such maps back."""
    moved = np.moveaxis(x, axis, -1)
    shape = moved.shape[:-1]

    def back(maps):
        return np.ascontiguousarray(np.moveaxis(maps.reshape(*shape, maps.shape[-1]), -1, axis))
    return np.ascontiguousarray(moved).reshape(1, 1, -1, moved.shape[-1]), back


def two_axes(x):
    """Return images (N, C, H, W); those of one axis, (N, C, L), as (N, C, 1, L)."""
    if x.ndim == 3:
        return x[:, :, None]
    if x.ndim != 4:
        raise NotOffered("more than two axes of pixels" if x.ndim > 4 else "fewer than two axes")
    return x


def one(values, what):
    """Return the value that all axes share."""
    if len({*values}) > 1:
        raise NotOffered(f"{what} that differs by axis")
    return int(values[0])


def borders(node, sizes, kernel, strides, dilations):
    """Return the rows and columns of padding: [(before, behind), (before, behind)]."""
    how = node.get("auto_pad", "NOTSET")
    if how in ("SAME_UPPER", "SAME_LOWER"):
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        total = [max((-(-size // s) - 1) * s + k - size, 0) for size, s, k in zip(sizes, strides, reach, strict=True)]
        less, more = [t // 2 for t in total], [t - t // 2 for t in total]
        return list(zip(less, more, strict=True) if how == "SAME_UPPER" else zip(more, less, strict=True))
    pads = list(node.get("pads", [0] * (2 * len(kernel))))
    return list(zip(pads[:len(kernel)], pads[len(kernel):], strict=True))


# Adapters -----------------------------------------------------------------------------------------------------------


def conv(ops, node, x, w, b=None):
    count = x.ndim - 2
    strides, dilations = (node.get(name, [1] * count) for name in ("strides", "dilations"))
    pads = borders(node, x.shape[2:], w.shape[2:], strides, dilations)
    x = two_axes(np.pad(x, [(0, 0), (0, 0), *pads]))
    groups, stride, dilation = node.get("group", 1), one(strides, "a stride"), one(dilations, "a dilation")
    if (groups, dilation) == (1, 1):
        y = ops.conv2d(to_nhwc(x), filters(w), stride)
    else:
        y = ops.grouped_conv2d(to_nhwc(x), filters(w), groups, stride, 0, dilation)
    return [like(count, with_bias(ops, y, b))]


def filters(w):
    """Return filters (Cout, Cin, kh, kw) as (kh, kw, Cin, Cout)."""
    return np.ascontiguousarray(two_axes(w).transpose(2, 3, 1, 0))


def with_bias(ops, y, b):
    return to_nchw(y if b is None else ops.add_bias(y, b))


def like(count, y):
    """Return images with as many axes of pixels as they came with."""
    return y[:, :, 0] if count == 1 else y


def conv_transpose(ops, node, x, w, b=None):
    """Run the gradient of a convolution for its input; padding of the convolution is cut off the result."""
    count = x.ndim - 2
    strides, dilations = (node.get(name, [1] * count) for name in ("strides", "dilations"))
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilations, strict=True)]
    whole = [(n - 1) * s + k for n, s, k in zip(x.shape[2:], strides, reach, strict=True)]
    pads, extra = node.get("pads", [0] * (2 * count)), node.get("output_padding", [0] * count)
    wanted = [n - before - behind + e for n, before, behind, e in
              zip(whole, pads[:count], pads[count:], extra, strict=True)]
    if node.get("auto_pad", "NOTSET") != "NOTSET":
        wanted = [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
    wanted = node.get("output_shape", wanted)
    before = pads[:count] if any(pads) else [max(0, n - size) // 2 for n, size in zip(whole, wanted, strict=True)]
    sizes = [max(n, first + size) for n, first, size in zip(whole, before, wanted, strict=True)]
    stride, groups, x = one(strides, "a stride"), node.get("group", 1), two_axes(x)
    shape = (len(x), *[1] * (2 - count), *sizes, w.shape[1] * groups)
    dilation = one(dilations, "a dilation")
    if (groups, dilation) == (1, 1):
        y = ops.conv2d_backward_x(to_nhwc(x), filters(w), shape, stride)
    else:
        y = ops.grouped_conv2d_backward_x(to_nhwc(x), filters(w), shape, groups, stride, 0, dilation)
    inner = [slice(first, first + size) for first, size in zip(before, wanted, strict=True)]
    return [like(count, with_bias(ops, y, b))[(slice(None), slice(None), *inner)]]


def pooled(node, x):
    """Return size, stride, padding of a pooling and the borders that remain to be padded."""
    if x.ndim != 4:
        raise NotOffered("other than two axes of pixels")
    kernel = list(node.get("kernel_shape"))
    strides, dilations = (list(node.get(name, [1, 1])) for name in ("strides", "dilations"))
    if dilations != [1, 1]:
        raise NotOffered("a dilation of windows")
    pads = borders(node, x.shape[2:], kernel, strides, dilations)
    size, stride = one(kernel, "a window"), one(strides, "a stride")
    return size, stride, pads


def max_pool(ops, node, x):
    size, stride, pads = pooled(node, x)
    return [to_nchw(ops.max_pool(to_nhwc(x), size, stride, padding(pads, size), bool(node.get("ceil_mode", 0))))]


def average_pool(ops, node, x):
    size, stride, pads = pooled(node, x)
    inside, ceil_mode = bool(node.get("count_include_pad", 0)), bool(node.get("ceil_mode", 0))
    if inside and not ceil_mode:                                  # then the padding is zeros like any others
        x, pads = np.pad(x, [(0, 0), (0, 0), *pads]), [(0, 0)]
    return [to_nchw(ops.average_pool(to_nhwc(x), size, stride, padding(pads, size), ceil_mode, inside))]


def padding(pads, size):
    """Return the padding of a pooling that is the same on all sides."""
    if len({*itertools.chain(*pads)}) > 1:
        raise NotOffered("a padding of windows that differs by side")
    if 2 * pads[0][0] > size:
        raise NotOffered("a padding of more than half a window")
    return int(pads[0][0])


def over_whole_maps(name):
    def adapter(ops, node, x):
        return [getattr(ops, name)(to_nhwc(two_axes(x)))[:, :, None, None]]
    return adapter


def elementwise(name, **given):
    def adapter(ops, node, x):
        return [getattr(ops, name)(x, **given)]
    return adapter


def hard_sigmoid(ops, node, x):
    if not math.isclose(node.get("alpha", 0.2), 1 / 6, rel_tol=1e-6):
        raise NotOffered("a slope other than 1/6")
    return [ops.hard_sigmoid(x)]


def swish(ops, node, x):
    if node.get("alpha", 1.0) != 1:
        raise NotOffered("a factor inside the sigmoid")
    return [ops.silu(x)]


def gelu(ops, node, x):
    return [ops.gelu(x, node.get("approximate", "none") == "tanh")]


def softmax(ops, node, x):
    axis = node.get("axis", -1 if node.version >= 13 else 1)
    if node.version < 13:                                         # all axes from this one on are one
        shape = x.shape
        return [ops.softmax(x.reshape(math.prod(shape[:axis]), -1)).reshape(shape)]
    maps, back = last(x, axis)
    return [back(ops.softmax(maps[0, 0]))]


def gemm(ops, node, a, b, c=None):
    if node.get("alpha", 1.0) != 1 or (c is not None and node.get("beta", 1.0) not in (0, 1)):
        raise NotOffered("factors alpha and beta")
    a = np.ascontiguousarray(a.T) if node.get("transA", 0) else a
    w = b if node.get("transB", 0) else np.ascontiguousarray(b.T)
    if c is None or node.get("beta", 1.0) == 0:
        return [ops.dense(a, w)]
    if c.ndim < 2 or c.shape[0] == 1:                             # one number for each column
        return [ops.dense(a, w, np.broadcast_to(c.reshape(-1), len(w)).copy())]
    y = ops.dense(a, w)
    return [ops.add(y[None, None], np.broadcast_to(c, y.shape)[None, None].copy())[0, 0]]


def mat_mul(ops, node, a, b):
    if a.ndim != 2 or b.ndim != 2:
        raise NotOffered("products of other than two matrices")
    return [ops.dense(a, np.ascontiguousarray(b.T))]


def pairwise(same, along):
    """Adapter for two arrays: of one shape by the op ``same``; if the second has the last axis alone, by ``along``."""
    def adapter(ops, node, x, y):
        if x.shape == y.shape:
            return [getattr(ops, same)(x.reshape(1, 1, 1, -1), y.reshape(1, 1, 1, -1)).reshape(x.shape)]
        if y.shape == x.shape[-1:]:
            return [getattr(ops, along)(x.reshape(1, 1, -1, len(y)), y[None]).reshape(x.shape)]
        raise NotOffered("shapes that are not one, nor one along the last axis")
    return adapter


def sum_of(ops, node, x, *more):
    for other in more:
        x = ops.add(x.reshape(1, 1, 1, -1), other.reshape(1, 1, 1, -1)).reshape(x.shape)
    return [x]


def concat(ops, node, *arrays):
    if not 2 <= len(arrays) <= 4:
        raise NotOffered("fewer than two or more than four parts")
    axis = node.get("axis", 1)
    parts, backs = zip(*(last(array, axis) for array in arrays), strict=True)
    return [backs[0](ops.concat(*parts))]


def split(ops, node, x, widths=None):
    axis, count = node.get("axis", 0), len(node.outputs)
    widths = node.get("split") if widths is None else widths
    if widths is None:
        width = -(-x.shape[axis] // count)
        widths = [width] * (count - 1) + [x.shape[axis] - width * (count - 1)]
    if not 2 <= count <= 4:
        raise NotOffered("fewer than two or more than four parts")
    maps, back = last(x, axis)
    return [back(part) for part in ops.split(maps, tuple(map(int, widths)))]


def dropout(ops, node, x, ratio=None, training=None):
    """In inference all elements are kept. In training the mask must be known: npse draws it elsewhere."""
    rate = float(ratio) if ratio is not None else node.get("ratio", 0.5)
    if not training or rate == 0:
        rate, mask = 0.0, np.ones(x.shape, bool)
    elif len(node.outputs) == 2:
        mask = node.outputs[1]
    else:
        raise NotOffered("random numbers of another generator")
    return [ops.dropout(x, mask, rate), mask][:len(node.outputs)]


def batch_norm(ops, node, x, gamma, beta, mean, var):
    shape, eps = x.shape, node.get("epsilon", 1e-5)
    x = x.reshape(*shape[:2], -1, 1) if x.ndim != 4 else x        # pixels of any number of axes
    if not node.get("training_mode", 0):
        return [to_nchw(ops.batch_norm_inference(to_nhwc(x), gamma, beta, mean, var, eps)).reshape(shape)]
    y, of_batch, biased = ops.batch_norm(to_nhwc(x), gamma, beta, eps)
    momentum = 1 - node.get("momentum", 0.9)
    # ONNX keeps the biased variance, so the count that makes npse's running variance unbiased must be without effect
    new_mean, new_var = ops.running_statistics(of_batch, biased, 10**12, mean, var, momentum)
    return [to_nchw(y).reshape(shape), new_mean, new_var]


def layer_norm(ops, node, x, gamma, beta):
    axis = node.get("axis", -1)
    shape = x.shape
    z = ops.channel_norm(x.reshape(math.prod(shape[:axis]), 1, -1), node.get("epsilon", 1e-5))
    return [ops.per_channel(z[:, 0], gamma.reshape(-1), beta.reshape(-1)).reshape(shape)]


def group_norm(ops, node, x, gamma, beta):
    groups = node.get("num_groups", x.shape[1])                   # instance norm: each channel is a group
    z = ops.channel_norm(x.reshape(len(x), groups, -1), node.get("epsilon", 1e-5)).reshape(x.shape)
    maps, back = last(z, 1)
    return [back(ops.per_channel(maps[0, 0], gamma, beta))]


def cross_entropy(ops, node, x, labels, weights=None):
    if weights is not None:
        raise NotOffered("weights of classes")
    if node.get("ignore_index") is not None:
        raise NotOffered("labels to ignore")
    if node.get("reduction", "mean") != "mean":
        raise NotOffered("a sum of losses, or each loss")
    maps, _ = last(x, 1)
    return [np.asarray(ops.softmax_cross_entropy(maps[0, 0], labels.reshape(-1)))]


ADAPTERS = {
    "Add": pairwise("add", "shift"),
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Concat": concat,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Dropout": dropout,
    "Gelu": gelu,
    "Gemm": gemm,
    "GlobalAveragePool": over_whole_maps("global_average_pool"),
    "GlobalMaxPool": over_whole_maps("global_max_pool"),
    "GroupNormalization": group_norm,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": elementwise("hard_swish"),
    "InstanceNormalization": group_norm,
    "LayerNormalization": layer_norm,
    "MatMul": mat_mul,
    "MaxPool": max_pool,
    "Mul": pairwise("multiply", "scale"),
    "Relu": elementwise("relu"),
    "Sigmoid": elementwise("sigmoid"),
    "Softmax": softmax,
    "SoftmaxCrossEntropyLoss": cross_entropy,
    "Split": split,
    "Sum": sum_of,
    "Swish": swish,
    "Tanh": elementwise("tanh"),
}
