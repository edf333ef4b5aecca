"""docs/add_an_op.md, followed literally: its blocks are appended to the files it names, in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import npse

ROOT = Path(npse.__file__).parents[1]
PAGE = (ROOT / "docs" / "add_an_op.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^`(npse/[\w/]+\.py)`\n\n```python\n(.*?)```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^```sh\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)


def append(folder, name, block):
    """Append a block to a file; import lines go to the head of the file, under its docstring."""
    file = folder / name
    imports = [line for line in block.splitlines(keepends=True) if line.startswith(("import ", "from "))]
    rest = "".join(line for line in block.splitlines(keepends=True) if line not in imports)
    head, quotes, body = file.read_text(encoding="utf-8").partition('"""\n\n')
    file.write_text(head + quotes + "".join(imports) + body.rstrip() + "\n\n\n" + rest.lstrip(), encoding="utf-8")


def run(folder, command):
    words = command.replace("npse ", "-m npse ", 1).split()
    environment = os.environ | {"PYTHONPATH": str(folder), "NPSE_CACHE_DIR": str(folder / "cache"), "COLUMNS": "200"}
    ran = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "npse", folder / "npse", ignore=shutil.ignore_patterns("__pycache__"))
    for name, block in BLOCKS:
        append(folder, name, block)
    return folder


def test_the_page_changes_one_chapter_of_each_edition_and_one_file_of_cases():
    assert [name for name, _ in BLOCKS] == ["npse/reference/activation.py", "npse/gradcheck/cases/pointwise.py",
                                            "npse/cpu/activation.py"]
    assert COMMANDS == ["npse check --op softplus --edition reference", "npse check --op softplus --edition cpu"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_new_op_is_right(copy, command):
    if "cpu" in command:
        pytest.importorskip("numba")
    code, output = run(copy, command)
    assert (code, "wrong" in output) == (0, False), output
    assert "softplus" in output


def test_the_new_op_is_complete(copy):
    code = ("from npse import reference; from npse.gradcheck import KNOWN_OPS; "
            "assert {'softplus', 'softplus_backward'} <= {*reference.OPS} & {*KNOWN_OPS}; "
            "assert reference.softplus.contract.backward == ('softplus_backward',)")
    environment = os.environ | {"PYTHONPATH": str(copy)}
    subprocess.run([sys.executable, "-c", code], cwd=copy, env=environment, check=True)


def test_with_a_sign_changed_it_is_wrong(copy, tmp_path):
    shutil.copytree(copy, tmp_path, dirs_exist_ok=True)
    chapter = tmp_path / "npse" / "reference" / "activation.py"
    text = chapter.read_text(encoding="utf-8")
    assert text.count("return dy * sigmoid(x)") == 1
    chapter.write_text(text.replace("return dy * sigmoid(x)", "return -dy * sigmoid(x)"), encoding="utf-8")
    code, output = run(tmp_path, COMMANDS[0])
    assert code == 1
    assert re.search(r"gradient of x: wrong", output), output
    assert "sign" in output
