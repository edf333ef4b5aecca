"""`npse cost`: what it counts, by layer and in all, and what it prints."""

import json
import math
import re

import pytest

from npse import backend, models, reference
from npse.bench import cost, cost_report, cost_time
from npse.layers import EXCITATIONS

BLOCKS = {16: (3, 32), 32: (3, 16), 64: (3, 8)}                   # SE-ResNet-20, by channels: blocks, size of the map


@pytest.fixture(autouse=True)
def _fast():
    with backend.using_edition("cpu"):
        yield


def by_layer(model, batch=1, **options):
    return {row["layer"]: row for row in cost.counted(model, options, batch)["layers"]}


def sums(model, batch=1, **options):
    return cost.totals(cost.counted(model, options, batch)["layers"])


@pytest.mark.parametrize("reduction", [2, 4])
def test_the_parameters_of_all_excitations_are_equation_5(reduction):
    found = sums("se_resnet20", reduction=reduction, min_hidden=1)
    assert found["excitations"]["parameters"] == sum(2 * n * c**2 // reduction for c, (n, _) in BLOCKS.items())


def test_all_parameters_and_statistics_are_counted_once():
    network = models.se_resnet20(bias=True)
    found = sums("se_resnet20", bias=True)["network"]
    assert found["parameters"] == sum(array.size for array in network.named_parameters().values())
    assert found["buffers"] == sum(array.size for array in network.named_buffers().values())


def test_the_multiply_adds_of_every_layer_are_those_of_the_formula():
    rows, arrays = by_layer("se_resnet20", batch=2), models.se_resnet20().named_parameters()
    for name, row in rows.items():
        w = arrays.get(f"{name}.weight")
        if row["excitation"]:
            c = arrays[f"{name}.fc2.weight"].shape[0]
            weights = sum(arrays[f"{name}.{fc}.weight"].size for fc in ("fc1", "fc2"))
            expected = 2 * (weights + 2 * c * BLOCKS[c][1]**2)    # squeeze, two dense layers, scaling
        elif w is not None and w.ndim == 4:
            expected = math.prod(row["output"]) * math.prod(w.shape[:3])
        elif w is not None and w.ndim == 2:
            expected = 2 * w.size
        else:
            expected = 2 * 64 * 8 * 8 if name == "pool" else 0
        assert row["multiply_adds"] == expected, name
    assert sum(row["excitation"] for row in rows.values()) == 9


def test_bytes_are_those_of_the_arrays_that_a_layer_reads_and_writes():
    rows = by_layer("resnet8", batch=3)
    maps = 3 * 32 * 32 * 16
    assert rows["conv1"]["bytes"] == 4 * (3 * 32 * 32 * 3 + 3 * 3 * 3 * 16 + 4 * 16 + maps)
    assert rows["bn1"]["bytes"] == 0                              # the convolution before it applies it
    assert rows["layer2.0.bn2"]["bytes"] > 4 * 3 * (3 * 16 * 16 * 32)          # with the shortcut and the ReLU
    assert rows["fc"]["bytes"] == 4 * (3 * 64 + 10 * 64 + 10 + 3 * 10)


def test_an_excitation_costs_the_same_multiply_adds_wherever_its_ops_are_fused():
    fused, apart = sums("se_resnet8"), sums("se_resnet8", placement="post")
    assert fused["excitations"]["multiply_adds"] == apart["excitations"]["multiply_adds"]
    assert fused["excitations"]["bytes_alone"] == apart["excitations"]["bytes"]
    assert fused["excitations"]["bytes"] < apart["excitations"]["bytes"] / 20
    assert apart["excitations"]["bytes_alone"] == 0


def test_the_book_and_the_cpu_edition_cost_the_same():
    found = cost.counted("se_resnet8", {"bias": True})
    with backend.using_edition("reference"):
        assert cost.counted("se_resnet8", {"bias": True}) == found


def test_the_counts_grow_with_the_images_and_the_parameters_do_not():
    one, three = by_layer("se_resnet8"), by_layer("se_resnet8", batch=3)
    assert {name: 3 * row["multiply_adds"] for name, row in one.items()} == {
        name: row["multiply_adds"] for name, row in three.items()}
    assert [row["parameters"] for row in one.values()] == [row["parameters"] for row in three.values()]


def test_a_network_without_excitations_has_no_share_of_them():
    found = sums("resnet8")
    assert not any(found["excitations"].values())
    assert not any(found["share"].values())
    with_them = sums("se_resnet8")
    assert with_them["network"]["multiply_adds"] - found["network"]["multiply_adds"] == (
        with_them["excitations"]["multiply_adds"])


def test_stages_without_excitations_cost_none():
    rows = by_layer("se_resnet8", stages=(3,))
    assert [name for name, row in rows.items() if row["excitation"]] == ["layer3.0.se"]


@pytest.mark.parametrize("name", EXCITATIONS)
def test_every_weight_of_an_excitation_is_multiplied_for_every_image(name):
    arrays = models.se_resnet8(excitation=name).named_parameters()
    for key, row in by_layer("se_resnet8", batch=2, excitation=name).items():
        if row["excitation"]:
            weights = sum(array.size for path, array in arrays.items() if re.match(rf"{key}\..*weight$", path))
            assert row["multiply_adds"] >= 2 * weights, f"{key}: give the op of {name} multiply_adds= in its @op"


@pytest.mark.parametrize("op", [op for op in reference.OPS if "_backward" not in op])
def test_every_op_declares_its_operations(op):
    assert getattr(reference, op).contract.operations is not None, f"give {op} flops= in its @op"


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "se_efficientnet"])
def test_dropout_does_nothing_at_inference(name):
    with_it, without = (cost.counted(name, options)["layers"] for options in ({"dropout": 0.3}, {}))
    assert with_it == without
    assert cost_report.counts([{"model": name, "batch": 1, "size": 32, "options": {}, "layers": with_it}], 1)


