"""Layers and models: names, counts, modes, gradients of whole networks, and refusals."""

import contextlib
import inspect
import typing
import weakref

import numpy as np
import pytest

from npse import backend, models
from npse.layers import (
    PLACEMENTS,
    BasicBlock,
    BatchNorm,
    BatchNormReLU,
    Conv2d,
    Dense,
    Layer,
    ReLU,
    Sequential,
    SqueezeExcite,
    projection_shortcut,
)
from npse.layers.gate_visitor import visiting_gates
from npse.training.optimizer import SGD


def count(network):
    return sum(array.size for array in network.named_parameters().values())


@pytest.mark.parametrize(("name", "options", "parameters"), [
    ("se_resnet20", {"reduction": 16, "bias": True, "min_hidden": 1}, 274_847),
    ("se_resnet56", {"reduction": 16, "bias": True, "min_hidden": 1}, 862_889),
    ("se_resnet110", {"reduction": 16, "bias": True, "min_hidden": 1}, 1_744_952),
    ("resnet20", {"shortcut": "identity"}, 269_722),
    ("resnet20", {}, 272_474),
    ("se_resnet20", {}, 272_474 + 8_064),
    ("wide", {}, 864 + 18_432 + 36_864 + 147_456 + 3 * 589_824 + 2 * (32 + 2 * (64 + 256 + 256)) + 2_570),
    ("se_wide", {"reduction": 8}, 1_978_026 + 2 * 8 * 64 + 4 * 32 * 256),
])
def test_parameter_counts_are_those_of_the_literature(name, options, parameters):
    assert count(models.build(name, **options)) == parameters


def test_parameter_names_follow_the_field():
    names = models.build("se_resnet20", bias=True).state()
    for name in ("conv1.weight", "layer1.0.conv1.weight", "layer1.0.bn1.running_var", "layer1.0.se.fc1.weight",
                 "layer2.0.downsample.0.weight", "layer3.2.se.fc2.bias", "fc.bias"):
        assert name in names


def test_models_by_name():
    assert count(models.se_resnet8()) == count(models.build("se_resnet8"))
    with pytest.raises(ValueError, match=r"unknown model 'resnet18'; did you mean resnet8, .* all are in docs/netw"):
        models.build("resnet18")
    with pytest.raises(ValueError, match="se_wide has no option placement; known are: se, stages, classes, "):
        models.build("se_wide", placement="pre")
    with pytest.raises(TypeError, match=r"^se_resnet20 has no option reducton; did you mean reduction"):
        models.se_resnet20(reducton=4)
    for name, model in models.MODELS.items():
        assert model is getattr(models, name)
        assert (model.__name__, model.__module__.partition("_")[0]) == (name, "npse.models.named")
        title = model.__doc__.split(":")[0].lower().replace("-", "")
        assert title == name.replace("_", "") or "wide" in name
        assert inspect.signature(model).parameters["se"].default is name.startswith(("se_", "senet"))
        (options,) = typing.get_args(typing.get_type_hints(inspect.unwrap(model), include_extras=True)["options"])
        assert sorted(inspect.signature(model).parameters) == sorted(typing.get_type_hints(options))


@pytest.mark.parametrize("edition", backend.available())
@pytest.mark.parametrize("size", [(8, 8), (9, 8)])
@pytest.mark.parametrize("model", ["se_resnet8", "se_wide"])
def test_shapes_through_the_network(edition, size, model):
    with backend.using_edition(backend.with_numpy_results(edition)):
        logits, backward = models.build(model)(np.zeros((2, *size, 3), np.float32))
        dx, gradients = backward(np.ones_like(logits))
    assert logits.shape == (2, 10)
    assert dx.shape == (2, *size, 3)
    assert {array.dtype for array in gradients.values()} == {np.dtype(np.float32)}


def test_the_gradient_of_the_images_can_be_left_out():
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype(np.float32)
    (_, whole), (_, lean) = models.resnet8()(x), models.resnet8(input_gradient=False)(x)
    (dx, gradients), (none, fewer) = (backward(np.ones((2, 10), np.float32)) for backward in (whole, lean))
    assert dx.shape == x.shape
    assert none is None
    assert all(np.array_equal(gradients[name], fewer[name]) for name in gradients)


