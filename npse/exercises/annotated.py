"""Reads the annotated source of an exercise. The student's file, the notebook, the solution and the tests come from it.

A source is a Python file in cells that begin with ``# %%``:

    # %% [markdown]          text, for the student
    # %%                     code; the lines between BEGIN SOLUTION and END SOLUTION become a hole
    # %% [given]             code that the student leaves as it is; the check runs it after the student's code
    # %% [example]           a tiny example; the output that it has with the solution is added below it
    # %% [hint]              three hints; the last one says nearly everything
    # %% [tests]             TASKS: the tasks, with their points
    # %% [mistake] title     a wrong version of a function; the tests of npse check that its mark loses
    # loses: part; part      these parts (and the contract of a function that has no other part right)
    # kind: averaged         and that it gets this kind of diagnosis, - for none
    # %% [variant] NAME      the same exercise in another layout, made by replacements; the head names the first one:
    # old -> new             "# variant: NAME"

Only the student's file has the code between BEGIN BUG and END BUG: "find the bug" has it in place of a hole.
"""

import dataclasses
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
CODE = ("code", "given")
STUDENT, ANSWER, SOURCED = "student", "answer", "sourced"      # SOURCED has the blocks with their marks, for graders
_HEAD = re.compile(r"^# %%(?: \[(?P<kind>\w+)\])?(?P<title>.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^(?P<indent> *)# BEGIN (?P<what>SOLUTION|BUG)\n(?P<body>.*?)^ *# END (?P=what)\n",
                    re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """A cell of a source: ``kind`` is markdown, code, given, example, hint, tests, mistake or variant."""

    kind: str
    title: str
    text: str


@dataclass(frozen=True)
class Mistake:
    """A wrong version of some functions, the parts of the mark that it loses, and the kind of its diagnosis."""

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
        Hash of the source. Every file made from it contains this hash.
    variant : str
        The variant of the exercise; empty if it has none.
    """

    number: int
    name: str
    title: str
    idea: str
    tools: str
    cells: tuple[Cell, ...]
    hash: str
    variant: str = ""

    @property
    def variants(self):
        """The names of all variants, the usual one first; () if there are none."""
        others = [cell.title.strip() for cell in find(self.name).cells if cell.kind == "variant"]
        return (find(self.name).variant, *others) if others else ()

    def in_variant(self, name):
        """Return this exercise in the variant of this name. Raise ValueError if there is none."""
        if name == self.variant:
            return self
        if name not in self.variants:
            raise ValueError(f"unknown variant {name!r} of exercise {self.number}; {suggest(name, self.variants)}")
        return _in_variant(self.name, name)

    def in_all_variants(self):
        """Return this exercise in each of its variants."""
        return tuple(map(self.in_variant, self.variants)) or (self,)

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
        """Yield the cells with text, code and examples. The code of ``STUDENT`` has holes, that of ``ANSWER`` has none,
        and that of ``SOURCED`` has the solutions between their marks.
        """
        for cell in self.cells:
            if cell.kind == "markdown":
                yield cell
            elif cell.kind in CODE:
                yield Cell("code", cell.title, _fill(cell.text, reader))
            elif cell.kind == "example":
                yield Cell("example", cell.title, cell.text + self._printed)

    @functools.cached_property
    def _printed(self):
        """The output of the example with the solution, as a comment."""
        self.expect_tools()
        example = "".join(cell.text for cell in self.cells if cell.kind == "example")
        with Sandbox([self.solution_code(), example], self.stem, self.tools, seconds=60) as sandbox:
            if sandbox.problem:
                raise RuntimeError(f"the example of exercise {self.number} does not run: {sandbox.problem}")
            return "\n# It should print:\n" + textwrap.indent(sandbox.printed, "# ", lambda line: True)

    def solution_code(self):
        """Return the code of the solution, without text and example."""
        return "\n\n".join(_fill(cell.text, ANSWER) for cell in self.cells if cell.kind in CODE)

    @property
    def given(self):
        """The code that the check runs after the student's, so that it is what it was; "" if there is none."""
        return "\n\n".join(cell.text for cell in self.cells if cell.kind == "given")

    def expect_tools(self):
        """Raise ImportError if a module that the exercise needs is not installed."""
        for module, package in NEEDS[self.tools].items():
            if not importlib.util.find_spec(module):
                raise ImportError(f"exercise {self.number} needs {module}; run: pip install {package}")

    def functions(self):
        """Return the right functions by name: those of the solution, or of the book if the solution is compiled."""
        if self.tools != "numpy":
            return {name: getattr(reference, name) for name in reference.OPS}
        namespace = {"__name__": self.name}
        exec(compile(self.solution_code(), str(self.path), "exec"), namespace)
        return namespace

    def tasks(self):
        """Return the tasks: the ``TASKS`` of the source."""
        namespace = self.functions()
        for cell in self.cells:
            if cell.kind == "tests":
                exec(compile(cell.text, str(self.path), "exec"), namespace)
        return namespace["TASKS"]

    @property
    def path(self):
        return SOURCE / f"{self.stem}.py"

    def as_file(self, reader=STUDENT):
        """Return the text of a Python file in cells, with the example under ``if __name__ == "__main__"``."""
        file = f"{self.stem}.py"
        head = [f"# {self.mark}", f"# Write your code, save, and run:  npse exercise check {file}"]
        if reader == ANSWER:
            head[1] = "# One solution. Other solutions are right too."
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
        """The line that identifies a file made from this exercise."""
        variant = f", variant {self.variant}" if self.variant else ""
        return f"npse exercise {self.number}: {self.name} (source {self.hash}{variant})"


def uncomment(text):
    """Return the text without the ``# `` before each line."""
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
                    hashlib.sha256(text.encode()).hexdigest()[:12], facts.get("variant", ""))


