"""The error for an unknown name suggests the name that was meant, wherever a user writes a name."""

import ast
from pathlib import Path

import numpy as np
import pytest

import npse as package
from npse import backend, data, models, training
from npse.cli import check, trace, zoo
from npse.data.fetch import fetch
from npse.editions.convolution import Variants
from npse.exercises import find
from npse.exercises.export import export
from npse.exercises.folder import Folder
from npse.exercises.notebook_asserts import require
from npse.gradcheck import cases_of, check_gradient
from npse.lab import spec, sweep
from npse.support.names import suggest
from npse.training import budget, run_config

FILES = sorted(Path(package.__file__).parent.rglob("*.py"))


def variants(variable="NPSE_NONE"):
    return Variants({"loops": None, "winograd": None}, variable, lambda op, **options: lambda function: function)


def limit_of_variants():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NPSE_SOME", "winogard")
        variants("NPSE_SOME")


def a_file_of_kernels(folder):
    path = folder / "kernels.py"
    path.write_text("class Kernel:\n    py_func = None\nblur, sharpen = Kernel(), Kernel()\n")
    return path


MISTYPED = {
    "model": (lambda _: models.build("se_restnet110"), "se_resnet110"),
    "option of a model": (lambda _: models.build("se_resnet8", reducton=4), "reduction"),
    "option of a function": (lambda _: models.se_wide(classs=4), "classes"),
    "placement": (lambda _: models.se_resnet8(placement="standart"), "standard"),
    "shortcut": (lambda _: models.resnet8(shortcut="proyection"), "projection"),
    "edition": (lambda _: backend.use("referense"), "reference"),
    "edition of a config file": (lambda _: run_config.config_of({"edition": "cpuu"}), "cpu"),
    "edition to check": (lambda _: check._check_editions("al", None, [0], None, None), "all"),
    "optimizer": (lambda _: training.Config(optimizer="mun"), "muon"),
    "model of a budget": (lambda _: budget.candidates({"data": "cifar10", "model": "se_resent20"}), "se_resnet20"),
    "data set": (lambda _: data.load("cifar_10"), "cifar10"),
    "data set to fetch": (lambda _: fetch("cifar-10"), "cifar10"),
    "variant": (lambda _: variants().limited_to("lops").__enter__(), "loops"),
    "variant of a variable": (lambda _: limit_of_variants(), "winograd"),
    "op": (lambda _: cases_of("conv2"), "conv2d"),
    "op of the zoo": (lambda _: zoo._chosen("conv2d_backward"), "conv2d_backward_x"),
    "argument": (lambda _: check_gradient(np.sum, np.sum, {"weights": np.ones(3)}, wrt="weight"), "weights"),
    "exercise": (lambda _: find("squeze"), "squeeze"),
    "part of an exercise": (lambda _: require("squeeze", "squeeze: valus", {}), "squeeze: values"),
    "kind of exercise": (lambda folder: Folder(folder).start(find(1), "notebok"), "notebook"),
    "format of a course": (lambda folder: export([find(1)], "nbgradr", folder), "nbgrader"),
    "experiment": (lambda _: spec.load("redution"), "reduction"),
    "variant of an experiment": (lambda folder: sweep.plan(spec.load("gate"), (0, 1), folder, ["tan"]), "tanh"),
    "setting of an experiment": (lambda _: spec.Spec("s", "", "", "a", (0, 1), {"epoch": 1}, {"a": {}, "b": {}}),
                                 "epochs"),
    "weights": (lambda folder: training.RunFolder(folder).load_network("bset"), "best"),
    "kernel": (lambda folder: trace._own(f"{a_file_of_kernels(folder)}:sharpn"), "sharpen"),
}


@pytest.mark.parametrize("what", MISTYPED)
def test_the_error_of_a_mistyped_name_suggests_the_right_one(tmp_path, what):
    mistyped, meant = MISTYPED[what]
    with pytest.raises((ValueError, TypeError), match=rf"did you mean {meant}\b.*\? (known are|all are in)"):
        mistyped(tmp_path)


def test_the_error_of_a_file_without_kernels_says_what_a_kernel_is(tmp_path):
    (tmp_path / "empty.py").touch()
    with pytest.raises(ValueError, match="has no kernel: a kernel is a function with @cuda"):
        trace._own(f"{tmp_path / 'empty.py'}:blur")


def test_without_a_similar_name_the_known_names_are_listed():
    assert suggest("zebra", ["cpu", "cuda"]) == "known are: cpu, cuda"
    assert suggest("CPU", ["cpu", "cuda"]) == "did you mean cpu? known are: cpu, cuda"
    assert suggest("x1", [f"x{k}" for k in range(2, 99)], "the manual").endswith("? all are in the manual")


def raised_without_a_suggestion(tree):
    """Yield the lines of a module that raise an error about an unknown name without a search for a similar one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
            calls = [part.func.id for part in ast.walk(node)
                     if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)]
            if any(isinstance(text, str) and ("unknown " in text or "known are" in text) for text in texts) \
                    and "suggest" not in calls:
                yield node.lineno


def test_every_error_about_an_unknown_name_looks_for_similar_ones():
    assert [f"{path}:{line}" for path in FILES
            for line in raised_without_a_suggestion(ast.parse(path.read_text(encoding="utf-8")))] == []
    source = ast.parse("raise ValueError(f'unknown op {op!r}; known are: {OPS}')")
    assert list(raised_without_a_suggestion(source)) == [1]
