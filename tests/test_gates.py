"""The microscope: gates are seen and replaced in every structure, and the numbers about them are right."""

import dataclasses

import numpy as np
import pytest

from npse import backend, models
from npse.analysis import inspect, sheets, statistics
from npse.analysis.interventions import INTERVENTIONS, _shuffle, intervene
from npse.analysis.observation import observe
from npse.layers.excitations import EXCITATIONS
from npse.layers.gate_visitor import gated_layers, kind_of, per_image, visiting_gates, without_gates
from npse.training import predict
from npse.training.gate_histograms import BINS, GateHistograms, expect

SMALL = {"widths": (4, 8, 16), "reduction": 2}
HIDDEN = {"simam", "gc"}                         # their gates, if any, cannot be seen
PARTS = {"cbam": ("channel", "spatial"), "scse": ("channel", "pixel"), "scse_max": ("channel", "pixel")}
KINDS = {"cbam_spatial": "pixel", "sse": "pixel", "bam": "element", "no_squeeze": "element",
         "coordinate": "row and column"}


@pytest.fixture
def few(few_shapes):
    """Return a data set with 40 test images."""
    return dataclasses.replace(few_shapes, test_images=few_shapes.test_images[:40],
                               test_labels=few_shapes.test_labels[:40])


def small(excitation="se", **options):
    return models.se_resnet8(excitation=excitation, **SMALL | options)


def batch(images=6):
    return np.random.default_rng(0).standard_normal((images, 8, 8, 3)).astype(np.float32)


def filled(value):
    def visit(name, s):
        if isinstance(s, tuple):
            return tuple(np.full_like(part, value if k == 0 else 1) for k, part in enumerate(s))
        return np.full_like(s, value)
    return visit


def seen(network, x):
    found = {}

    def visit(name, s):
        found[name] = s
        return s
    with visiting_gates(network, visit):
        network.predict(x)
    return found


@pytest.mark.parametrize("excitation", EXCITATIONS)
def test_the_gates_of_every_structure_are_seen(excitation):
    network, x = small(excitation, image_size=8).eval(), batch()
    before = network.predict(x)
    found = seen(network, x)
    blocks = [f"layer{k}.0" for k in (1, 2, 3)]
    if excitation in HIDDEN:
        assert found == {}
        assert [name for name, _ in without_gates(network)] == blocks
    else:
        parts = PARTS.get(excitation)
        assert list(found) == ([f"{block}.{part}" for block in blocks for part in parts] if parts else blocks)
        assert list(found) == [name for name, _ in gated_layers(network)]
        assert without_gates(network) == []
        if parts:
            assert [kind_of(s) for s in found.values()] == ["channel", "pixel"] * 3
        else:
            assert {kind_of(s) for s in found.values()} == {KINDS.get(excitation, "channel")}
        for name, s in found.items():
            channels = SMALL["widths"][int(name[5]) - 1]
            assert per_image(s).shape == (6, 1 if kind_of(s) == "pixel" else channels)
    np.testing.assert_array_equal(network.predict(x), before)       # afterwards all is as it was
    assert not any({"gates", "excite"} & vars(layer).keys() for layer in network.layers())


@pytest.mark.parametrize("excitation", sorted({*EXCITATIONS} - HIDDEN - {*PARTS} - {"bam"}))
def test_gates_of_one_are_a_network_without_excitations(excitation):
    """A block whose gates are all 1 does what the block does without them; in bam, y = u + s * u."""
    network, x = small(excitation, image_size=8).eval(), batch()
    plain = models.resnet8(widths=SMALL["widths"]).eval()
    plain.load({name: array for name, array in network.state().items() if ".se." not in name})
    with visiting_gates(network, filled(1)):
        replaced = network.predict(x)
    np.testing.assert_allclose(replaced, plain.predict(x), rtol=1e-4, atol=1e-5)
    assert not np.allclose(network.predict(x), plain.predict(x), rtol=1e-3) or excitation in ("gct", "lct")