def test_a_network_is_printed_as_a_tree():
    network = Sequential({"conv1": Conv2d(3, 8, 3, rng=RNG), "layer1": Sequential({
        "0": BasicBlock(8, 8, 1, None, SqueezeExcite(8, bias=True, rng=RNG), rng=RNG)}), "fc": Dense(8, 2, rng=RNG)})
    assert [line.split() for line in repr(network).splitlines()] == [line.split() for line in """
        Sequential
        conv1 Conv2d weight (3, 3, 3, 8) 216
        layer1 Sequential
        0 BasicBlock
        conv1 Conv2d weight (3, 3, 8, 8) 576
        bn1 BatchNormReLU weight (8,), bias (8,) 16
        conv2 Conv2d weight (3, 3, 8, 8) 576
        bn2 BatchNorm weight (8,), bias (8,) 16
        se SqueezeExcite
        fc1 Dense weight (4, 8), bias (4,) 36
        fc2 Dense weight (8, 4), bias (8,) 40
        fc Dense weight (2, 8), bias (2,) 18
        total: 1,494 parameters""".strip().splitlines()]
    lines = repr(models.se_resnet8()).splitlines()
    assert lines[1] == "  conv1           Conv2d             weight (3, 3, 3, 16)               432"
    assert lines[-1] == f"total: {count(models.se_resnet8()):,} parameters"


def test_one_seed_one_network():
    a, b, c = (models.se_resnet8(seed=seed).state() for seed in (1, 1, 2))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not np.array_equal(a["conv1.weight"], c["conv1.weight"])


def test_running_statistics_move_in_training_only():
    layer, x = BatchNorm(3), np.random.default_rng(0).standard_normal((4, 5, 5, 3)).astype(np.float32)
    layer(x)
    after = layer.buffers["running_mean"]
    np.testing.assert_allclose(after, 0.1 * x.mean((0, 1, 2)), rtol=1e-5)
    layer.eval()(x)
    assert layer.buffers["running_mean"] is after


@pytest.mark.parametrize("make", [BatchNorm, BatchNormReLU])
def test_inference_uses_the_running_statistics(make):
    layer, x = make(3).eval(), np.random.default_rng(0).standard_normal((4, 5, 5, 3)).astype(np.float32)
    y, backward = layer(x)
    expected = x / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(y, expected if make is BatchNorm else np.maximum(expected, 0), rtol=1e-6)
    dx, _ = backward(np.ones_like(y))
    np.testing.assert_allclose(dx, (1 if make is BatchNorm else x > 0) / np.sqrt(1 + 1e-5), rtol=1e-6)


def test_relu_and_sequential():
    chain = Sequential({"relu": ReLU()})
    y, backward = chain(np.array([-1.0, 2.0]))
    np.testing.assert_array_equal(y, [0, 2])
    dx, gradients = backward(np.array([5.0, 5.0]))
    np.testing.assert_array_equal(dx, [0, 5])
    assert gradients == {}


def test_predict_keeps_nothing_for_a_backward_pass():
    class Plus1(Layer):
        """Counts the inputs, of this layer and of those before it, that are still in memory."""

        given, alive = [], []

        def __call__(self, x):
            self.given.append(weakref.ref(x))
            self.alive.append(sum(known() is not None for known in self.given))
            return x + 1, lambda dy: (dy + 0 * x, {})

    chain = Sequential({"stage": Sequential({str(index): Plus1() for index in range(4)})})
    assert chain.predict(np.zeros(3)).tolist() == [4, 4, 4]
    assert Plus1.alive == [1, 2, 2, 2]                             # the input of the network, and that of this layer


END = "conv2d_se_add_relu_inference"


@pytest.mark.parametrize("edition", backend.available())
@pytest.mark.parametrize(("model", "options", "ends"), [
    ("se_resnet8", {}, 3), ("se_resnet8", {"bias": True}, 3), ("resnet8", {}, 3), ("se_resnet8", {"stages": (2,)}, 3),
    ("se_resnet8", {"placement": "post"}, 3), ("se_resnet8", {"gate": "tanh"}, 0),
    ("se_resnet8", {"hidden_norm": True}, 0), ("se_resnet8", {"squeeze": "max"}, 0),
    ("se_resnet8", {"excitation": "eca"}, 0), ("fast", {"widths": (16, 16, 16)}, 0)])
def test_predict_returns_what_a_call_returns(edition, model, options, ends):
    rng = np.random.default_rng(0)
    network = models.build(model, classes=4, **options).eval()
    network.update({name: rng.uniform(0.5, 2, array.shape).astype(array.dtype)
                    for name, array in network.named_buffers().items()})
    x, seen = rng.standard_normal((3, 32, 32, 3)).astype(np.float32), []
    with (backend.using_edition(backend.with_numpy_results(edition)),
          backend.observing(lambda op, arguments, result: seen.append(op))):
        found = network.predict(x)
        called = network(x)[0]
    assert seen.count(END) == ends                 # in a prediction, if the gates are those of the paper's formula
    np.testing.assert_allclose(found, called, rtol=0, atol=2e-6 * abs(called).max())
    if edition == "reference" and not any(name.endswith("fc1.weight") for name in network.named_parameters()):
        np.testing.assert_array_equal(found, called)


