"""docs/judge.md is correct: its example is run and its output compared, and the files it names exist."""

import contextlib
import io
import re
from pathlib import Path

import npse
from npse import gradcheck

ROOT = Path(npse.__file__).parent
PAGE = (ROOT.parent / "docs/judge.md").read_text(encoding="utf-8")
PROSE = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)


def test_the_example_prints_what_the_page_shows():
    example, = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    shown = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)[1]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(example, {})
    words = " ".join(printed.getvalue().split())
    for piece in shown.split("..."):
        assert " ".join(piece.split()) in words


def test_every_file_and_function_that_the_page_names_exists():
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "gradcheck").rglob("*.py"))
    for file in set(re.findall(r"`([\w/]+\.py)`", PROSE)):
        found = [ROOT / "gradcheck" / file, ROOT / "gradcheck/diagnosis" / file]
        assert any(path.is_file() for path in found), file
    words = set(re.findall(r"\w+", source))
    named = set(re.findall(r"`(?:\w+\.)?([a-zA-Z_]\w+)(?:\([^`]*\))?`", PROSE))
    assert named >= {"compare", "explain", "register"}
    assert named - words - {"npse"} == set()


def test_the_kinds_that_the_page_names_exist():
    assert {"averaged", "not summed", "path missing"} <= set(gradcheck.KINDS)