@pytest.mark.parametrize("placement", ["standard", "pre", "post", "identity", "3x3"])
def test_gates_of_one_in_every_place(placement):
    network, x = small(placement=placement).eval(), batch()
    plain = models.resnet8(widths=SMALL["widths"]).eval()
    plain.load({name: array for name, array in network.state().items() if ".se." not in name})
    with visiting_gates(network, filled(1)):
        np.testing.assert_allclose(network.predict(x), plain.predict(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", ["se_preact_resnet20", "se_wide", *(
    pytest.param(name, marks=pytest.mark.slow) for name in (
        "se_vgg8", "se_shake_shake26_2x32d", "se_inception", "se_mobilenet_v3_small", "se_shufflenet",
        "se_efficientnet"))])
def test_every_host_uses_the_gates_that_a_visitor_returns(model):
    network = models.build(model).eval()
    x = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
    with backend.using_edition("auto"):
        before, names = network.predict(x), list(seen(network, x))
        assert names == [name for name, _ in gated_layers(network)]
        assert len(set(names)) == len(names) >= 3
        with visiting_gates(network, filled(0.1)):
            assert not np.allclose(network.predict(x), before, rtol=1e-3)


def test_gates_come_back_after_an_error():
    network = small().eval()
    with pytest.raises(ZeroDivisionError), visiting_gates(network, lambda name, s: 1 / 0):
        network.predict(batch())
    assert seen(network, batch()).keys() == {"layer1.0", "layer2.0", "layer3.0"}


def test_a_visit_within_a_visit():
    network, x = small().eval(), batch()
    with visiting_gates(network, filled(0.3)):
        found = seen(network, x)
        assert all((s == np.float32(0.3)).all() for s in found.values())
        with_outer = network.predict(x)
    with visiting_gates(network, filled(0.3)):
        np.testing.assert_array_equal(network.predict(x), with_outer)      # the outer visit held on
    assert not any({"gates", "excite"} & vars(layer).keys() for layer in network.layers())


def test_gates_are_averaged_over_pixels():
    rng = np.random.default_rng(0)
    sh, sw = rng.random((2, 3, 4)), rng.random((2, 5, 4))
    every = sh[:, :, None] * sw[:, None]                               # (2, 3, 5, 4)
    np.testing.assert_allclose(per_image((sh, sw)), every.mean(axis=(1, 2)))
    np.testing.assert_allclose(per_image(every), every.mean(axis=(1, 2)))
    np.testing.assert_allclose(per_image(every[..., 0]), every[..., :1].mean(axis=(1, 2)))


def test_an_observation_holds_the_logits_and_the_mean_gates(few):
    network = small("coordinate")
    arguments = few.test_images, few.mean, few.std
    found = observe(network, *arguments)
    np.testing.assert_array_equal(found.logits, predict(network, *arguments))
    for name, s in found.gates.items():
        by_row, by_column = found.means[name]
        assert len(s) == 40
        assert by_row.shape[-1] == by_column.shape[-1] == s.shape[1]
    assert found.kinds == dict.fromkeys(found.gates, "row and column")


# numbers

def test_the_variance_between_and_within_classes():
    s = np.array([[0.0, 5], [2, 5], [6, 5], [8, 5]])
    between, within = statistics.variances(s, np.array([0, 0, 1, 1]))
    assert (between, within) == (9 / 2, 1 / 2)                # means 1 and 7 around 4; the second channel is flat
    assert between + within == s.var(axis=0).mean()


def test_gates_without_classes_have_the_ratio_of_chance():
    rng = np.random.default_rng(0)
    found = statistics.describe(rng.random((500, 200)), rng.integers(5, size=500))
    assert found.by_chance == 4 / 495
    assert found.ratio == pytest.approx(found.by_chance, rel=0.15)