def test_predict_in_training_uses_the_statistics_of_the_batch():
    network, x = models.se_resnet8(classes=4), np.random.default_rng(0).standard_normal((3, 32, 32, 3), np.float32)
    np.testing.assert_array_equal(network.predict(x), network(x)[0])


def test_gates_are_visited_in_a_prediction_too():
    network, seen = models.se_resnet8(classes=4).eval(), []
    x = np.random.default_rng(0).standard_normal((3, 32, 32, 3)).astype(np.float32)
    before = network.predict(x)
    with visiting_gates(network, lambda name, s: seen.append(name) or 0 * s):
        closed = network.predict(x)
    assert seen == ["layer1.0", "layer2.0", "layer3.0"]
    assert abs(closed - before).max() > 0.01
    np.testing.assert_array_equal(network.predict(x), before)


def test_predict_takes_many_images_a_few_at_a_time():
    given = []

    class Middle(Layer):
        """Subtracts the mean."""

        def __call__(self, x):
            given.append(len(x))
            return x - x.mean(), None

    x = np.random.default_rng(0).standard_normal((300, 2))
    chain = Sequential({"stage": Sequential({"middle": Middle()})})
    np.testing.assert_array_equal(chain.predict(x), x - x.mean())          # in training the batch stays whole
    pieces = [x[:128], x[128:256], x[256:]]
    np.testing.assert_array_equal(chain.eval().predict(x), np.concatenate([piece - piece.mean() for piece in pieces]))
    assert given == [300, 128, 128, 44]


@pytest.mark.parametrize("edition", backend.available())
def test_backward_runs_on_the_edition_of_its_forward(edition):
    seen = []
    layer, x = Conv2d(2, 3, 3, rng=np.random.default_rng(0)), np.ones((1, 4, 4, 2), np.float32)
    with (backend.using_edition(backend.with_numpy_results(edition)),
          backend.observing(lambda op, arguments, result: seen.append(op))):
        y, backward = layer(x)
    backward(np.ones_like(y))
    assert seen == ["conv2d", "conv2d_backward_w", "conv2d_backward_x"]


@pytest.mark.parametrize("edition", backend.available())
def test_a_network_memorizes_32_images(edition):
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((32, 12, 12, 3)).astype(np.float32), rng.integers(10, size=32)
    network = models.se_resnet8(widths=(8, 16, 32))
    optimizer = SGD(network, weight_decay=0.0)
    with backend.using_edition(backend.with_numpy_results(edition)) as ops:
        for _ in range(60):
            logits, backward = network(x)
            _, gradients = backward(ops.softmax_cross_entropy_backward(1.0, logits, labels))
            optimizer.step(gradients, lr=0.05)
        logits, _ = network(x)
    assert (logits.argmax(axis=1) == labels).all()


def test_weight_decay_leaves_out_batch_norm_and_biases():
    network = models.se_resnet8(bias=True)
    before = network.named_parameters()
    SGD(network, momentum=0.0, weight_decay=0.5).step({name: np.zeros_like(w) for name, w in before.items()}, lr=1.0)
    for name, w in network.named_parameters().items():
        np.testing.assert_allclose(w, 0.5 * before[name] if w.ndim > 1 else before[name], rtol=1e-6)


def test_load_names_the_first_misfit_in_the_order_of_what_is_loaded():
    network = models.se_resnet8()
    strange = {f"{letter}.weight": np.zeros(3) for letter in "zyxwv"}
    with pytest.raises(ValueError, match=r"load: z\.weight is unknown to this network"):
        network.load(network.state() | strange)
    with pytest.raises(ValueError, match=r"load: v\.weight is unknown to this network"):
        network.load(dict(reversed(strange.items())) | network.state())
    with pytest.raises(ValueError, match=rf"load: {next(iter(network.state()))} is missing in the loaded arrays"):
        network.load({})
    with pytest.raises(ValueError, match=f"load: {list(network.state())[-1]} has shape"):
        network.load({name: np.zeros(1) for name in reversed(network.state())})


def test_load_copies_all_or_nothing():
    network, other = models.se_resnet8(seed=0), models.se_resnet8(seed=1)
    before = network.state()
    state = other.state() | {"fc.bias": np.zeros(7, np.float32)}
    with pytest.raises(ValueError, match=r"fc\.bias has shape \(7,\), but this network needs \(10,\)"):
        network.load(state)
    assert all(network.state()[name] is before[name] for name in before)
    with pytest.raises(ValueError, match="unknown to this network"):
        models.resnet8().load(other.state())
    network.load(other.state())
    assert all(np.array_equal(network.state()[name], array) for name, array in other.state().items())


