"""README is correct: its snippets and commands run unchanged in an empty folder, and print what it shows."""

import ast
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import npse
from npse import cli, reference

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
LISTING, DIAGNOSIS, MINE, IN_PYTHON = (text for kind, text in BLOCKS if kind == "python")
COMMANDS = [line.partition("  #")[0].strip() for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")

IN_SECONDS = ("npse exercise start 3", "npse info", "npse ablate --list", "python -c ")
IN_MINUTES = ("npse check", "npse zoo --op se", "npse evaluate runs/se_resnet8-shapes-1 --tta mirror", "npse inspect ",
              "npse export runs/se_resnet8-shapes-1 --to torch",
              "npse predict runs/se_resnet8-shapes-1 shape.png", "npse predict shape.png")
NOT_HERE = {"python3 -m venv .venv && ": "installs npse anew: .ci/run does it",
            "npse train --data cifar10 ": "needs CIFAR-10 and 40 minutes",
            "npse train --recipe fast90": "needs CIFAR-10 and minutes without other work: tests/test_recipes.py",
            "npse train --resume ": "goes on with that run",
            "npse cost se_resnet50": "takes a minute: tests/test_cost.py",
            "npse bench --vs torch": "needs PyTorch, and minutes without other work: tests/test_bench.py",
            "npse trace squeeze": "needs the extra cuda: tests/test_cuda_docs.py"}


def run(command, folder):
    """Run a command unchanged, with the Python and the npse that are tested; return what it prints."""
    script = f'python() {{ "{sys.executable}" "$@"; }}\nnpse() {{ python -m npse "$@"; }}\n{command}'
    ran = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, encoding="utf-8",
                         env=os.environ | {"PYTHONPATH": os.pathsep.join([str(README.parent), *sys.path])})
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.stdout, ran.returncode


def assert_prints(printed, shown):
    """Compare line by line, ``...`` for any lines; numbers may differ in their last digits."""
    lines = [r"(?:.*\n)*?" if line == "..." else f"({NUMBER.pattern})".join(map(re.escape, NUMBER.split(line))) + r"\n"
             for line in shown.splitlines()]
    found = re.fullmatch("".join(lines), printed)
    assert found, printed
    assert list(map(float, found.groups())) == pytest.approx(list(map(float, NUMBER.findall(shown))), rel=1e-3)


def matches(command, beginnings):
    return any(command == known or (known.endswith(" ") and command.startswith(known)) for known in beginnings)


def test_every_command_is_run_or_left_out_for_a_reason():
    assert len(COMMANDS) == 19
    for command in COMMANDS:
        assert [matches(command, known) for known in (IN_SECONDS, IN_MINUTES, NOT_HERE)].count(True) == 1, command


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`(npse [^`]*)`", TEXT.replace("\n", " ")))))
def test_commands_in_the_text_exist_with_their_options(line):
    """The commands are parsed and not run. Words in capitals are placeholders."""
    command, given = get_command(cli.app), shlex.split(line)[1:]
    while given and given[0] in getattr(command, "commands", {}):
        command = command.commands[given.pop(0)]
    known = {name for param in command.params for name in param.opts}
    assert {word for word in given if word.startswith("-")} <= known
    assert not hasattr(command, "commands") or not given or given[0].startswith("-"), f"no command {given[0]}"


def test_the_ten_lines_are_those_of_the_book():
    shown, book = ast.parse(LISTING).body[0], ast.parse(inspect.getsource(reference.se_backward)).body[0]
    book.decorator_list.clear()                                   # the declaration
    del book.body[0]                                              # the docstring
    book.returns = None
    for argument in book.args.args:
        argument.annotation = None
    assert ast.unparse(shown) == ast.unparse(book)


def test_the_diagnosis(tmp_path):
    (tmp_path / "diagnosis.py").write_text(DIAGNOSIS, encoding="utf-8")
    printed, code = run("python diagnosis.py", tmp_path)
    assert code == 0
    assert_prints(printed, next(text for kind, text in BLOCKS if kind == "text"))
    assert (tmp_path / "diagnosis.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_of_your_own(tmp_path):
    (tmp_path / MINE.splitlines()[0].removeprefix("# ")).write_text(MINE, encoding="utf-8")
    session = next(text for kind, text in BLOCKS if kind == "console")
    command, shown = session.split("\n", 1)
    printed, code = run(command.removeprefix("$ "), tmp_path)
    assert code == 1
    assert_prints(printed, shown)


def test_commands_that_take_seconds(tmp_path):
    for command in COMMANDS:
        if matches(command, IN_SECONDS):
            printed, code = run(command, tmp_path)
            assert code == 0, printed
    assert {path.name for path in tmp_path.iterdir()} == {"03_squeeze.py", "shape.png"}


@pytest.mark.slow
def test_commands_that_take_minutes(tmp_path):
    first = COMMANDS[0].rpartition(".venv/bin/")[2]
    assert first == "npse train"
    for command in [first, *(command for command in COMMANDS if matches(command, (*IN_SECONDS, *IN_MINUTES)))]:
        printed, code = run(command, tmp_path)
        assert code == 0, printed
    assert (tmp_path / "runs" / "se_resnet8-shapes-1" / "gates.png").is_file()


@pytest.mark.slow
def test_the_python_example(capsys):
    names = {}
    before = npse.backend.active()
    try:
        exec(compile(IN_PYTHON, "README.md", "exec"), names)
    finally:
        npse.use(before.__name__.rpartition(".")[2])
    assert names["logits"].shape == (8, 10)
    assert names["dx"].shape == names["x"].shape
    assert "layer1.0.se.fc1.weight" in names["gradients"]
