"""Makes a Jupyter notebook of an exercise: the same cells as in the Python file, from the same source."""

import json

from npse.exercises.annotated import STUDENT, uncomment

KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
          "language_info": {"name": "python"}}


def as_notebook(exercise, reader=STUDENT):
    """Return the text of a notebook, for the student or with the solution."""
    cells = [markdown("intro", uncomment(exercise_head(exercise)))]
    for number, cell in enumerate(exercise.cells_for(reader)):
        if cell.kind == "markdown":
            cells.append(markdown(f"text-{number}", uncomment(cell.text)))
        else:
            cells.append(code(f"{cell.kind}-{number}", cell.text, tags=[cell.kind]))
    return dump(cells, {"npse": {"exercise": exercise.name, "source": exercise.hash}})


def exercise_head(exercise):
    """Return the line that identifies the exercise of a submission and says what to do."""
    return (f"`{exercise.mark}`. Write your code, save, and run in a terminal: "
            f"`npse exercise check {exercise.stem}.ipynb`")


def dump(cells, metadata=None):
    """Return the text of a notebook with these cells."""
    return json.dumps({"cells": cells, "metadata": KERNEL | (metadata or {}), "nbformat": 4, "nbformat_minor": 5},
                      indent=1, ensure_ascii=False) + "\n"


def markdown(name, text, **metadata):
    """Return a cell of text."""
    return {"cell_type": "markdown", "id": name, "metadata": metadata, "source": _lines(text)}


def code(name, text, **metadata):
    """Return a cell of code without outputs."""
    return {"cell_type": "code", "id": name, "metadata": metadata, "execution_count": None, "outputs": [],
            "source": _lines(text)}


def _lines(text):
    return text.rstrip("\n").splitlines(keepends=True)