RNG = np.random.default_rng(0)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize(("shortcut", "names"), [
    (None, []),
    (Sequential(), []),
    (Conv2d(4, 4, 1, rng=RNG), ["downsample.weight"]),
    (BatchNorm(4), ["downsample.weight", "downsample.bias"]),
    (Sequential({"conv": Conv2d(4, 4, 1, rng=RNG)}), ["downsample.conv.weight"]),
    (projection_shortcut(4, 4, 1, rng=RNG), [f"downsample.{name}" for name in ("0.weight", "1.weight", "1.bias")]),
], ids=["none", "empty", "convolution", "batch norm", "chain", "projection"])
def test_a_block_keeps_the_shortcut_it_is_given(shortcut, names, placement):
    rng = np.random.default_rng(1)
    block = BasicBlock(4, 4, 1, shortcut, SqueezeExcite(4, 2, rng=rng), placement, rng=rng).astype(np.float64)
    assert [name for name in block.named_parameters() if name.startswith("downsample")] == names
    x, dy = rng.standard_normal((2, 2, 3, 5, 4))
    _, backward = block(x)
    dx, gradients = backward(dy)
    assert gradients.keys() == block.named_parameters().keys()
    for name in names:
        assert np.abs(gradients[name]).max() > 0
    direction = rng.standard_normal(x.shape)
    above, below = (float((block(x + h * direction)[0] * dy).sum()) for h in (1e-6, -1e-6))
    np.testing.assert_allclose((dx * direction).sum(), (above - below) / 2e-6, rtol=1e-6)


def test_gates_of_one_make_a_plain_block():
    """A plain block runs the ops of a block with gates, with all gates one. So their times differ by the excitation."""
    def seen(network):
        ops = []
        with backend.observing(lambda op, arguments, result: ops.append(op)):
            logits, backward = network(np.ones((2, 8, 8, 3), np.float32))
            backward(np.ones_like(logits))
        return [op for op in ops if not op.startswith("excite") and op != "batch_norm_inference"]

    for gated, plain in (("se_resnet8", "resnet8"), ("se_wide", "wide")):
        assert seen(models.build(gated)) == seen(models.build(plain))


@pytest.mark.parametrize("training", [True, False])
def test_evaluating_leaves_every_layer_as_it_was(training):
    network = models.resnet8()
    network._switch(training)
    frozen = network.children["bn1"].eval()
    before = [layer.training for layer in network.layers()]
    with contextlib.suppress(KeyError), network.evaluating():
        assert not any(layer.training for layer in network.layers())
        raise KeyError
    assert [layer.training for layer in network.layers()] == before
    assert frozen.training is False


@pytest.mark.parametrize(("kernel", "padding", "size"), [
    (3, None, 5), (1, None, 5), (5, None, 5), (2, 0, 4), (4, 2, 6)])
def test_padding_of_convolutions(kernel, padding, size):
    y, backward = Conv2d(2, 3, kernel, padding=padding, rng=RNG)(np.ones((1, 5, 5, 2), np.float32))
    assert y.shape == (1, size, size, 3)
    assert backward(y)[0].shape == (1, 5, 5, 2)


REFUSED = {
    "an even kernel without padding": (r"no padding keeps the size of a map for the even kernel 2; use an odd kernel",
                                       lambda: Conv2d(2, 3, 2, rng=RNG)),
    "reduction larger than C": (r"reduction 32 is larger than the 16 channels", lambda: SqueezeExcite(16, 32, rng=RNG)),
    "reduction of zero": (r"reduction must be an integer of at least 1", lambda: SqueezeExcite(16, 0, rng=RNG)),
    "fractional reduction": (r"reduction must be an integer", lambda: SqueezeExcite(16, 2.5, rng=RNG)),
    "no channels": (r"cin must be an integer of at least 1", lambda: Dense(0, 3, rng=RNG)),
    "unknown placement": (r"unknown placement 'before'; known are: standard, pre, post, identity, 3x3",
                          lambda: BasicBlock(4, 4, 1, Sequential(), placement="before", rng=RNG)),
    "unknown shortcut": (r"unknown shortcut 'none'; known are: projection", lambda: models.resnet20(shortcut="none")),
    "impossible depth": (r"depth must be 6n \+ 2", lambda: models.resnet(21)),
    "channels that do not match": (r"conv2d_moments: w .* but Cin = 4",
                                   lambda: models.resnet8()(np.ones((1, 8, 8, 4), np.float32))),
    "an empty batch": (r"axis N is empty", lambda: models.resnet8()(np.ones((0, 8, 8, 3), np.float32))),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused(case):
    words, call = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        call()
