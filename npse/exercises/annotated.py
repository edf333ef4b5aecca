"""One annotated source for each exercise: the student's file, the notebook, the solution and the tests come from it.

A source is a Python file in cells that begin with ``# %%``:

    # %% [markdown]          text, for the student
    # %%                     code; what stands between BEGIN SOLUTION and END SOLUTION becomes a hole
    # %% [example]           a tiny example; the solution runs it, and what it prints is put under it
    # %% [hint]              three of them, from a nudge to nearly all
    # %% [tests]             TASKS: what is judged, and for how many points
    # %% [mistake] title     replaces a function of the solution; the self-test of the kit marks it, and it must lose
    # loses: part; part      these parts (and the contract of a function that has no other part right)
    # kind: averaged         with this kind of diagnosis, - for none

Code between BEGIN BUG and END BUG is for the student alone: in "find the bug" it stands where the hole would be.
"""

import functools
import hashlib
import importlib.util
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from npse import reference
from npse.exercises.sandbox import Sandbox
from npse.support.names import suggest

NEEDS = {"numpy": {}, "numba": {"numba": "numba"}, "cuda": {"numba": "numba", "numba.cuda": "numba-cuda"}}
SOURCE = Path(__file__).parent / "source"
STUDENT, ANSWER, SOURCED = "student", "answer", "sourced"      # SOURCED keeps the marked blocks, for other graders
_HEAD = re.compile(r"^# %%(?: \[(?P<kind>\w+)\])?(?P<title>.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^(?P<indent> *)# BEGIN (?P<what>SOLUTION|BUG)\n(?P<body>.*?)^ *# END (?P=what)\n",
                    re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """A piece of a source: ``kind`` is markdown, code, example, hint, tests or mistake."""

    kind: str
    title: str
    text: str


@dataclass(frozen=True)
class Mistake:
    """A wrong version of some functions, the parts of the mark that it loses, and the diagnosis it should get."""

    title: str
    loses: tuple[str, ...]
    kind: str
    code: str


@dataclass(frozen=True)
class Exercise:
    """One exercise, read from its source.

    Attributes
    ----------
    number, name, title, idea : int, str, str, str
    tools : str
        What the student may import: ``"numpy"``, ``"numba"`` or ``"cuda"``.
    cells : tuple of Cell
    hash : str
        Of the source; every file made from it bears it.
    """

    number: int
    name: str
    title: str
    idea: str
    tools: str
    cells: tuple[Cell, ...]
    hash: str

    @property
    def stem(self):
        return f"{self.number:02d}_{self.name}"

    @property
    def hints(self):
        return tuple(uncomment(cell.text) for cell in self.cells if cell.kind == "hint")

    @property
    def mistakes(self):
        return tuple(_mistake(cell) for cell in self.cells if cell.kind == "mistake")

    def cells_for(self, reader):
        """The cells of the student (``STUDENT``), of the solution (``ANSWER``) or with both: texts, code, examples."""
        for cell in self.cells:
            if cell.kind == "markdown":
                yield cell
            elif cell.kind == "code":
                yield Cell("code", cell.title, _fill(cell.text, reader))
            elif cell.kind == "example":
                yield Cell("example", cell.title, cell.text + self._printed)

    @functools.cached_property
    def _printed(self):
        """What the example prints when the solution is right, as a comment."""
        self.expect_tools()
        example = "".join(cell.text for cell in self.cells if cell.kind == "example")
        with Sandbox([self.solution_code(), example], self.stem, self.tools, seconds=60) as sandbox:
            if sandbox.problem:
                raise RuntimeError(f"the example of exercise {self.number} does not run: {sandbox.problem}")
            return "\n# It should print:\n" + textwrap.indent(sandbox.printed, "# ", lambda line: True)

    def solution_code(self):
        """The solution's functions, without text or example."""
        return "\n\n".join(_fill(cell.text, ANSWER) for cell in self.cells if cell.kind == "code")

    def expect_tools(self):
        """Raise ImportError if this machine lacks what the exercise is done with."""
        for module, package in NEEDS[self.tools].items():
            if not importlib.util.find_spec(module):
                raise ImportError(f"exercise {self.number} needs {module}; run: pip install {package}")

    def functions(self):
        """What is right: the solution's functions, run in this process; the book's where the solution is compiled."""
        if self.tools != "numpy":
            return {name: getattr(reference, name) for name in reference.OPS}
        namespace = {"__name__": self.name}
        exec(compile(self.solution_code(), str(self.path), "exec"), namespace)
        return namespace

    def tasks(self):
        """What is judged: the ``TASKS`` of the source."""
        namespace = self.functions()
        for cell in self.cells:
            if cell.kind == "tests":
                exec(compile(cell.text, str(self.path), "exec"), namespace)
        return namespace["TASKS"]

    @property
    def path(self):
        return SOURCE / f"{self.stem}.py"

    def as_file(self, reader=STUDENT):
        """The text of a Python file in cells, with the example under ``if __name__ == "__main__"``."""
        file = f"{self.stem}.py"
        head = [f"# {self.mark}", f"# Write your code, save, and run:  npse exercise check {file}"]
        if reader == ANSWER:
            head[1] = "# One solution; others are as good."
        parts = ["\n".join(head) + "\n"]
        for cell in self.cells_for(reader):
            if cell.kind == "markdown":
                parts.append(f"# %% [markdown]\n{cell.text}")
            elif cell.kind == "code":
                parts.append(f"# %%{cell.title}\n{cell.text}")
            else:
                body = textwrap.indent(cell.text.rstrip("\n"), "    ", lambda line: bool(line.strip()))
                parts.append(f'# %% Example: python {file}\nif __name__ == "__main__":\n{body}\n')
        return "\n".join(parts)

    @property
    def mark(self):
        """What a file made from this exercise says about itself."""
        return f"npse exercise {self.number}: {self.name} (source {self.hash})"


def uncomment(text):
    """Lines without their leading ``# ``."""
    return "\n".join(re.sub(r"^# ?", "", line) for line in text.splitlines()).strip()


def parse(path):
    """Read the annotated source at ``path``."""
    text = Path(path).read_text(encoding="utf-8")
    number, name = Path(path).stem.split("_", 1)
    heads = list(_HEAD.finditer(text))
    facts = dict(re.findall(r"^# (\w+): (.+)$", text[:heads[0].start()], re.MULTILINE))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    cells = tuple(Cell(head["kind"] or "code", head["title"].rstrip(), text[head.end() + 1:end].rstrip("\n") + "\n")
                  for head, end in zip(heads, ends, strict=True))
    return Exercise(int(number), name, facts["title"], facts["idea"], facts.get("tools", "numpy"), cells,
                    hashlib.sha256(text.encode()).hexdigest()[:12])


@functools.cache
def exercises():
    """All exercises in order."""
    return tuple(parse(path) for path in sorted(SOURCE.glob("[0-9][0-9]_*.py")))


def find(which):
    """The exercise of this number or name; ValueError if there is none."""
    for exercise in exercises():
        if str(which).lstrip("0") == str(exercise.number) or which in (exercise.name, exercise.stem):
            return exercise
    raise ValueError(f"there is no exercise {which}; "
                     + suggest(which, [exercise.name for exercise in exercises()]))


def solution_lines(exercise):
    """Every line that stands in a block of the solution, stripped: none of them may reach the student's files."""
    return {line.strip() for cell in exercise.cells if cell.kind == "code" for block in _BLOCK.finditer(cell.text)
            if block["what"] == "SOLUTION" for line in block["body"].splitlines() if line.strip()}


def _fill(text, reader):
    """Resolve the marked blocks of a code cell for one reader."""
    has_bug = "# BEGIN BUG" in text

    def block(match):
        if reader == SOURCED and not has_bug:
            return match[0]
        if match["what"] == "BUG":
            return "" if reader == ANSWER else match["body"]
        if reader == ANSWER:
            return match["body"]
        if has_bug:
            return ""
        count, indent = _size(match["body"]), match["indent"]
        return (f"{indent}# Your code here: about {count} line{'s' * (count != 1)}.\n"
                f'{indent}raise NotImplementedError("the hole is still empty")\n')

    return _BLOCK.sub(block, text)


def _size(body):
    """How many lines of code there are: comments and blank lines do not count."""
    return sum(1 for line in body.splitlines() if line.strip() and not line.strip().startswith("#"))


def _mistake(cell):
    facts = re.findall(r"^# (loses|kind): (.+)$", cell.text, re.MULTILINE)
    loses = [part.strip() for key, value in facts if key == "loses" for part in value.split(";")]
    return Mistake(cell.title.strip(), tuple(loses), dict(facts)["kind"].replace("-", ""), cell.text)
