"""docs/teaching.md is correct: its commands are run, and its outputs and its table are checked.

    python tests/test_exercises_docs.py        writes the outputs anew
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from npse.exercises import exercises

PAGE = Path(__file__).parents[1] / "docs" / "teaching.md"
BLOCK = re.compile(r"^```(?P<kind>console|python)\n(?P<text>.*?)^```\n", re.MULTILINE | re.DOTALL)


def run(page, folder):
    """Return the page with every output replaced by what its command prints in ``folder``."""
    def block(match):
        if match["kind"] == "python":
            with (folder / "03_squeeze.py").open("a", encoding="utf-8") as file:
                file.write("\n\n" + match["text"])
            return match[0]
        commands = [line for line in match["text"].splitlines() if line.startswith("$ ")]
        return "```console\n" + "".join(f"{line}\n{output_of(line[2:], folder)}" for line in commands) + "```\n"
    return BLOCK.sub(block, page)


def output_of(command, folder):
    words = [sys.executable, "-m", *command.split()]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, encoding="utf-8",
                          env=os.environ | {"PYTHONPATH": os.pathsep.join([str(PAGE.parents[1]), *sys.path])}).stdout


def test_the_outputs_on_the_page_are_correct(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    assert run(page, tmp_path).splitlines() == page.splitlines()
    assert page.count("$ npse exercise") == 7


@pytest.mark.parametrize("exercise", exercises(), ids=lambda exercise: exercise.stem)
def test_the_table_has_every_exercise_and_its_points(exercise):
    points = sum(points for task in exercise.tasks() for points in task.parts.values())
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    row = next(line for line in lines if line.startswith(f"| {exercise.number} |"))
    assert row.split("|")[2].strip() == exercise.title
    assert row.split("|")[4].strip() == str(points)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as here:
        PAGE.write_text(run(PAGE.read_text(encoding="utf-8"), Path(here)), encoding="utf-8")
