"""Files damaged at random: npse continues, or names the file and the error in one line; nothing on disk is lost.

Every trial takes good files, damages one of them at random with its own seed, and lets npse read it. The long version
of each test makes 150 trials, or the number in the environment variable NPSE_TRIALS: a thousand take half an hour.
"""

import contextlib
import dataclasses
import json
import os
import random
import warnings
from collections import Counter

import pytest
from cifar10_copies import FORMS, archive, make_small
from damage import damaged_batch, damaged_bytes, damaged_checkpoint, damaged_config, damaged_metrics, facts_of
from safetensors.numpy import load, save

from npse import data
from npse.cli.console import describe, noted
from npse.data import cifar10
from npse.data.fetch import fetch
from npse.training import Config, Interrupted, RunFolder, load_data, prepare, run

TRIALS = [40, pytest.param(int(os.environ.get("NPSE_TRIALS", "150")), marks=pytest.mark.slow, id="long")]
USER_ERRORS = (ValueError, OSError, FloatingPointError)            # errors that the command line prints in one line
DAMAGES = {"config.json": damaged_config, "metrics.jsonl": damaged_metrics, "last.safetensors": damaged_checkpoint,
           "best.safetensors": damaged_checkpoint}


class Silent:
    """A reporter that ignores everything."""

    def say(self, line):
        assert len(line.splitlines()) == 1

    def began(self, *_):
        pass

    stepped = epoch_done = began


@pytest.fixture(scope="module")
def good_runs(few_shapes, tmp_path_factory):
    """Return the files of three runs: finished, stopped in the second epoch, and written by version 0.1.0."""
    few = dataclasses.replace(few_shapes, images=few_shapes.images[:16], labels=few_shapes.labels[:16],
                              test_images=few_shapes.test_images[:10], test_labels=few_shapes.test_labels[:10])
    runs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda *_: few)
        for steps in (4, 3):
            folder = RunFolder(tmp_path_factory.mktemp("good") / "run")
            job = prepare(Config(epochs=2, batch_size=8))
            folder.create(job.config, few, {"versions": {"npse": "0.1.0"}, "cores": 2})
            asked = iter([False] * (steps - 1) + [True])
            with pytest.raises(Interrupted):
                run(job, folder, Silent(), stop=lambda asked=asked: next(asked))
            runs.append({path.name: path.read_bytes() for path in folder.path.iterdir()})
        run(job, folder, Silent(), resume=True)
        runs.append({path.name: path.read_bytes() for path in folder.path.iterdir()})
    facts = facts_of(runs[1]["last.safetensors"])
    del facts["settings"]
    old = save(load(runs[1]["last.safetensors"]), {"npse": json.dumps(facts)})
    return few, [*runs, runs[1] | {"last.safetensors": old}]


@pytest.fixture
def good(good_runs, monkeypatch, tmp_path):
    few, runs = good_runs
    real = data.load
    monkeypatch.setattr(data, "load", lambda name, *size: few if name == "shapes" else real(name, *size))
    monkeypatch.setenv("NPSE_DATA_DIR", str(tmp_path / "no data"))
    return runs


def put(path, files):
    """Make a folder hold these files and no others."""
    path.mkdir(exist_ok=True)
    for old in path.iterdir():
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        (path / name).write_bytes(content)


