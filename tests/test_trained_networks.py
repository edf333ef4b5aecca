"""The trained networks that come with npse: whole, described truly, and usable by name."""

import json
import os
import re

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from npse import models
from npse.analysis.inspection import Inspection, inspect
from npse.analysis.summary import GateSummary, gates_of
from npse.cli import app
from npse.data import load
from npse.models import trained
from npse.training import RunFolder, evaluate

NAMES = trained.names()


def npse(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.output, done.exception


def test_there_is_one():
    assert trained.USUAL in NAMES


@pytest.mark.parametrize("name", NAMES)
class TestEach:
    def test_its_weights_fit_and_are_small(self, name):
        network = models.load(name)
        assert not network.training
        assert all(np.isfinite(array).all() for array in network.state().values())
        assert sum(file.stat().st_size for file in trained.folder(name).iterdir()) < 1.5e6

    def test_its_folder_is_that_of_a_run(self, name):
        folder = RunFolder(trained.folder(name))
        network, facts = folder.load_network()
        assert facts["epoch"] == folder.config().epochs == folder.metrics()[-1]["epoch"]
        for key, array in models.load(name).state().items():
            np.testing.assert_array_equal(network.state()[key], array)

    def test_its_card_says_what_the_files_say(self, name):
        text, about, row = (trained.folder(name) / "card.md").read_text(), trained.facts(name), RunFolder(
            trained.folder(name)).metrics()[-1]
        assert f"{row['accuracy']:.1%} of the 10 000 test images" in text
        for key in ("model", "commit", "command"):
            assert about[key]
            assert about[key] in text
        assert f"| seed | {about['seed']} |" in text
        assert all(name in text for name in about["classes"])
        assert not re.search(r"/(home|work|tmp|root)\b", json.dumps(about) + text)

    def test_the_summary_of_its_gates_fits_the_network(self, name):
        summary, network = gates_of(name), models.load(name)
        assert summary.classes == trained.facts(name)["classes"]
        assert summary.images == 10_000
        sizes = {key: w.shape[0] for key, w in network.named_parameters().items() if key.endswith("se.fc2.weight")}
        assert {f"{block}.se.fc2.weight": means.shape[1] for block, means in summary.means.items()} == sizes
        for means, deviations in map(summary.by_class, summary.means):
            assert means.shape == deviations.shape
            assert ((means > 0) & (means < 1)).all()
        row = RunFolder(trained.folder(name)).metrics()[-1]
        assert summary.effects.accuracy == pytest.approx(row["accuracy"], abs=4 * 0.5 / summary.effects.images**0.5)

    @pytest.mark.slow
    @pytest.mark.skipif("NPSE_CIFAR10" not in os.environ, reason="needs CIFAR-10, whose place NPSE_CIFAR10 names")
    def test_it_reaches_its_accuracy(self, name, monkeypatch):
        monkeypatch.setenv("NPSE_DATA_DIR", os.environ["NPSE_CIFAR10"])
        dataset, row = load("cifar10"), RunFolder(trained.folder(name)).metrics()[-1]
        result = evaluate(models.load(name), dataset.test_images, dataset.test_labels, dataset.mean, dataset.std)
        assert result.accuracy == pytest.approx(row["accuracy"], abs=5e-4)


def test_an_unknown_name_lists_those_that_exist():
    with pytest.raises(ValueError, match=r"unknown trained network 'resnet'; known are: .*se_resnet20-cifar10"):
        models.load("resnet")
    code, _, error = npse("evaluate", "se_resnet20-cifar11")
    assert code
    assert "did you mean se_resnet20-cifar10" in str(error)


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)).save(tmp_path / "noise.png")
    return tmp_path / "noise.png"


def test_a_picture_needs_no_run(picture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said, _ = npse("predict", picture, picture, "--edition", "reference")
    assert code == 0
    lines = said.splitlines()
    assert lines[0] == "by se_resnet20-cifar10, which comes with npse"
    assert lines.count(str(picture)) == 2
    assert npse("predict", trained.USUAL, picture, "--edition", "reference")[1].splitlines() == lines[1:7]
    code, said, _ = npse("predict", "missing.jpg")
    assert code == 2
    assert "comes with npse" not in said                          # it answered nothing
    assert "images are missing: npse predict runs/mine IMAGE..." in str(npse("predict", "runs/mine")[2])
    assert "runs/mine is not the folder of a run" in str(npse("predict", "runs/mine", picture)[2])


def test_exports_and_reports_are_not_written_into_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(trained.folder().iterdir())
    assert npse("export", trained.USUAL, "--to", "torch")[0] == 0
    assert (tmp_path / "se_resnet20-cifar10.safetensors").is_file()
    assert sorted(trained.folder().iterdir()) == before


def test_a_summary_is_kept_and_read_again(few_shapes, tmp_path):
    network = models.build("se_resnet8")
    found = inspect(network, few_shapes, "a title", sample=20)
    assert isinstance(found, Inspection)
    GateSummary.of(found).save(tmp_path / "gates.safetensors")
    again = GateSummary.load(tmp_path / "gates.safetensors")
    assert (again.title, again.classes, again.images) == ("a title", list(few_shapes.classes), len(found.images))
    assert again.shown == found.shown
    assert again.effects == found.effects
    for name in found.blocks:
        for ours, theirs in zip(again.by_class(name), found.by_class(name), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    (tmp_path / "other").write_bytes(b"not a file of safetensors")
    with pytest.raises(ValueError, match="does not hold a summary of gates"):
        GateSummary.load(tmp_path / "other")
