"""Several ranks train like one process, with the same bits each time, and every fault ends them with one clear line."""

import json
import re
import sys

import numpy as np
import own_pictures
import pytest
from mpi_launch import HERE, LONGEST, OPTIONS, expect_mpi, launch, train
from safetensors.numpy import load_file

from npse.training import RunFolder

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mpi")]
WIDE = {"float64": True}
CLOSE = 1e-9                     # of the largest entry of an array, in float64
ABORTED = (2, 9)                 # exit codes: that of MPI_Abort, or the signal by which the launcher ends what is left


@pytest.fixture(scope="module", autouse=True)
def _mpi():
    expect_mpi()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a function that returns the folder of a run in float64, which it trains once."""
    made = {}

    def folder(ranks, *options):
        key = ranks, options
        if key not in made:
            made[key] = tmp_path_factory.mktemp("runs") / "run"
            done = train(ranks, made[key], *options, event=WIDE)
            assert done.returncode == 0, done.stderr
        return made[key]
    return folder


def far(one, other, kind=""):
    """Return the largest difference of two checkpoints, relative to the largest entry of each array."""
    a, b = (load_file(folder / "last.safetensors") for folder in (one, other))
    assert a.keys() == b.keys()
    return max(np.abs(a[name] - b[name]).max() / np.abs(b[name]).max() for name in a
               if kind in name and np.abs(b[name]).max() > 0)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_ranks_with_synchronized_statistics_train_like_one_process(runs, ranks):
    alone, together = runs(0, "--sync-bn"), runs(ranks, "--sync-bn")
    assert far(together, alone) < CLOSE
    for row, expected in zip(RunFolder(together).metrics(), RunFolder(alone).metrics(), strict=True):
        assert row["train_loss"] == pytest.approx(expected["train_loss"], rel=CLOSE)
        assert row["loss"] == pytest.approx(expected["loss"], rel=CLOSE)
        assert (row["accuracy"], row["train_accuracy"]) == (expected["accuracy"], expected["train_accuracy"])
        assert {name: sum(counts) for name, counts in row["gates"].items()} \
            == {name: sum(counts) for name, counts in expected["gates"].items()}


def test_ranks_with_statistics_of_their_own_train_like_parts_of_a_batch(runs):
    for weights in ("weight", "bias"):                            # the running statistics are averages over ranks
        assert far(runs(2), runs(0, "--parts", "2"), weights) < CLOSE
    assert far(runs(2), runs(0, "--sync-bn")) > 1e-3              # another network than with those of the batch


def test_the_same_bits_each_time(runs, tmp_path):
    assert train(2, tmp_path / "again", "--sync-bn", event=WIDE).returncode == 0
    assert same_bits(tmp_path / "again", runs(2, "--sync-bn"))


def same_bits(one, other):
    return (one / "last.safetensors").read_bytes() == (other / "last.safetensors").read_bytes()


def resumed(ranks, folder):
    return launch(ranks, sys.executable, HERE / "mpi_rank.py", json.dumps(WIDE), "train", "--resume", "--out", folder)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_all_and_the_run_goes_on_to_the_same_bits(runs, tmp_path, rank):
    done = train(2, tmp_path / "run", "--sync-bn", event=WIDE | {"save": True, "rank": rank, "step": 6, "do": "kill"})
    assert done.returncode != 0, done.stderr
    assert done.seconds < LONGEST
    assert done.lines == ["npse: a process of the run was killed; go on with: mpiexec -n 2 npse train --resume --out "
                          f"{tmp_path / 'run'}"]
    if rank:
        assert resumed(2, tmp_path / "run").returncode == 0
        assert same_bits(tmp_path / "run", runs(2, "--sync-bn"))


def test_a_rank_that_hangs_ends_all_and_another_number_of_ranks_goes_on(runs, tmp_path):
    done = train(2, tmp_path / "run", "--sync-bn", event=WIDE | {"rank": 1, "step": 7, "do": "hang"},
                 environment={"NPSE_MPI_PATIENCE": "2"})
    assert done.returncode in ABORTED, done.stderr
    assert done.seconds < LONGEST
    assert done.lines == ["npse: rank 1 gave no answer for 2 s; go on with: mpiexec -n 2 npse train --resume --out "
                          f"{tmp_path / 'run'}"]
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["ranks"] == 2
    done = resumed(0, tmp_path / "run")
    assert done.returncode == 0
    assert "LOOK  the run was begun with 2 processes and goes on with 1" in done.stdout
    assert far(tmp_path / "run", runs(0, "--sync-bn")) < CLOSE
    assert "epoch=2/2 step=3/4" in done.stdout                    # it was saved after the last whole step


def test_another_rank_speaks_if_rank_0_hangs(tmp_path):
    done = train(3, tmp_path / "run", event={"rank": 0, "step": 3, "do": "hang"},
                 environment={"NPSE_MPI_PATIENCE": "2"})
    assert done.returncode in ABORTED, done.stderr
    assert done.seconds < LONGEST
    assert done.lines[0].startswith("npse: rank 0 gave no answer for 2 s; go on with: ")


@pytest.mark.parametrize(("rank", "what", "line"), [
    (1, "fail", "npse: rank 1: this is planted; go on with: mpiexec -n 2 npse train --resume --out {}"),
    (0, "disk", "npse: {}/last.safetensors: File too large; go on with: mpiexec -n 2 npse train --resume --out {}"),
])
def test_a_failure_ends_all_with_one_line(tmp_path, rank, what, line):
    folder = tmp_path / "run"
    done = train(2, folder, event={"save": True, "rank": rank, "step": 4, "do": what})
    assert done.returncode in ABORTED, done.stderr
    assert done.lines == [line.replace("{}", str(folder))]
    assert done.seconds < LONGEST
    arrays = load_file(folder / "last.safetensors")
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_a_signal_to_one_rank_saves_and_stops_all(runs, tmp_path):
    done = train(2, tmp_path / "run", "--sync-bn", event=WIDE | {"rank": 1, "step": 3, "do": "interrupt"})
    assert (done.returncode, done.lines) == (130, []), done.stderr
    assert done.stdout.endswith(f"stopped and saved; go on with: mpiexec -n 2 npse train --resume --out "
                                f"{tmp_path / 'run'}\n")
    assert resumed(2, tmp_path / "run").returncode == 0
    assert same_bits(tmp_path / "run", runs(2, "--sync-bn"))


def test_ctrl_c_saves(tmp_path):
    done = launch(2, sys.executable, "-m", "npse", *OPTIONS, "--out", tmp_path / "run", stop_at="step=1/")
    assert done.returncode == 130, (done.stdout, done.stderr)
    assert "stopped and saved" in done.stdout
    assert (tmp_path / "run" / "last.safetensors").exists()


@pytest.mark.parametrize(("event", "words"), [
    ({"versions": True}, "all ranks must have the same versions, but numpy is "),
    ({"data": True}, "all ranks must have the same data, but it is "),
])
def test_ranks_that_differ_are_refused(tmp_path, event, words):
    done = train(2, tmp_path / "run", event=event)
    assert (done.returncode, len(done.lines)) == (2, 1), done.stderr
    assert words in done.lines[0]
    assert done.lines[0].endswith(" on rank 0 and on rank 1")
    assert not (tmp_path / "run").exists()


def test_ranks_with_other_settings_are_refused(tmp_path):
    one = sys.executable, "-m", "npse", *OPTIONS, "--out", tmp_path / "run"
    done = launch(1, *one, ":", "-n", "1", *one, "--lr", "0.1")
    assert done.returncode == 2
    assert done.lines == ["npse: all ranks must have the same settings, but lr is 0.4 and 0.1 on rank 0 and on rank 1"]


@pytest.mark.parametrize(("options", "line"), [
    (("--batch-size", "1"), "npse: 2 ranks need at least 2 images in each part of a batch, but a part has 1; raise "
                            "batch_size, or start fewer ranks"),
    (("--budget", "1min", "--data", "cifar10"), "npse: --budget measures one process; with several, choose --epochs"),
])
def test_wrong_input_is_one_line(tmp_path, options, line):
    done = train(2, tmp_path / "run", *options)
    assert (done.returncode, len(done.lines)) == (2, 1), done.stderr
    assert done.lines[0].startswith(line)
    assert not (tmp_path / "run").exists()


SPEC = """
title = "Two variants"
question = "Does the sweep go on?"
baseline = "right"
seeds = "0-1"