def files_in(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def resume(path):
    """Resume a run for one step, as ``npse train --resume`` does."""
    folder = RunFolder(path)
    config = folder.config()
    with noted(f"see {folder.config_file}", (ValueError, FileNotFoundError)):
        job = prepare(config)
    with contextlib.suppress(Interrupted):
        run(job, folder, Silent(), resume=True, stop=lambda: True)


def look(path):
    """Read a run as ``npse evaluate`` and ``npse predict`` do, except for the images."""
    folder = RunFolder(path)
    for weights in ("last", "best"):
        folder.load_network(weights)
    with noted(f"see {folder.config_file}", FileNotFoundError):
        dataset = load_data(folder.config())
    folder.expect_data(dataset)


def outcome(task, path, damaged):
    """Return "used" or "refused"; if refused, check that one line names the damaged file and that no file changed."""
    before = files_in(path)
    try:
        with warnings.catch_warnings(action="error", category=RuntimeWarning):
            task(path)
    except USER_ERRORS as error:
        line = describe(error)
        assert len(line.splitlines()) == 1
        assert len(line) < 1500
        assert damaged in line or "training has diverged" in line
        if "training has diverged" not in line:
            assert files_in(path) == before
        return "refused"
    return "used"


def expect_nothing_lost(before, after):
    """Check that all epochs on record are still on record, that the settings are there, and that no file is missing."""
    assert before.keys() <= after.keys()
    kept = b"\n".join(content for name, content in after.items() if name.startswith("metrics")).splitlines()
    for line in before["metrics.jsonl"].removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True):
        torn = not line.endswith((b"\n", b"\r")) and not line.strip().endswith(b"}")
        assert torn or not line.strip() or line.strip() in kept
    assert after["config.json"] == before["config.json"]


@pytest.mark.parametrize("trials", TRIALS)
@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_of_a_run(good, tmp_path, name, trials):
    path, outcomes = tmp_path / "run", Counter()
    for seed in range(trials):
        rng = random.Random(f"{name} {seed}")
        files = dict(rng.choice(good))
        files[name] = DAMAGES[name](rng, files[name])
        put(path, files)
        outcomes["look", outcome(look, path, name)] += 1
        assert files_in(path) == files
        resumed = outcome(resume, path, name)
        outcomes["resume", resumed] += 1
        if resumed == "used":
            expect_nothing_lost(files, files_in(path))
    print(f"{trials} times a damaged {name}: {dict(outcomes)}")
    assert outcomes["resume", "used"] > trials / 100
    assert outcomes["resume", "refused"] > trials / 10


@pytest.fixture
def batches(monkeypatch, tmp_path):
    """A small data set in place of CIFAR-10, fetched into its own data folder; returns {file name: official bytes}."""
    monkeypatch.setenv("NPSE_DATA_DIR", str(tmp_path / "home"))
    batches = make_small(monkeypatch)
    put(tmp_path / "copy", batches)
    fetch("cifar10", tmp_path / "copy", lambda line: None)
    return batches


@pytest.mark.parametrize("trials", TRIALS)
def test_a_damaged_batch_in_the_data_folder(batches, tmp_path, trials):
    outcomes = Counter()
    for seed in range(trials):
        rng = random.Random(f"batch {seed}")
        name = rng.choice(list(batches))
        files = batches | {name: damaged_bytes(rng, batches[name])}
        put(cifar10.FILES.folder(), files)
        outcomes[outcome(lambda path: data.load("cifar10"), cifar10.FILES.folder(), name)] += 1
    print(f"{trials} times a damaged batch in the data folder: {dict(outcomes)}")
    assert outcomes["refused"] > trials / 2


@pytest.mark.parametrize("trials", TRIALS)
@pytest.mark.parametrize("form", [*FORMS, "archive"])
def test_a_damaged_copy_of_the_data(batches, tmp_path, form, trials):
    path, outcomes = tmp_path / "source", Counter()
    packed = archive(tmp_path / "copy.tar.gz", FORMS["python"](batches)).read_bytes()
    good = {"copy.tar.gz": packed} if form == "archive" else FORMS[form](batches)
    for seed in range(trials):
        rng = random.Random(f"{form} {seed}")
        name = rng.choice(list(good))
        put(path, good | {name: damaged_batch(rng, good[name])})
        source = path / name if form == "archive" else path

        def take(_, source=source):
            assert cifar10.FILES.read(source) == batches
        damaged = str(path) if name.endswith("lables.json") else name      # the error names no batch then
        outcomes[outcome(take, path, damaged)] += 1
    print(f"{trials} times a damaged copy, {form}: {dict(outcomes)}")
    assert outcomes["refused"] > trials / 3