def test_how_far_gates_are_from_constants():
    channel = np.array([0.2, 0.4, 0.6])
    labels = np.array([0, 1] * 5)
    constant = statistics.describe(np.full((10, 3), 0.7), labels)
    assert (constant.from_constant, constant.from_channel_constant) == (pytest.approx(0), pytest.approx(0))
    by_channel = statistics.describe(np.tile(channel, (10, 1)), labels)
    assert by_channel.from_constant == pytest.approx(channel.std() / 0.4)
    assert by_channel.from_channel_constant == pytest.approx(0)
    moving = statistics.describe(np.tile(channel, (10, 1)) + np.where(labels, 0.1, -0.1)[:, None], labels)
    assert moving.from_channel_constant == pytest.approx(0.1 / 0.4)


def test_saturated_channels_are_counted():
    s = np.full((100, 4), 0.5)
    s[:, 0], s[:, 1], s[:90, 2], s[:96, 3] = 0.01, 0.99, 0.99, 0.01    # 90 of 100 are not nearly all
    labels = np.arange(100) % 2
    found = statistics.describe(s, labels, (0, 1))
    assert (found.low, found.high) == (2, 1)
    assert (statistics.describe(s, labels).low, statistics.describe(s, labels).high) == (0, 0)
    assert statistics.describe(2 * s, labels, (0, 2)).low == 2         # the margin is part of the range
    assert statistics.describe(s, labels, (0, None)).high == 0


def test_classes_without_images_are_blank():
    means, deviations = statistics.by_class(np.ones((4, 2)), np.array([0, 0, 2, 2]), 3)
    np.testing.assert_array_equal(np.isnan(means), [[False] * 2, [True] * 2, [False] * 2])
    assert deviations[0].tolist() == [0, 0]


def test_what_opens_what():
    s = np.array([[0.1, 0.9, 0.5], [0.2, 0.1, 0.5], [0.9, 0.2, 0.5]])
    assert statistics.openers(s, 0, 2).tolist() == [2, 1]
    assert statistics.closers(s, 1, 2).tolist() == [1, 2]
    assert statistics.most_variable(s, 3).tolist() == [0, 1, 2]
    assert statistics.opened_by(s, 2, 1).tolist() == [0]


def test_the_last_block_of_each_stage():
    names = ["stem", "layer1.0", "layer1.1.channel", "layer1.1.spatial", "layer2.0"]
    assert statistics.last_of_each_stage(names) == ["stem", "layer1.1.channel", "layer1.1.spatial", "layer2.0"]


def test_the_most_frequent_mistakes_come_first():
    labels, predicted = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 2, 0, 1, 0, 2])
    (true, found, which), (*second, _) = sheets.confused_pairs(labels, predicted, 5)
    assert (true, found, which.tolist()) == (1, 0, [2, 4])
    assert second == [0, 2]
    assert sheets.confused_pairs(labels, labels, 5) == []


# interventions

def answers(network, few, **options):
    given = few.test_images, few.test_labels, few.mean, few.std
    observation = observe(network, given[0], *given[2:])
    return observation, intervene(network, *given, observation, **options)


def test_an_intervention_is_a_prediction_with_those_gates(few):
    """The accuracy with all gates 1 in a block is that of the same network whose excitation there is left out."""
    network = small()
    _, found = answers(network, few)
    assert found.images == 40
    assert list(found.by_block) == ["layer1.0", "layer2.0", "layer3.0"]
    partly = models.se_resnet8(**SMALL, stages=(1, 3))
    partly.load({name: array for name, array in network.state().items() if not name.startswith("layer2.0.se.")})
    logits = predict(partly, few.test_images, few.mean, few.std)
    right = logits.argmax(axis=1) == few.test_labels
    effect = found.by_block["layer2.0"]["one"]
    assert effect.accuracy == right.mean()
    assert effect.change == pytest.approx(right.mean() - found.accuracy)


def test_the_error_is_that_of_paired_differences(few):
    network = small()
    observation, found = answers(network, few)
    right = observation.logits.argmax(axis=1) == few.test_labels
    assert found.accuracy == right.mean()
    for kinds in found.by_block.values():
        assert tuple(kinds) == INTERVENTIONS
        for effect in kinds.values():
            assert effect.change == pytest.approx(effect.accuracy - found.accuracy)
            # of n differences in -1, 0, 1 with mean m and a share p that is not 0: variance p - m^2
            changed = (effect.error**2 * 39 + effect.change**2) * 40
            assert changed == pytest.approx(round(changed), abs=1e-6)


