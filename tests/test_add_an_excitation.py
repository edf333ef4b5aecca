"""docs/add_an_excitation.md, followed literally in a copy of the package."""

import re

import pytest
from followed_page import Page, run

PAGE = Page("add_an_excitation.md")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return PAGE.follow(tmp_path_factory.mktemp("copy"))


def test_the_page_adds_one_chapter_and_a_line_in_the_table_of_names():
    assert [name for name, _ in PAGE.blocks] == [
        "npse/reference/excitations/temperature.py", "npse/reference/excitations/__init__.py",
        "npse/gradcheck/cases/excitations.py", "npse/layers/excitations/temperature.py",
        "npse/layers/excitations/__init__.py"]
    assert PAGE.blocks[-1][1].splitlines()[-1] == 'EXCITATIONS["temperature"] = Temperature'


def test_its_gradients_are_right(copy):
    code, output = run(copy, PAGE.commands[0])
    assert code == 0, output
    assert len(re.findall(r"^temperature .* right$", output, re.MULTILINE)) == 2


@pytest.mark.slow
def test_a_network_trains_with_it(copy):
    code, output = run(copy, PAGE.commands[1])
    assert code == 0, output