@functools.cache
def exercises():
    """Return all exercises in order."""
    return tuple(parse(path) for path in sorted(SOURCE.glob("[0-9][0-9]_*.py")))


def find(which):
    """Return the exercise with this number or name. Raise ValueError if there is none."""
    for exercise in exercises():
        if str(which).lstrip("0") == str(exercise.number) or which in (exercise.name, exercise.stem):
            return exercise
    raise ValueError(f"there is no exercise {which}; "
                     + suggest(which, [exercise.name for exercise in exercises()]))


@functools.cache
def _in_variant(name, variant):
    usual = find(name)
    if variant == usual.variant:
        return usual
    text = next(cell.text for cell in usual.cells if cell.kind == "variant" and cell.title.strip() == variant)
    changes = [line.removeprefix("# ").split(" -> ") for line in text.splitlines() if line.strip()]
    return dataclasses.replace(usual, variant=variant, cells=tuple(
        cell if cell.kind == "variant" else Cell(cell.kind, _changed(cell.title, changes), _changed(cell.text, changes))
        for cell in usual.cells))


def _changed(text, changes):
    for old, new in changes:
        text = text.replace(old, new)
    return text


def solution_lines(exercise):
    """Return the lines in blocks of the solution, stripped, as a set. The student's files must not contain them."""
    return {line.strip() for cell in exercise.cells if cell.kind == "code" for block in _BLOCK.finditer(cell.text)
            if block["what"] == "SOLUTION" for line in block["body"].splitlines() if line.strip()}


def _fill(text, reader):
    """Fill in or leave out the marked blocks of a code cell for one reader."""
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
    """Count the lines of code, without comments and blank lines."""
    return sum(1 for line in body.splitlines() if line.strip() and not line.strip().startswith("#"))


def _mistake(cell):
    facts = re.findall(r"^# (loses|kind): (.+)$", cell.text, re.MULTILINE)
    loses = [part.strip() for key, value in facts if key == "loses" for part in value.split(";")]
    return Mistake(cell.title.strip(), tuple(loses), dict(facts)["kind"].replace("-", ""), cell.text)