def test_constant_gates_may_be_frozen_or_shuffled(few):
    """Where the gates of an image are those of all images, their mean and those of another image change nothing."""
    network = small("lct")                                             # at first all its gates are equal
    _, found = answers(network, few)
    for kinds in found.by_block.values():
        assert kinds["mean"].change == kinds["shuffled"].change == kinds["mean"].error == 0


@pytest.mark.parametrize("excitation", ["cbam", "bam", "coordinate"])
def test_gates_of_every_shape_can_be_replaced(excitation, few):
    _, found = answers(small(excitation), few, sample=10)
    assert found.images == 10
    assert all(np.isfinite(effect.accuracy) for kinds in found.by_block.values() for effect in kinds.values())


def test_shuffling_gives_every_image_the_gates_of_another():
    s = np.arange(50.0)[:, None]
    for seed in range(20):
        order = _shuffle(np.random.default_rng(seed), s)[:, 0]
        assert sorted(order) == list(range(50))
        assert (order != s[:, 0]).all()
    assert _shuffle(np.random.default_rng(0), s[:1]).tolist() == [[0]]


@pytest.mark.parametrize("sample", [0, 1, 41])
def test_a_wrong_number_of_images_is_refused(sample, few):
    with pytest.raises(ValueError, match=rf"sample must lie in 2..40, the number of images, but is {sample}"):
        answers(small(), few, sample=sample)


# inspections

def remarks(network, few):
    return inspect(network, few, effects=False).remarks


def test_saturated_gates_are_reported(few):
    network = small(bias=True)
    network.update({"layer2.0.se.fc2.bias": np.array([9, -9, 0, 0, 0, 0, 0, 9], np.float32)})
    lines = "\n".join(remarks(network, few))
    assert "within 5% of the low end of their range, 0, for 95% of the images or more, in 1 of 8 ch" in lines
    assert "within 5% of the high end of their range, 1, for 95% of the images or more, in 2 of 8 channels" in lines


def test_constant_gates_are_reported(few):
    line, = remarks(small("lct"), few)
    assert line.startswith("Constant: the gates of layer1.0, layer2.0, layer3.0 differ by less than 2%")


def test_what_is_averaged_or_hidden_is_said(few):
    assert "layer1.0, layer2.0, layer3.0: a gate for each pixel." in " ".join(remarks(small("sse"), few))
    assert remarks(small("simam"), few) == [
        "layer1.0, layer2.0, layer3.0: SimAM has no gates that can be seen: it adds to its maps, or scales them within "
        "one op."]
    assert remarks(models.resnet8(), few) == ["This network has no gates."]


def test_a_notebook_shows_an_inspection(few):
    found = inspect(small(), few, "a <network>", sample=10)
    page = found._repr_html_()
    assert "a &lt;network&gt;" in page
    assert page.count("<img ") == page.count("src='data:image/png;base64,") == 4
    assert "Does it matter?" in page
    assert repr(found) == "Inspection('a <network>': 40 images, 3 blocks with gates)"


def test_histograms_count_every_gate():
    histograms = GateHistograms()
    s = np.array([[0.0, 0.5], [1.0, 7.0], [-3.0, 0.52]])
    assert histograms("layer1.0", s) is s
    histograms("layer1.0", s)
    counts = histograms.entry()["gates"]["layer1.0"]
    assert sum(counts) == 12
    assert (counts[0], counts[20], counts[30], counts[40], counts[-1]) == (2, 2, 4, 2, 2)
    expect(histograms.entry())
    assert GateHistograms().entry() == {}


@pytest.mark.parametrize("gates", [3, {"a": 3}, {"a": [1] * (BINS - 1)}, {"a": [1.5] * BINS}, {"a": [-1] * BINS}])
def test_wrong_histograms_are_refused(gates):
    with pytest.raises(ValueError, match="gates"):
        expect({"epoch": 1, "gates": gates})
