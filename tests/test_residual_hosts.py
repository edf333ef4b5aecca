"""Residual networks of every family: sizes, names, places of the excitations, gradients of whole networks."""

import itertools

import numpy as np
import pytest
from shares import some

from npse import backend, data, models, training
from npse.gradcheck import KinkRecorder, check_direction
from npse.layers import PLACEMENTS, Dropout, Shake
from npse.layers.shake import SHAKE_PLACEMENTS, Pixels
from npse.models.bottleneck_resnet import bottleneck_resnet
from npse.models.imagenet_resnet import imagenet_resnet
from npse.models.preact_resnet import preact_resnet
from npse.models.resnext import resnext
from npse.models.senet154 import senet
from npse.models.shake_shake import shake_shake
from npse.models.wide_resnet import wide_resnet

SMALL = {"widths": (2, 3), "image_size": 8, "reduction": 2}
FAMILIES = {
    "resnet": lambda **options: models.resnet(8, **SMALL | options),
    "bottleneck": lambda **options: bottleneck_resnet(11, **SMALL | options),
    "resnext": lambda **options: resnext(11, 2, 2, **SMALL | options),
    "preact": lambda **options: preact_resnet(8, **SMALL | options),
    "preact bottleneck": lambda **options: preact_resnet(11, "bottleneck", **SMALL | options),
    "wide": lambda **options: wide_resnet(10, 2, dropout=0.2, **SMALL | options),
    "shake": lambda **options: shake_shake(8, 2, image_size=8, reduction=2, **options),
    "imagenet": lambda **options: imagenet_resnet((1, 1), 2, 32, **SMALL | {"image_size": 16, "classes": 10} | options),
    "senet": lambda **options: senet((1, 1), 2, dropout=0.2, **SMALL | {"image_size": 16, "classes": 10} | options),
}
PLACES = {name: SHAKE_PLACEMENTS if name == "shake" else PLACEMENTS for name in FAMILIES}
VARIANTS = [(name, {"se": False}) for name in FAMILIES] + [
    (name, {"placement": place}) for name in FAMILIES for place in PLACES[name]] + [
    ("bottleneck", {"shortcut": "identity"}), ("preact", {"shortcut": "identity"}),
    ("preact", {"squeeze": "max"}), ("bottleneck", {"squeeze": "max"}), ("shake", {"excitation": "eca"}),
    ("resnext", {"stages": (2,), "bias": True})]


def count(network):
    return sum(array.size for array in network.named_parameters().values())


LITERATURE = {"reduction": 16, "bias": True, "min_hidden": 1}


@pytest.mark.parametrize(("name", "options", "parameters"), some([
    ("resnet164", {}, 1_704_154), ("se_resnet164", LITERATURE, 1_906_258),
    ("preact_resnet20", {}, 272_282), ("preact_resnet110", {}, 1_730_522), ("preact_resnet164", {}, 1_703_258),
    ("resnext29_32x4d", {}, 4_775_754), ("resnext29_8x64d", {}, 34_426_698),
    ("wide_resnet28_10", {}, 36_479_194), ("wide_resnet16_8", {}, 10_961_370), ("shake_shake26_2x32d", {}, 2_923_162),
    ("se_resnet50", {"bias": False}, 25_557_032 + 2_514_944), ("resnet50", {}, 25_557_032),
    ("se_resnet50", {"placement": "3x3", "bias": False}, 25_557_032 + 157_184),
    *(("se_resnet50", {"stages": (stage,), "bias": False}, 25_557_032 + more)
      for stage, more in enumerate((24_576, 131_072, 786_432, 1_572_864), start=1)),
], 3))
def test_parameter_counts_are_those_of_the_literature(name, options, parameters):
    assert count(models.build(name, **options)) == parameters


@pytest.mark.slow
def test_parameter_count_of_the_largest_shake_shake():
    assert count(models.shake_shake26_2x96d()) == 26_192_922        # 26.2 M in the paper


