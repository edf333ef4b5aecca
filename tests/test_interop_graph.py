"""Networks as ONNX models and as PyTorch files: what onnxruntime and PyTorch compute, beside npse."""

import inspect

import interop_networks as nets
import numpy as np
import pytest

from npse import backend, layers, models, reference
from npse.interop import NotExportable, lowering, trace
from npse.interop.exports import state_dict
from npse.interop.graph import Batch
from npse.interop.names import own_names
from npse.interop.onnx_file import OPSET, to_onnx
from npse.interop.torch_file import constants, to_python
from npse.layers import EXCITATIONS, GATES, PLACEMENTS, SQUEEZES
from npse.models.resnet import SHORTCUTS
from npse.reference import OPS

MEAN, STD = np.float32([0.4, 0.5, 0.3]), np.float32([0.2, 0.25, 0.3])
TOLERANCE = 1e-5                                     # of the largest logit

# Ops without nodes, and why inference needs none of them.
TRAINING_ONLY = {"augment", "batch_norm", "batch_norm_relu", "dropout", "jitter", "lookahead", "merged_moments",
                 "muon", "normalize", "orthogonalize", "running_statistics", "sgd", "softmax_cross_entropy",
                 "whitening_filters"}


def by_onnxruntime(network, x, mean=MEAN, std=STD):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    model = to_onnx(network, x.shape[1:], mean, std)
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": nets.first(x)})[0]


def module_of(network, image_shape):
    """Return the exported PyTorch network with the arrays of ours, and the names in its file."""
    torch = pytest.importorskip("torch")
    graph, names = trace(network, image_shape), own_names(network)
    made = {}
    exec(to_python(graph, network, names, {"title": "a network", "module": "m", "weights": "w", "version": "0",
                                           "classes": ["a"], "mean": MEAN.tolist(), "std": STD.tolist()}), made)
    theirs = made["Network"]()
    arrays = state_dict(network, names) | constants(graph)
    theirs.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    return theirs.eval(), made


def by_pytorch(network, x):
    """Return the logits of the exported PyTorch network in float64."""
    torch = pytest.importorskip("torch")
    theirs, made = module_of(network, x.shape[1:])
    with torch.no_grad():
        return theirs.double()(made["normalize"](torch.tensor(nets.first(x)).double())).numpy()


def agree(network, size=16, edition="reference"):
    """Compare npse with PyTorch in float64, which shows any difference, and with onnxruntime in float32.

    A deep network with random weights amplifies rounding. Then onnxruntime must be about as close to the logits in
    float64 as npse is in float32.
    """
    x = nets.pixels(3, size)
    network = nets.calibrated(network, size)
    found, inside = by_onnxruntime(network, x), by_pytorch(network, x)
    mean, std = (values.astype(np.float64) for values in (MEAN, STD))
    with backend.using_edition(edition):
        ours = network.predict((x - MEAN) / STD)
        exact = network.astype(np.float64).predict((x - mean) / std)
    assert np.ptp(exact, axis=0).max() > 1e-3 * np.abs(exact).max()          # the images tell in the logits
    rounded = bool(constants(trace(network, x.shape[1:])))                    # they are float32 in the file
    assert nets.apart(inside, exact) < (1e-6 if rounded else 1e-9)
    assert nets.apart(found, exact) < max(TOLERANCE, 5 * nets.apart(ours, exact))


def small(**options):
    return nets.drawn(models.resnet(8, widths=(8, 12, 16), image_size=16, seed=3, **options))


@pytest.mark.parametrize("excitation", EXCITATIONS)
def test_every_structure(excitation):
    agree(small(excitation=excitation))


@pytest.mark.parametrize("squeeze", SQUEEZES)
def test_every_squeeze(squeeze):
    agree(small(squeeze=squeeze))


@pytest.mark.parametrize("gate", GATES)
def test_every_gate(gate):
    agree(small(gate=gate, hidden_norm=True, bias=True))


@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_placement(placement, shortcut):
    agree(small(placement=placement, shortcut=shortcut))


@pytest.mark.parametrize("activation", ["gelu", "silu", "relu6", "hard_swish", "tanh"])
def test_activations(activation):
    rng = np.random.default_rng(0)
    agree(nets.drawn(layers.Sequential({
        "conv": layers.Conv2d(3, 8, 3, bias=True, rng=rng), "act": layers.Activation(activation),
        "shuffle": layers.ChannelShuffle(4), "pool": layers.AveragePool(3, 2, 1, ceil_mode=True),
        "max": layers.MaxPool(3, 2, ceil_mode=True), "mean": layers.GlobalAveragePool()})))


QUICK = ("se_wide", "se_fast", "se_preact_resnet20", "se_shake_shake26_2x32d", "se_vgg8", "se_inception",
         "se_shufflenet", "se_mobilenet_v3_small")
FAST_SIZES = {"vgg": 32, "inception_resnet_v2": 75}


LARGE = ("50", "101", "152", "154", "110", "164", "56", "44", "28_10", "96d", "_v1", "_bn", "bn_", "_v2", "_b0",
         "large")