[base]
data = {data}
image_size = 8
epochs = 1
batch_size = 8
edition = "reference"
optimizer = "sgd"

[variants.right]

[variants.wrong]
lr = 1e30
"""


def test_a_sweep_over_ranks_tries_a_failed_run_again_and_goes_on(tmp_path):
    spec = tmp_path / "spec.toml"
    spec.write_text(SPEC.replace("{data}", json.dumps(str(own_pictures.make(tmp_path / "pictures")))))
    command = sys.executable, "-m", "npse", "ablate", spec, "--executor", "mpi", "--out", tmp_path / "out"
    done = launch(3, *command)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert not done.lines
    for seed in "01":
        assert f"right-{seed}: accuracy " in done.stdout
        said = [line for line in done.stdout.splitlines() if line.startswith(f"wrong-{seed} failed: ")]
        assert [line.endswith("; it is tried again") for line in said] == [True, False, False]
    assert len((tmp_path / "out" / "results.jsonl").read_text().splitlines()) == 2
    done = launch(0, *command)
    assert (done.returncode, done.lines) == (2, [
        "npse: the executor mpi needs at least two processes, one of which hands out the runs, but there is one; start "
        "it with mpiexec -n 2 or more"])


def test_the_page_about_one_allreduce_is_right(tmp_path):
    page = (HERE.parent / "docs" / "one_allreduce.md").read_text(encoding="utf-8")
    (tmp_path / "one_allreduce.py").write_text(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1])
    done = launch(2, sys.executable, tmp_path / "one_allreduce.py")
    assert done.returncode == 0, done.stderr
    expected = re.search(r"```text\n(rank 0.*?)```", page, re.DOTALL)[1]
    assert list(map(figures, done.stdout.splitlines())) == list(map(figures, expected.splitlines()))


def figures(line):
    """Return a line without its last word, a difference of the size of rounding."""
    return line.rpartition(" ")[0]


def test_the_time_of_steps_is_measured_and_predicted(npse, tmp_path):
    npse("bench", "--ranks", "1,2", "--quick", "--model", "se_resnet8", "--batch-size", "8", "--edition", "reference",
         "--json", tmp_path / "found.json", "--scaling", tmp_path / "drawn.png")
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["ranks"] for row in found["rows"]] == [1, 2]
    assert found["model"]["messages"] >= 2
    assert found["model"]["bytes"] > 4 * 70_000                    # the gradients of se_resnet8
    assert (tmp_path / "drawn.png").stat().st_size > 10_000
