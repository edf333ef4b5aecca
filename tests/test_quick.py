"""A test of an installation, in less than a minute: pytest -m quick. The other files test the details."""

import dataclasses
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import npse as package
from npse import backend, data, models, reference
from npse.exercises import find
from npse.exercises.annotated import ANSWER
from npse.exercises.check import check
from npse.exercises.submission import Submission
from npse.gradcheck import cases_of, check_case
from npse.training import SGD

pytestmark = pytest.mark.quick
ROOT = Path(__file__).parents[1]

# One op that the Numba edition compiles for each kind of work.
FAMILIES = ["conv2d", "batch_norm", "squeeze", "excite", "scale", "relu", "add_relu", "max_pool", "dense", "sgd"]
PACKAGES = ["reference", "backend", "layers", "models", "gradcheck", "zoo", "exercises", "data", "training", "analysis",
         "bench", "cli"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_can_be_imported(package):
    __import__(f"npse.{package}")


def test_npse_itself_needs_numpy_alone():
    code = ("import sys, npse; "
            "print(sorted({'numba', 'matplotlib', 'PIL', 'typer', 'rich', 'torch'} & sys.modules.keys()))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("op", ["conv2d", "batch_norm", "squeeze", "excite", "scale", "se"])
def test_the_book_against_finite_differences(op):
    results = check_case(cases_of(op)[0], reference)
    assert any(result.judged == "gradient" for result in results)
    assert all(result.ok for result in results), "\n".join(map(str, results))


@pytest.mark.skipif("cpu" not in backend.available(), reason="Numba is missing")
@pytest.mark.parametrize("op", FAMILIES)
def test_the_numba_edition_against_the_book(op):
    case = cases_of(op)[0]
    arguments = case.arguments(np.random.default_rng(0), np.float32)
    books = case.forward(reference, **arguments)
    found = case.forward(backend.with_numpy_results("cpu"), **arguments)
    np.testing.assert_allclose(found, books, rtol=1e-4, atol=1e-5)


def test_a_network_learns():
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((16, 8, 8, 3)).astype(np.float32), rng.integers(10, size=16)
    network, losses = models.se_resnet8(widths=(4, 8, 16)), []
    optimizer, ops = SGD(network, weight_decay=0.0), reference
    for _ in range(5):
        logits, backward = network(x)
        losses.append(ops.softmax_cross_entropy(logits, labels))
        _, gradients = backward(ops.softmax_cross_entropy_backward(1.0, logits, labels))
        optimizer.step(gradients, lr=0.05)
    assert losses[-1] < 0.8 * losses[0]


def test_the_command_line_works(npse):
    code, out, _ = npse("info")
    assert code == 0
    assert package.__version__ in out
    code, out, _ = npse("check", "--op", "squeeze", "--edition", "reference")
    assert code == 0
    assert "checks right" in out
    code, _, err = npse("train", "--model", "se_resnet9")
    assert code == 2
    assert err.count("\n") == 1


def test_a_run_leaves_weights_and_pictures(npse, few_shapes, tmp_path, monkeypatch):
    fewer = dataclasses.replace(few_shapes, images=few_shapes.images[:16], labels=few_shapes.labels[:16],
                                test_images=few_shapes.test_images[:10], test_labels=few_shapes.test_labels[:10])
    monkeypatch.setattr(data, "load", lambda *_: fewer)
    code, _, err = npse("train", "--edition", "reference", "--model", "resnet8", "--epochs", 1, "--batch-size", 8,
                        "--out", "run")
    assert code == 0, err
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written >= {"last.safetensors", "metrics.jsonl", "curves.png", "confusion.png"}


def test_an_exercise_is_checked():
    exercise = find("squeeze")
    assert check(Submission(exercise, (exercise.as_file(ANSWER),), "03_squeeze.py")).ok


def test_the_oldest_versions_are_those_that_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = map(Requirement, project["dependencies"] + project["optional-dependencies"]["test"])
    bounds = {need.name: bound.version for need in needed for bound in need.specifier if bound.operator == ">="}
    pins = [line.split("==") for line in (ROOT / ".ci" / "oldest.txt").read_text().splitlines() if "==" in line]
    assert {name: Version(version) for name, version in pins} == {name: Version(bounds[name]) for name in bounds}
