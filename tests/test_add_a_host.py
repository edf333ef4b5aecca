"""docs/add_a_host.md, followed literally in a copy of the package."""

import os
import re
import subprocess
import sys

import pytest
from followed_page import ROOT, Page, run

PAGE = Page("add_a_host.md")
CHECK = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "add_a_host.md").read_text(encoding="utf-8"),
                   re.MULTILINE | re.DOTALL)[-1]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return PAGE.follow(tmp_path_factory.mktemp("copy"))


def python(copy, code):
    ran = subprocess.run([sys.executable, "-c", code], cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)},
                         capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_page_adds_a_network_and_two_names():
    assert [name for name, _ in PAGE.blocks] == ["npse/models/plain.py", "npse/models/named_hosts.py",
                                                 "npse/models/__init__.py"]


@pytest.mark.slow
def test_its_cost_is_counted(copy):
    code, output = run(copy, PAGE.commands[0])
    assert code == 0, output
    assert "layer3.1.se" in output


def test_its_gradient_is_right_and_an_error_is_found(copy):
    assert "right" in python(copy, CHECK)
    wrong = CHECK.replace("print(check", 'gradients["layer2.0.conv1.weight"] *= 1.01\nprint(check')
    assert "wrong" in python(copy, wrong)


def test_its_errors_are_clear(copy):
    code = """
from npse import models
from npse.models.plain import plain
for task in (lambda: plain(7), lambda: models.se_plain6(stages=(4,))):
    try: task()
    except ValueError as error: print(error)
print(len(models.plain6(image_size=9).named_parameters()))"""
    depth, stage, count = python(copy, code).splitlines()
    assert depth == "depth must be a multiple of the 3 stages, but is 7"
    assert "4" in stage
    assert int(count) == 6 * 3 + 2


@pytest.mark.slow
def test_it_trains(copy):
    code, output = run(copy, PAGE.commands[1])
    assert code == 0, output