def test_names_of_arrays():
    expected = {
        "bottleneck": ("layer1.0.conv3.weight", "layer1.0.bn3.running_var", "layer1.0.se.fc1.weight",
                       "layer2.0.downsample.0.weight", "layer2.0.downsample.1.bias"),
        "preact": ("layer1.0.bn1.weight", "layer1.0.conv2.weight", "layer2.0.downsample.0.weight", "bn.weight"),
        "preact bottleneck": ("layer1.0.bn3.weight", "layer1.0.conv3.weight", "layer1.0.downsample.0.weight"),
        "shake": ("layer1.0.branch1.conv1.weight", "layer1.0.branch2.bn2.bias", "layer1.0.shake.count",
                  "layer1.0.downsample.0.1.conv.weight", "layer1.0.se.fc2.weight"),
        "senet": ("layer0.conv3.weight", "layer1.0.downsample.0.weight", "layer2.0.se.fc1.bias", "fc.bias"),
    }
    for family, names in expected.items():
        assert {*names} <= FAMILIES[family]().state().keys()
    assert "layer1.0.downsample.1.weight" not in FAMILIES["preact"]().state()


def report(name, options, edition, training=True, plant=None):
    """Check the gradient of the loss of a small network; random numbers are those of its first call each time."""
    rng = np.random.default_rng(0)
    network = FAMILIES[name](**options).astype(np.float64)
    network.update({key: w + 0.2 * rng.standard_normal(w.shape) for key, w in network.named_parameters().items()})
    network.update({key: rng.uniform(0.5, 2, b.shape) for key, b in network.named_buffers().items() if "var" in key})
    network._switch(training)
    shakes = [layer for layer in network.layers() if isinstance(layer, Shake)]
    for layer in shakes:
        layer.same = True
    first = network.named_buffers()
    parameters, labels = network.named_parameters(), np.array([1, 7, 3])
    x = rng.standard_normal((3, 16, 18, 3) if name in ("imagenet", "senet") else (3, 8, 9, 3))

    def loss(at):
        network.update(first | at)
        logits, _ = network(x)
        return backend.active().softmax_cross_entropy(logits, labels, 0.1)

    recorder = KinkRecorder()
    with backend.using_edition(backend.with_numpy_results(edition)) as ops, backend.observing(recorder):
        network.update(first)
        logits, backward = network(x)
        _, gradients = backward(ops.softmax_cross_entropy_backward(1.0, logits, labels, 0.1))
        if plant:
            gradients[plant] = 1.001 * gradients[plant]
        return check_direction(loss, parameters, gradients, recorder)


@pytest.mark.parametrize(("name", "options"), some(VARIANTS, 3))
def test_network_gradients(name, options):
    found = report(name, options, "reference")
    assert found.ok, str(found)


# Every shape of a map compiles its own kernels, so most families are slow here.
@pytest.mark.parametrize("name", [name if name == "preact" else pytest.param(name, marks=pytest.mark.slow)
                                  for name in FAMILIES])
def test_network_gradients_on_the_cpu_edition(name):
    found = report(name, {}, "cpu")
    assert found.ok, str(found)


@pytest.mark.parametrize("name", FAMILIES)
def test_network_gradients_at_inference(name):
    found = report(name, {}, "reference", training=False)
    assert found.ok, str(found)


@pytest.mark.parametrize(("name", "plant"), [
    ("preact", "layer2.0.bn1.weight"), ("bottleneck", "layer2.0.conv3.weight"),
    ("shake", "layer1.0.branch2.conv2.weight")])
def test_an_error_of_a_thousandth_is_found(name, plant):
    found = report(name, {}, "reference", plant=plant)
    assert plant in {result.argument for result in found.failures}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_place_gives_another_network(name):
    x = np.random.default_rng(1).standard_normal((2, 16, 16, 3)).astype(np.float32)
    logits = [FAMILIES[name](placement=place).eval().predict(x) for place in PLACES[name]]
    logits.append(FAMILIES[name](se=False).eval().predict(x))
    assert all(np.abs(a - b).max() > 1e-5 for a, b in itertools.combinations(logits, 2))


