"""The command line: what it prints, which files it writes, and one line for every mistake."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from npse import backend
from npse.cli.progress import Lines
from npse.cli.run import next_folder
from npse.models import se_resnet8
from npse.training import SGD, Config, RunFolder, TrainingJob, checkpoint
from npse.training import run as train
from npse.training.job import Split

SETTINGS = {"epochs": 1, "batch_size": 64}


@pytest.fixture(scope="module")
def finished_run(few_shapes, tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("finished") / "run")
    job = TrainingJob(Config(**SETTINGS), few_shapes, Split.from_dataset(few_shapes, 0), network := se_resnet8(),
                      SGD(network))
    folder.create(job.config, few_shapes, {})
    with backend.using_edition("auto"):
        train(job, folder, Lines())
    return folder.path


@pytest.fixture
def run(finished_run, npse, tmp_path):
    """Put a finished run of one epoch into the folder ``run``."""
    shutil.copytree(finished_run, tmp_path / "run")


def test_train_prints_lines_that_a_program_can_read_and_leaves_pictures(npse, tmp_path):
    code, out, err = npse("train", "--epochs", 1, "--batch-size", 64, "--out", "run")
    assert code == 0, err
    line = next(line for line in out.splitlines() if line.startswith("epoch=1/1 train_loss"))
    fields = dict(field.split("=") for field in line.split())
    assert 0 <= float(fields["accuracy"]) <= 1
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "config.json", "metrics.jsonl", "last.safetensors", "best.safetensors", "report.html",
        "curves.png", "confusion.png", "gates.png"}
    for name in ("curves", "confusion", "gates"):
        with Image.open(tmp_path / "run" / f"{name}.png") as picture:
            assert picture.width > 500
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["versions"]["numpy"] == np.__version__
    assert config["cores"] >= 1


def test_a_plain_network_has_no_gates_to_draw(npse, tmp_path):
    assert npse("train", "--model", "resnet8", "--epochs", 1, "--out", "plain")[0] == 0
    assert not (tmp_path / "plain" / "gates.png").exists()


def test_runs_without_a_name_are_numbered(npse, tmp_path):
    (tmp_path / "runs" / "resnet8-shapes-1").mkdir(parents=True)
    assert npse("train", "--model", "resnet8", "--epochs", 1)[0] == 0
    assert (tmp_path / "runs" / "resnet8-shapes-2" / "metrics.jsonl").exists()


def test_evaluate_and_predict(run, npse, few_shapes, tmp_path):
    code, out, _ = npse("evaluate", "run", "--weights", "best", "--tta", "mirror")
    assert code == 0
    assert "test accuracy" in out
    assert "averaged over views (mirror)" in out
    Image.fromarray(few_shapes.test_images[0]).resize((100, 70)).save("a.png")
    Image.fromarray(few_shapes.test_images[1]).convert("L").save("b.jpg")
    code, out, _ = npse("predict", "run", "a.png", "b.jpg")
    assert code == 0
    assert out.count("%") == 10


def test_info_names_versions_and_folders(npse):
    code, out, _ = npse("info")
    assert code == 0
    for word in ("numpy", "processor", "BLAS", "editions", "GPU", "data folder"):
        assert word in out


def test_resume_refuses_other_settings_except_another_edition(run, npse):
    code, _, err = npse("train", "--resume", "--out", "run", "--lr", 0.1)
    assert code == 2
    assert "lr is 0.4" in err
    code, out, _ = npse("train", "--resume", "--out", "run", "--epochs", 1, "--edition", "reference")
    assert code == 0
    assert "edition reference (as asked), going on in run" in out
    assert "the run is finished (1 of 1 epochs)" in out


def broken_checkpoint(folder):
    path = folder / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def foreign_checkpoint(folder):
    checkpoint.save(folder / "last.safetensors", {"w": np.ones(2)}, {"epoch": 1})


def other_model(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model": "resnet20"}))


def truncated_config(folder):
    (folder / "config.json").write_text("{")


def lost_checkpoint(folder):
    (folder / "last.safetensors").unlink()
    line = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(line + line.replace('"epoch": 1', '"epoch": 2'))


@pytest.mark.parametrize(("damage", "words"), [
    (broken_checkpoint, "not a whole safetensors file"), (foreign_checkpoint, "does not belong to the model"),
    (other_model, "does not belong to the model"), (truncated_config, "config.json cannot be read"),
    (lost_checkpoint, "last.safetensors")])
@pytest.mark.parametrize("command", [("evaluate", "run"), ("train", "--resume", "--out", "run")])
def test_a_damaged_run_folder_is_named(run, npse, tmp_path, damage, words, command):
    damage(tmp_path / "run")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    code, _, err = npse(*command)
    assert code == 2
    assert words in err
    assert len(err.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


@pytest.mark.parametrize(("words", "expected"), [
    (("train", "--model", "resnet18"), "unknown model 'resnet18'; did you mean resnet8, "),
    (("train", "--data", "mnist"), "mnist"),
    (("train", "--edition", "gpu"), "unknown edition 'gpu'; known are: auto, reference, cpu"),
    (("train", "--reduction", 999), "--reduction 999 is larger than the 16 channels"),
    (("train", "--reduction", 0), "--reduction must be"),
    (("train", "--min-hidden", 0), "--min-hidden must be"),
    (("train", "--placement", "before"), "unknown placement 'before'"),
    (("train", "--epochs", 0), "--epochs must be at least 1"),
    (("train", "--threads", 0), "--threads must be an integer of at least 1, but is 0"),
    (("train", "--threads", 2, "--edition", "reference"), "--threads is for the cpu edition"),
    (("train", "--budget", "soon", "--data", "cifar10"), "--budget must be a span of time such as 20min"),
    (("train", "--budget", "5min"), "for cifar10 only, not for shapes: add --data cifar10"),
    (("train", "--budget", "5min", "--epochs", 3), "--budget chooses the epochs"),
    (("train", "--lr", "nan"), "--lr must be a positive number"),
    (("train", "--validation", 5000), "leaves no image to train on"),
    (("train", "--resume"), "--resume needs --out"),
    (("train", "--resume", "--out", "nowhere"), "nowhere is not the folder of a run"),
    (("evaluate", "nowhere"), "nowhere is not the folder of a run"),
    (("predict", "nowhere", "picture.png"), "nowhere is not the folder of a run"),
    (("check", "--json", "nowhere/report.json"), "cannot write nowhere/report.json: nowhere is not a folder"),
    (("check", "--json", "."), "cannot write .: it is a folder; name a file"),
    (("bench", "--json", "nowhere/bench.json"), "cannot write nowhere/bench.json: nowhere is not a folder"),
    (("bench", "--edition", "cpu", "--roofline", "a.pdf"), "cannot write a.pdf: its name must end in .png"),
    (("data", "sheet", "shapes", "--out", "nowhere/a.png"), "cannot write nowhere/a.png: nowhere is not a folder"),
    (("data", "sheet", "shapes", "--out", "a.jpg"), "cannot write a.jpg: its name must end in .png"),
])
def test_a_mistake_is_answered_in_one_line_and_leaves_nothing(npse, tmp_path, words, expected):
    code, _, err = npse(*words)
    assert code == 2
    assert err.startswith("npse: ")
    assert expected in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.rglob("*")) == []


def no_picture(path):
    path.write_text("no picture")


def truncated_picture(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:9999])


def bomb(path):
    """Write a picture of 400 million pixels."""
    Image.new("1", (20000, 20000)).save(path)


@pytest.mark.parametrize("draw", [no_picture, truncated_picture, bomb])
def test_a_file_that_is_no_picture(run, npse, tmp_path, draw):
    draw(tmp_path / "notes.png")
    code, _, err = npse("predict", "run", "notes.png")
    assert code == 2
    assert err.startswith("npse: notes.png is not an image that npse can read (")
    assert len(err.splitlines()) == 1


def test_an_unreadable_picture_does_not_stop_the_others(run, npse, few_shapes, tmp_path):
    Image.fromarray(few_shapes.test_images[0]).save("good.png")
    no_picture(tmp_path / "bad.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder").mkdir()
    code, out, err = npse("predict", "run", "bad.png", "good.png", "folder", "gone.png", "empty.png", "good.png")
    assert code == 2
    assert out.count("good.png\n") == 2
    assert out.count("%") == 10
    assert [line.split()[1].rstrip(":") for line in err.splitlines()] == ["bad.png", "folder", "gone.png", "empty.png"]
    assert "(it is empty)" in err
    assert "folder is a folder; name the images in it" in err


def test_an_unknown_option_is_a_usage_error(npse):
    code, _, err = npse("train", "--epoch", 3)
    assert code == 2
    assert "--epoch" in err


def test_a_folder_in_use_is_not_overwritten(run, npse, tmp_path):
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    code, _, err = npse("train", "--out", "run", "--epochs", 1)
    assert code == 2
    assert "add --resume" in err
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before


def test_a_run_without_a_checkpoint_begins_anew_with_one_line_for_each_epoch(run, npse, tmp_path):
    """This is the state after a power cut between the line of the first epoch and its checkpoint."""
    (tmp_path / "run" / "last.safetensors").unlink()
    assert npse("train", "--resume", "--out", "run")[0] == 0
    assert [row["epoch"] for row in RunFolder(tmp_path / "run").metrics()] == [1]


def test_a_file_is_no_folder_for_a_run(npse, tmp_path):
    (tmp_path / "notes.md").write_text("mine")
    code, _, err = npse("train", "--out", "notes.md")
    assert (code, err) == (2, "npse: notes.md is a file; name a folder with --out\n")


def test_weights_alone_cannot_be_resumed_from(run, npse, tmp_path):
    shutil.copy(tmp_path / "run" / "best.safetensors", tmp_path / "run" / "last.safetensors")
    code, _, err = npse("train", "--resume", "--out", "run")
    assert code == 2
    assert "lacks the velocity of" in err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission(npse, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    code, _, err = npse("train", "--out", "locked/run", "--epochs", 1)
    assert code == 2
    assert "Permission denied" in err


def test_a_folder_below_a_file(npse, tmp_path):
    (tmp_path / "file").write_text("mine")
    code, _, err = npse("train", "--out", "file/run", "--epochs", 1)
    assert code == 2
    assert "Not a directory" in err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(("number", "says"), [(errno.ENOSPC, "No space left on device"),
                                              (errno.EDQUOT, "Disk quota exceeded")])
def test_a_disk_that_fills_up_while_saving_loses_nothing(run, npse, tmp_path, monkeypatch, number, says):
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    settings = json.loads((tmp_path / "run" / "config.json").read_text()) | {"epochs": 2}
    (tmp_path / "run" / "config.json").write_text(json.dumps(settings))

    def full(path, content):
        raise OSError(number, says, str(path))
    monkeypatch.setattr(checkpoint, "write_atomically", full)
    code, _, err = npse("train", "--resume", "--out", "run")
    assert code == 2
    assert re.fullmatch(f"npse: run.(best|last).safetensors: {says}: free some space; files saved before are "
                        "unchanged; go on with: npse train --resume --out run\n", err)
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before


def test_the_error_of_a_run_without_memory_names_the_batch_size(npse, monkeypatch):
    def full(*arguments, **options):
        raise MemoryError("the GPU's memory is full")
    monkeypatch.setattr("npse.training.run", full)
    code, _, err = npse("train")
    assert (code, err) == (2, "npse: the GPU's memory is full; a smaller --batch-size takes less memory\n")


def test_the_module_runs_as_a_command():
    words = [sys.executable, "-m", "npse", "train", "--model", "nonsense"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2
    assert "unknown model" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_runs_at_once_take_two_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [next_folder("se_resnet8", "my photos/2") for _ in range(3)]
    assert [path.name for path in folders] == [f"se_resnet8-my_photos_2-{number}" for number in (1, 2, 3)]