def test_layers_are_added_up_by_the_first_parts_of_their_names():
    rows = cost.counted("se_resnet8", {})["layers"]
    groups = {row["layer"]: row for row in cost.grouped(rows, 1)}
    assert list(groups) == ["conv1", "bn1", "layer1", "layer2", "layer3", "pool", "fc"]
    assert groups["layer2"]["output"] == (1, 16, 16, 32)
    for key in ("parameters", "multiply_adds", "bytes"):
        assert sum(group[key] for group in groups.values()) == sum(row[key] for row in rows)
    assert cost.grouped(rows, 9) == [{key: row[key] for key in groups["fc"]} for row in rows]


def test_more_time_is_taken_round_by_round():
    assert cost_time.more([2.0, 3.0, 4.4], [2.0, 2.0, 4.0]) == pytest.approx((0.1, 0.0, 0.5))


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (999, "999"), (1000, "1.000 k"), (12_345, "12.35 k"),
                                             (123_456, "123.5 k"), (3_871_500_000, "3.872 G"), (999_960, "1.000 M")])
def test_numbers_are_shown_in_four_digits(value, text):
    assert cost_report.short(value) == text


@pytest.mark.slow
def test_the_command_counts_and_measures(npse, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = npse("cost", "se_resnet8", "--rounds", 2, "--reduction", 2, "--json", tmp_path / "cost.json")
    assert code == 0
    *lines, last = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert last == f"wrote {tmp_path / 'cost.json'}"
    found = json.loads((tmp_path / "cost.json").read_text())
    counted = cost.counted("se_resnet8", {"reduction": 2})["layers"]
    assert found["networks"][0]["layers"] == json.loads(json.dumps(counted))
    assert [network["name"] for network in found["time"]["networks"]] == ["without", "with excitations"]
    for network in found["time"]["networks"]:
        kinds = ("forward", "training", "forward_processor", "training_processor")
        assert all(len(network[kind]) == 2 and min(network[kind]) > 0 for kind in kinds)
        assert 20 < network["forward_memory"] < network["training_memory"] < 2000
    assert found["processor"] in " ".join(out.split())
    assert re.search(r"^layer3\.0\.se +1x8x8x64 +4,096 +12\.29 k", out, re.MULTILINE)
    assert re.search(r"^parameters +83,418 +5,376 +6\.44%", out, re.MULTILINE)


def test_two_networks_stand_side_by_side(npse, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = npse("cost", "resnet8", "--vs", "se_resnet8", "--no-time", "--batch", 2)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r"^layer1\.0\.se +- +128 ", out, re.MULTILINE)
    assert re.search(r"^parameters +78,042 +80,730 +\+2,688 +\+3\.44%", out, re.MULTILINE)
    assert "time" not in out


@pytest.mark.parametrize(("words", "message"), [
    (("se_resnett",), "unknown model 'se_resnett'; did you mean se_resnet8"),
    (("resnet8", "--vs", "resnet9"), "unknown model 'resnet9'"),
    (("se_resnet8", "--stages", "1-2"), "--stages must be numbers such as 2,3, but are '1-2'"),
    (("se_resnet8", "--reduction", 900), "--reduction 900 is larger than the 16 channels"),
    (("se_resnet8", "--excitation", "foo"), "unknown excitation 'foo'; known are: se,"),
    (("resnet8", "--json", "none/file"), "cannot write none/file: none is not a folder; make it first"),
])
def test_a_mistake_is_answered_in_one_line(npse, words, message):
    code, out, err = npse("cost", *words, "--no-time")
    assert (code, out) == (2, "")
    assert err.startswith(f"npse: {message}")
    assert err.count("\n") == 1