@pytest.mark.parametrize(("call", "words"), [
    (lambda: FAMILIES["shake"](placement="3x3"), "unknown placement '3x3'; known are: standard, pre, post, identity"),
    (lambda: FAMILIES["bottleneck"](placement="1x1"), r"unknown placement '1x1'; .*standard, pre, post, identity, 3x3"),
    (lambda: FAMILIES["preact"](placement="before"), "unknown placement 'before'"),
    (lambda: bottleneck_resnet(22), r"depth must be 9n \+ 2 for n blocks in each stage \(11, 20, 29, \.\.\.\)"),
    (lambda: bottleneck_resnet(21), r"depth must be 9n \+ 2"), (lambda: wide_resnet(20), r"depth must be 6n \+ 4"),
    (lambda: preact_resnet(20, "bottle"), "unknown block 'bottle'; did you mean bottleneck"),
    (lambda: preact_resnet(20, shortcut="none"), "unknown shortcut 'none'"),
    (lambda: shake_shake(26, 33), "channels of a Shake-Shake block that changes shape must be even, but are 33"),
    (lambda: FAMILIES["wide"](stages=(3,)), "stages must be"),
])
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("edition", backend.available())
def test_shares_of_training_are_independent_and_those_of_inference_even(edition):
    layer = Shake(seed=3)
    a, b = np.ones((500, 1, 1, 1)), np.zeros((500, 1, 1, 1))
    with backend.using_edition(backend.with_numpy_results(edition)):
        alpha, backward = layer.mix(a, b)
        beta, rest = backward(a)
        np.testing.assert_allclose(beta + rest, 1)
        assert abs(np.corrcoef(alpha.ravel(), beta.ravel())[0, 1]) < 0.15
        assert abs(alpha.mean() - 0.5) < 0.05
        assert abs(beta.std() - 12**-0.5) < 0.03
        assert np.abs(layer.mix(a, b)[0] - alpha).max() > 0.1          # another call, other shares
        np.testing.assert_array_equal(Shake(seed=3).mix(a, b)[0], alpha)
        assert np.abs(Shake(seed=4).mix(a, b)[0] - alpha).max() > 0.1
        again = Shake(seed=3, same=True)
        y, backward = again.mix(a, b)
        np.testing.assert_array_equal(backward(a)[0], y)
        even, backward = layer.eval().mix(a, b)
        np.testing.assert_array_equal(even, 0.5)
        np.testing.assert_array_equal(backward(a)[1], 0.5)


def test_random_layers_of_one_network_have_different_seeds():
    for family, kind in (("shake", Shake), ("wide", Dropout)):
        seeds = [layer.seed for layer in FAMILIES[family]().layers() if isinstance(layer, kind)]
        assert len({*seeds}) == len(seeds) >= 2


def test_a_shifted_shortcut_reads_the_pixels_above_and_left():
    x = np.arange(30.0).reshape(1, 5, 6, 1)
    np.testing.assert_array_equal(Pixels(1, 2)(x)[0][0, ..., 0], x[0, ::2, ::2, 0])
    y, backward = Pixels(1, 2, shifted=True)(x)
    np.testing.assert_array_equal(y[0, ..., 0], [[0, 0, 0], [0, 7, 9], [0, 19, 21]])
    dx, _ = backward(np.ones_like(y))
    np.testing.assert_array_equal(np.argwhere(dx[0, ..., 0]), [[1, 1], [1, 3], [3, 1], [3, 3]])


TRAINED = {
    "resnet164": lambda **options: bottleneck_resnet(11, **options),
    "preact_resnet20": lambda **options: preact_resnet(8, **options),
    "preact_resnet164": lambda **options: preact_resnet(11, "bottleneck", **options),
    "resnext29_8x64d": lambda **options: resnext(11, 4, 8, widths=(16, 32, 64), **options),
    "wide_resnet16_8": lambda **options: wide_resnet(10, 1, dropout=0.1, **options),
    "shake_shake26_2x32d": lambda **options: shake_shake(8, 16, **options),
}


class Silent(training.Reporter):
    """A reporter that ignores everything."""


@pytest.mark.nightly
@pytest.mark.parametrize("se", [True, False])
@pytest.mark.parametrize("name", TRAINED)
def test_a_small_network_of_each_family_trains_on_the_embedded_data(name, se, monkeypatch, tmp_path):
    monkeypatch.setattr(models, "build", lambda _, **options: TRAINED[name](se=se, **options))
    job = training.prepare(training.Config(epochs=8, edition="cpu"))
    folder = training.RunFolder(tmp_path / "run")
    folder.create(job.config, data.load("shapes"), {})
    with backend.using_edition("cpu"):
        training.run(job, folder, Silent())
    assert folder.metrics()[-1]["accuracy"] > 0.95
