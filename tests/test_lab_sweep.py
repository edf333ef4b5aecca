"""Sweeps: what is trained and what is not, failures, stops, kills at random moments."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from lab_victim import SPEC, WORKER

from npse import data
from npse.cli.progress import SweepBar, SweepLines
from npse.lab import output, table, worker
from npse.lab.process import Processes
from npse.lab.results import Results
from npse.lab.spec import Spec
from npse.lab.sweep import Standing, Sweep, collect_finished, plan
from npse.support.files import locked
from npse.training import Config, Interrupted, RunFolder, evaluate

VICTIM = [sys.executable, Path(__file__).with_name("lab_victim.py")]
QUICK = Spec("quick", "Quick", "Which?", "a", (0, 1), {"epochs": 1, "batch_size": 256},
             {"a": {}, "b": {"excitation": "none"}})


class Recorder:
    """A reporter that keeps what it is told."""

    def __init__(self):
        self.lines, self.standings = [], []

    def say(self, line):
        self.lines.append(line)

    def show(self, standing):
        self.standings.append(standing)


@pytest.fixture
def here(monkeypatch, few_shapes):
    """Return a function that trains a run in this process, on few images."""
    monkeypatch.setattr(data, "load", lambda *_: few_shapes)
    return lambda run: worker.train(run.folder, run.config, 1)


def sweep_with(attempt, runs, results, jobs=1, stop=lambda: False):
    sweep = Sweep(runs, results, report := Recorder())
    with ThreadPoolExecutor(jobs) as executor:
        sweep.train(executor, attempt, stop)
    return sweep, report


def test_a_sweep_trains_what_is_missing_and_nothing_twice(here, tmp_path):
    results = Results(tmp_path / "results.jsonl")
    runs = plan(QUICK, QUICK.seeds, tmp_path)
    assert [run.name for run in runs] == ["a-0", "b-0", "a-1", "b-1"]
    sweep, report = sweep_with(here, collect_finished(runs[:3], results, print), results)
    assert [run.name for run in sweep.finished] == ["a-0", "b-0", "a-1"]
    assert report.lines[0].startswith("a-0: accuracy ")
    assert report.standings[-1] == Standing(3, 3, 0, {}, 3, 3, 0.0)

    shutil.rmtree(tmp_path / "a-0")                               # its line is enough
    (tmp_path / "results.jsonl").write_text("".join((tmp_path / "results.jsonl").open().readlines()[:2]))
    results, trained = Results(tmp_path / "results.jsonl"), []
    missing = collect_finished(plan(QUICK, QUICK.seeds, tmp_path), results, print)
    assert [run.name for run in missing] == ["b-1"]               # the folder of a-1 is enough
    sweep_with(lambda run: trained.append(run.name) or here(run), missing, results)
    assert trained == ["b-1"]
    assert collect_finished(runs, Results(tmp_path / "results.jsonl"), print) == []
    made = table.make(QUICK, QUICK.seeds, results)
    for run in (tmp_path / "b-0", tmp_path / "a-1", tmp_path / "b-1"):
        shutil.rmtree(run)                                        # the table needs the lines alone
    again = table.make(QUICK, QUICK.seeds, Results(tmp_path / "results.jsonl"))
    assert output.as_json(again) == output.as_json(made)
    assert len(again.results) == 4


def test_a_folder_of_train_counts(npse, tmp_path):
    assert npse("train", "--epochs", 1, "--batch-size", 256, "--out", "a-0")[0] == 0
    results, runs = Results(tmp_path / "results.jsonl"), plan(QUICK, (0,), tmp_path)
    assert [run.name for run in collect_finished(runs, results, print)] == ["b-0"]
    assert results.get(runs[0].config).accuracy == RunFolder("a-0").metrics()[-1]["accuracy"]


def test_with_views_their_accuracy_is_the_result(here, tmp_path, monkeypatch, few_shapes):
    spec = replace(QUICK, base=QUICK.base | {"tta": "mirror"})
    monkeypatch.setattr(worker, "evaluate", lambda *given, tta: asked.append(tta) or evaluate(*given, tta=tta))
    asked = []
    results, run = Results(tmp_path / "results.jsonl"), plan(spec, (0,), tmp_path)[0]
    sweep_with(here, [run], results)
    network, _ = RunFolder(run.folder).load_network()
    images = few_shapes.test_images, few_shapes.test_labels, few_shapes.mean, few_shapes.std
    expected = evaluate(network, *images, tta="mirror").accuracy
    assert asked == ["mirror"]
    assert results.get(run.config).accuracy == expected
    assert results.get(replace(run.config, tta="none")) is None
    made = output.markdown(table.make(spec, (0,), Results(results.path)))
    assert "images after the last epoch, averaged over views (mirror)." in " ".join(made.split())

    alone, without = replace(run, config=replace(run.config, tta="none")), Results(tmp_path / "without.jsonl")
    assert collect_finished([alone], without, print) == []        # the same folder
    assert without.get(alone.config).accuracy == RunFolder(run.folder).metrics()[-1]["accuracy"]
    assert without.get(run.config) is None


@pytest.mark.parametrize("left", [
    None,                                                                     # killed between training and evaluation
    '{"epoch": 1, "tta": "mirror+shift", "evaluated_on": "test", "accuracy": 0.5}',            # other views
    '{"epoch": 1, "tta": "mirror", "evaluated_on": "validation", "accuracy": 0.5}',            # other images
    '{"epoch": 2, "tta": "mirror", "evaluated_on": "test", "accuracy": 0.5}',                  # another last epoch
    '{"epoch": 1, "tta": "mirr',                                              # damaged
])
def test_views_that_are_missing_are_evaluated_without_training(here, tmp_path, monkeypatch, left):
    run = plan(replace(QUICK, base=QUICK.base | {"tta": "mirror"}), (0,), tmp_path)[0]
    here(run)
    views, weights = run.folder / "views.json", (run.folder / "last.safetensors").read_bytes()
    whole = views.read_bytes()
    views.unlink() if left is None else views.write_text(left)
    assert collect_finished([run], Results(tmp_path / "results.jsonl"), print) == [run]
    monkeypatch.setattr(data, "training_batches", None)           # nothing is trained
    here(run)
    assert views.read_bytes() == whole
    assert (run.folder / "last.safetensors").read_bytes() == weights
    assert collect_finished([run], Results(tmp_path / "results.jsonl"), print) == []


def test_views_of_train_count(npse, tmp_path):
    assert "averaged over views (mirror)" in npse("train", "--epochs", 1, "--batch-size", 256, "--tta", "mirror",
                                                  "--out", "a-0")[1]
    run = plan(replace(QUICK, base=QUICK.base | {"tta": "mirror"}), (0,), tmp_path)[0]
    assert collect_finished([run], Results(tmp_path / "results.jsonl"), print) == []


def test_a_folder_with_other_settings_is_named(here, tmp_path):
    run, said, results = plan(QUICK, (0,), tmp_path)[1], [], Results(tmp_path / "results.jsonl")
    worker.train(run.folder, Config(epochs=1, batch_size=128), 1)
    assert collect_finished([run], results, said.append) == [run]
    assert len(said) == 1
    assert "is a run with other settings: batch_size is 128, not 256, excitation is se, not none; move it" in said[0]
    with pytest.raises(ValueError, match="is a run with other settings"):
        here(run)
    record = json.loads((run.folder / "config.json").read_text())
    (run.folder / "config.json").write_text(json.dumps(record | run.config.as_dict() | {"raised": [{"epochs": 1}]}))
    assert collect_finished([run], results, said.append) == [run]
    assert "is a run whose number of epochs was raised" in said[1]


def test_a_run_that_fails_is_named_and_the_others_go_on(here, tmp_path):
    def attempt(run):
        if run.name == "b-0":
            raise FloatingPointError("training has\ndiverged")
        here(run)
    sweep, report = sweep_with(attempt, plan(QUICK, QUICK.seeds, tmp_path), Results(tmp_path / "results.jsonl"))
    assert sweep.failures == {"b-0": "training has diverged"}
    assert "b-0 failed: training has diverged" in report.lines
    assert report.standings[-1].failed == 1
    assert (report.standings[-1].trained, report.standings[-1].epochs) == (3, 3)
    assert len(Results(tmp_path / "results.jsonl").path.read_text().splitlines()) == 3


def test_a_stopped_sweep_begins_no_other_run(here, tmp_path):
    begun = []
    with pytest.raises(Interrupted):
        sweep_with(lambda run: begun.append(run.name) or here(run), plan(QUICK, QUICK.seeds, tmp_path),
                   Results(tmp_path / "results.jsonl"), stop=lambda: bool(begun))
    assert len(begun) < 4


def test_what_a_kill_left_of_a_folder_is_replaced_and_other_files_are_not(here, tmp_path):
    run = plan(QUICK, (0,), tmp_path)[0]
    run.folder.mkdir()
    (run.folder / "metrics.jsonl").touch()
    (run.folder / ".config.json.x1y2z3").write_text("{")
    here(run)
    assert RunFolder(run.folder).is_finished()
    other = plan(QUICK, (0,), tmp_path)[1]
    other.folder.mkdir()
    (other.folder / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="exists and is not empty"):
        here(other)
    assert [path.name for path in other.folder.iterdir()] == ["notes.txt"]


def test_a_run_is_trained_by_one_process_at_a_time(here, tmp_path, monkeypatch):
    run = plan(QUICK, (0,), tmp_path)[0]
    run.folder.mkdir()
    monkeypatch.setattr(worker, "PATIENCE", 0.3)
    with locked(run.folder), pytest.raises(BlockingIOError, match="a-0 is in use by another process"):
        here(run)


def test_train_does_not_resume_a_run_that_is_being_trained(here, npse, tmp_path):
    run = plan(QUICK, (0,), tmp_path)[0]
    here(run)
    with locked(run.folder):
        code, _, err = npse("train", "--resume", "--out", "a-0", "--epochs", 2)
    assert (code, len(err.splitlines())) == (2, 1)
    assert err.startswith("npse: a-0 is in use by another process; wait until it ends")


def test_the_command_refuses_a_folder_in_use_and_ends_with_1_if_a_run_failed(npse, tmp_path, monkeypatch):
    (tmp_path / "quick.toml").write_text('title = "Q"\nquestion = "?"\nbaseline = "a"\nseeds = "0-1"\n'
                                         '[variants.a]\n[variants.b]\nexcitation = "none"\n')
    (tmp_path / "runs" / "quick").mkdir(parents=True)
    with locked(tmp_path / "runs" / "quick"):
        code, _, err = npse("ablate", "quick.toml")
    assert (code, err.count("is in use by another process")) == (2, 1)
    monkeypatch.setattr(Processes, "__call__", lambda self, run: 1 / 0)
    monkeypatch.setattr("npse.cli.ablate._compile", lambda runs: None)
    (tmp_path / "runs" / "quick" / "table.md").write_text("mine")
    code, _, err = npse("ablate", "quick.toml")
    assert (code, err.count("runs/quick holds table.md but no results.jsonl")) == (2, 1)
    assert (tmp_path / "runs" / "quick" / "table.md").read_text() == "mine"
    (tmp_path / "runs" / "quick" / "table.md").unlink()
    code, out, _ = npse("ablate", "quick.toml")
    assert code == 1
    assert "a-0 failed: division by zero" in out
    assert "NOT COMPLETE: 0 of 4 runs are finished" in out


def test_a_process_that_dies_or_fails_is_a_failed_run(tmp_path):
    run = plan(SPEC, (0,), tmp_path)[0]
    with pytest.raises(ChildProcessError, match="its process ended with code -9 and without an answer"):
        Processes(1, [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])(run)
    with pytest.raises(ChildProcessError, match=r"^too bad$"):
        Processes(1, [sys.executable, "-c", "print('{\"error\": \"too bad\"}')"])(run)


@pytest.mark.slow
def test_a_process_says_in_one_line_why_it_failed(tmp_path):
    (tmp_path / "se-0").write_text("a file")
    with pytest.raises(ChildProcessError, match=r"^.*se-0 is a file$"):
        Processes(1, WORKER)(plan(SPEC, (0,), tmp_path)[0])


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_a_process_ends_when_it_is_asked_to_stop_and_when_it_is_killed(tmp_path, killed):
    run = plan(Spec("long", "", "", "se", (0, 1), {"batch_size": 32, "epochs": 500}, SPEC.variants), (0,), tmp_path)[0]
    processes = Processes(1, WORKER)
    with ThreadPoolExecutor(1) as executor:
        future = executor.submit(processes, run)
        while not (run.folder / "last.safetensors").exists():
            time.sleep(0.1)
        processes.kill() if killed else processes.stop()
        with pytest.raises(Interrupted):
            future.result(timeout=60)
    assert not RunFolder(run.folder).is_finished()
    with pytest.raises(Interrupted):
        processes(run)


def test_the_lines_of_a_sweep(capsys, monkeypatch):
    standing = Standing(125, 12, 1, {"eca-3": (2, 4), "lct-3": (1, 4)}, 496, 51, 5025.0)
    monkeypatch.setattr(SweepLines, "every", -1.0)
    with SweepLines() as lines:
        lines.show(standing)
    assert capsys.readouterr().out == ("finished=12/125 failed=1 epochs=51/496 eta_seconds=5025 "
                                       "running=eca-3:2/4,lct-3:1/4\n")
    monkeypatch.setenv("COLUMNS", "60")
    with SweepBar() as bar:
        bar.show(standing)
        assert bar.bar.tasks[0].fields["figures"] == "1:23:45 left  eca-3 2/4"
        assert bar.bar.tasks[0].description == "12/125 runs, 1 failed"


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Return the table of a sweep that is not killed, and the seconds that it took."""
    folder = tmp_path_factory.mktemp("unbroken") / "out"
    began = time.monotonic()
    subprocess.run([*VICTIM, folder], check=True, stdout=subprocess.DEVNULL)
    return rows(folder), time.monotonic() - began


def rows(folder):
    made = table.make(SPEC, SPEC.seeds, Results(folder / "results.jsonl"))
    assert len(made.results) == 4
    return json.dumps(output.as_dicts(made))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs process groups")
def test_killed_at_ten_moments_and_resumed(unbroken, tmp_path):
    """Kill the sweep, at odd moments with all its processes; at even ones they notice that it is gone."""
    expected, seconds = unbroken
    folder, rng, saved = tmp_path / "out", random.Random(0), 0
    for moment in range(10):
        victim = subprocess.Popen([*VICTIM, folder], stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(rng.uniform(0.2, 0.8) * seconds)
        if moment % 2:
            os.killpg(victim.pid, signal.SIGKILL)
        victim.kill()
        victim.wait()
        saved += any(folder.glob("*/last.safetensors"))
        if len([*Results(folder / "results.jsonl")]) == 4:        # all is done: let it begin again
            shutil.rmtree(folder)
    done = subprocess.run([*VICTIM, folder], check=True, capture_output=True, text=True)
    assert done.stdout.endswith("finished, 0 failed\n"), done.stdout
    assert rows(folder) == expected
    assert saved > 2                                              # the kills met runs that had begun
