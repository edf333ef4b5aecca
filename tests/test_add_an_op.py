"""docs/add_an_op.md, followed literally: its blocks are appended to the files it names, in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from followed_page import Page, run

PAGE = Page("add_an_op.md")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return PAGE.follow(tmp_path_factory.mktemp("copy"))


def test_the_page_changes_one_chapter_of_each_edition_and_one_file_of_cases():
    assert [name for name, _ in PAGE.blocks] == ["npse/reference/activation.py", "npse/gradcheck/cases/pointwise.py",
                                            "npse/cpu/activation.py"]
    assert PAGE.commands == ["npse check --op softplus --edition reference", "npse check --op softplus --edition cpu"]


@pytest.mark.slow
@pytest.mark.parametrize("command", PAGE.commands)
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
    code, output = run(tmp_path, PAGE.commands[0])
    assert code == 1
    assert re.search(r"gradient of x: wrong", output), output
    assert "sign" in output