@pytest.mark.parametrize("name", [nets.marked(name, QUICK, LARGE) for name in models.MODELS])
def test_shipped_networks(name):
    """Those for 224x224 pixels get smaller images."""
    size = inspect.signature(models.MODELS[name]).parameters["image_size"].default
    if size > 32:
        size = next((fast for part, fast in FAST_SIZES.items() if part in name), 64)
    edition = "cpu" if "cpu" in backend.available() else "reference"
    agree(nets.drawn(models.build(name, image_size=size, classes=7)), size, edition)


def test_one_graph_is_for_any_number_of_images():
    network = small(excitation="cbam")
    model_input = nets.pixels(5, 16)
    for count in (1, 5):
        x = model_input[:count]
        found = by_onnxruntime(network, x)
        assert nets.apart(found, nets.logits(network, (x - MEAN) / STD)) < TOLERANCE


def test_without_mean_the_images_are_normalized_already():
    network, x = small(), nets.pixels(2, 16)
    assert nets.apart(by_onnxruntime(network, x, None, None), nets.logits(network, x)) < TOLERANCE


def test_what_the_model_says_of_itself():
    pytest.importorskip("onnx")
    model = to_onnx(small(), (16, 16, 3), MEAN, STD, {"classes": ["cat", "dog"]})
    assert [entry.version for entry in model.opset_import] == [OPSET]
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["classes"] == '["cat", "dog"]'
    assert about["input"] == "pixels in 0..1"
    ops = {node.op_type for node in model.graph.node}
    assert {"Conv", "BatchNormalization", "Gemm", "Relu", "Sigmoid"} <= ops
    arrays = {array.name for array in model.graph.initializer}
    assert {"layer1.0.se.fc1.weight", "layer1.0.bn2.running_var", "fc.bias"} <= arrays


def test_a_batch_norm_before_an_excitation_runs_once():
    """npse computes the mean of its output from the mean of its input; in the graph the output is there anyway."""
    network = small()
    count = sum(isinstance(layer, layers.BatchNorm) for layer in network.layers())
    assert sum(node.op == "BatchNormalization" for node in trace(network, (16, 16, 3)).nodes) == count


def test_the_pytorch_file_trains():
    torch = pytest.importorskip("torch")
    network = small()
    theirs, _ = module_of(network, (16, 16, 3))
    x = nets.pixels(4, 16)
    theirs.train()(torch.tensor(nets.first(x))).sum().backward()
    network.train()
    y, backward = network(x)
    _, gradients = backward(np.ones_like(y))
    for name, parameter in theirs.named_parameters():
        mine = np.atleast_1d(own_names(network).arrays[name][1].there(gradients[name]))
        assert nets.apart(np.atleast_1d(parameter.grad.numpy()), mine) < 1e-3, name
    for name, buffer in theirs.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            np.testing.assert_allclose(buffer.numpy(), network.state()[name], rtol=1e-4, atol=1e-5, err_msg=name)


# What has no nodes --------------------------------------------------------------------------------------------------


def test_every_op_of_inference_has_nodes():
    forward = {name for name in OPS if "backward" not in name}
    assert forward - set(lowering.TABLE) == TRAINING_ONLY
    assert set(lowering.TABLE) <= forward


@pytest.mark.parametrize("name", sorted(lowering.TABLE))
def test_nodes_take_the_arguments_of_their_op(name):
    """So that a layer may call an op in any way that the book allows."""
    mine, *_ = inspect.signature(lowering.TABLE[name]).parameters
    assert mine == "graph"
    names = [key for key, parameter in inspect.signature(lowering.TABLE[name]).parameters.items()
             if parameter.kind == parameter.POSITIONAL_OR_KEYWORD][1:]
    given = list(inspect.signature(getattr(reference, name)).parameters)
    assert given[:len(names)] == names or not names


class Unknown(layers.Layer):
    def __call__(self, x):
        return backend.active().median(x), None


class Batchwise(layers.Layer):
    def __call__(self, x):
        return backend.active().softmax(x.reshape((x.shape[0] * 2, 5, x.shape[0]))), None


def test_a_layer_without_nodes_is_named():
    rng = np.random.default_rng(0)
    inner = layers.Sequential({"conv": layers.Conv2d(3, 4, 3, rng=rng), "mine": Unknown()})
    with pytest.raises(NotExportable, match=r"body\.mine \(Unknown\) cannot be exported: it uses the op median, which "
                                            "is not an op of the book"):
        trace(layers.Sequential({"body": inner}), (8, 8, 3))
    with pytest.raises(NotExportable, match=r"mine \(Batchwise\) cannot be exported: .* on the number of images"):
        trace(layers.Sequential({"mine": Batchwise()}), (8, 8, 3))
    with pytest.raises(ValueError, match="filters of 7x7 do not fit maps of 2x2"):
        trace(layers.Sequential({"conv": layers.Conv2d(3, 4, 7, padding=0, rng=rng)}), (2, 2, 3))


def test_a_network_is_as_it_was_after_a_trace():
    network = small().train()
    before = network.state()
    trace(network, (16, 16, 3))
    assert all(layer.training for layer in network.layers())
    for name, array in network.state().items():
        assert array is before[name]


def test_sizes_that_depend_on_the_batch_keep_track():
    n = Batch(2)
    for size in (n * 3, 3 * n, n + n, 1 + n, n - 1):
        assert isinstance(size, Batch)
    assert not isinstance(n // 2, Batch)
