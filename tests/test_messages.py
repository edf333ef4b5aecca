"""Messages: below the command line they name arguments; only the commands name options."""

import ast
import re
from pathlib import Path

import pytest

import npse as package

ROOT = Path(package.__file__).parent
BELOW = [path for path in sorted(ROOT.rglob("*.py")) if ROOT / "cli" not in path.parents]
WHOLE_COMMAND = re.compile(r"\bnpse( [\w.]+)+ --[a-z]+")          # a command to type, which helps in Python too
OPTION = re.compile(r"(?<![\w-])--[a-z]")


def texts_with_options(source):
    """Yield the texts in a module that name an option outside of a whole command of npse.

    A single word such as "--cache" is no text: it is an argument for another program.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value \
                and OPTION.search(WHOLE_COMMAND.sub("", node.value)):
            yield node.value


@pytest.mark.parametrize("path", BELOW, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_below_the_command_line_names_an_option(path):
    assert list(texts_with_options(path.read_text(encoding="utf-8"))) == []


def test_an_option_in_a_text_is_found():
    assert list(texts_with_options("f'{x} MB are free; lower --batch-size'")) == [" MB are free; lower --batch-size"]
    assert list(texts_with_options("'--vs needs torch'")) == ["--vs needs torch"]
    assert list(texts_with_options("'run: npse data fetch cifar10 --from DIR'")) == []
    assert list(texts_with_options("['--cache', 'a -- b', 'a --- b']")) == []
