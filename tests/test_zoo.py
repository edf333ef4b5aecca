"""The bug zoo: every planted bug is caught and explained, the correct book causes no alarm, the page is correct."""

import inspect
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from npse import reference
from npse.cli import zoo as command
from npse.gradcheck import check_case
from npse.gradcheck.diagnosis import KINDS
from npse.support.markdown import between_markers
from npse.zoo import BOOK, BUGS, DESIGNS, NO_BUG, all_cases, false_alarms, measure, report, survey
from npse.zoo.bug import bug as plant
from npse.zoo.designs import Finding

PAGE = Path(__file__).parents[1] / "docs" / "zoo.md"


SOME = tuple({bug.ops: bug for bug in reversed(BUGS)}.values())       # a bug of each op


@pytest.fixture(scope="module")
def rows(numeric_gradients_once):
    """Return a function that judges bugs and returns the results by name. It judges no bug twice."""
    known = {}

    def of(bugs):
        for row in survey([bug for bug in bugs if bug.name not in known], 1, ("judge",)):
            known[row.bug.name] = row
        return {bug.name: known[bug.name] for bug in bugs}
    return of


# The list

def test_there_are_enough_and_some_are_real():
    assert len(BUGS) >= 80
    assert sum(bool(bug.source) for bug in BUGS) >= 20
    assert all(bug.source for bug in BUGS if bug.chapter == "museum")


def test_every_bug_is_described():
    for bug in BUGS:
        assert bug.mistake.endswith((".", ".)")), bug.name
        assert set(bug.kinds) <= set(KINDS) - {"unexplained"}, bug.name
        assert not bug.source or re.fullmatch(r"[\w.-]+/[\w.-]+( #\d+|, [\w/.]+)", bug.source), bug.name


def test_every_gradient_of_the_book_has_a_bug():
    backward = {op for case in all_cases() if case.wrt for op in case.ops if "backward" in op}
    assert backward - {op for bug in BUGS for op in bug.ops} == set()


def parameters(op):
    """Return name, kind and default of each parameter, in order. The types are left out: bugs state none."""
    return [(found.name, found.kind, found.default) for found in inspect.signature(op).parameters.values()]


def test_a_bug_keeps_the_signature_of_its_op():
    for bug in BUGS:
        for op, function in bug.plant().items():
            assert parameters(function) == parameters(getattr(BOOK, op)), bug.name


def test_a_bug_replaces_its_ops_and_no_others():
    ops = (*reference.OPS, "se_block_backward")
    for bug in BUGS:
        edition = bug.edition()
        assert {op for op in ops if getattr(edition, op) is not getattr(BOOK, op)} == set(bug.ops)
    assert {op: getattr(BOOK, op) for op in reference.OPS} == {op: getattr(reference, op) for op in reference.OPS}


def test_a_bug_with_state_starts_anew_each_time():
    accumulates = next(bug for bug in BUGS if bug.name == "accumulates")
    assert accumulates.edition().dense_backward is not accumulates.edition().dense_backward


def test_two_bugs_of_one_name_are_refused():
    with pytest.raises(ValueError, match="mirrors_the_filter"):
        @plant("conv2d_backward_x", "flipped kernel")
        def mirrors_the_filter(dy, w, x_shape, stride=1, padding=0):
            """A second bug with this name."""


# The judge

@pytest.mark.parametrize("bug", [pytest.param(bug, id=bug.name, marks=() if bug in SOME else pytest.mark.slow)
                                 for bug in BUGS])
def test_every_bug_is_caught(rows, bug):
    assert rows([bug])[bug.name].caught["judge"]


@pytest.mark.parametrize("bugs", [pytest.param(SOME, id="one of each op"),
                                  pytest.param(BUGS, id="all", marks=pytest.mark.slow)])
def test_nine_of_ten_bugs_are_diagnosed(rows, bugs):
    missed = [f"{row.bug.name}: {row.kind or 'nothing'}, not {row.bug.kinds}" for row in rows(bugs).values()
              if not row.diagnosed]
    assert len(missed) <= 0.1 * len(bugs), "\n".join(missed)


@pytest.mark.slow
def test_the_correct_book_causes_no_false_alarm():
    found = false_alarms(1, 1)
    assert found["judge"].checks > 1000
    assert found["judge"].false == found["judge"].undecided == 0
    assert found["sum, all"].false > 0                            # at ties a simple design gives a false alarm


@pytest.mark.parametrize("seeds", [pytest.param(10, marks=pytest.mark.slow),
                                   pytest.param(100, marks=pytest.mark.nightly)])
def test_the_correct_book_causes_no_false_alarm_with_many_seeds(seeds):
    assert false_alarms(seeds, 0)["judge"].false == 0


def test_the_results_do_not_depend_on_the_number_of_processes():
    bugs = [bug for bug in BUGS if "scale_backward" in bug.ops]
    assert len(bugs) > 1
    one, two = (list(survey(bugs, 2, jobs=jobs)) for jobs in (1, 2))
    assert one == two
    one, two = (false_alarms(3, 2, "scale", jobs=jobs) for jobs in (1, 2))
    assert one == two
    assert (one["judge"].seeds, one["sum, all"].seeds) == (3, 2)
    assert one["judge"].checks == 3 * false_alarms(1, 0, "scale")["judge"].checks > 0


# The rule

@pytest.fixture
def design(monkeypatch):
    """Return a function that replaces the judge by a function of (case, bug, seed)."""
    def put(function):
        measure.is_false_alarm.cache_clear()
        monkeypatch.setitem(DESIGNS, "judge", function)
    yield put
    measure.is_false_alarm.cache_clear()


def row_of(name, seeds):
    return next(survey([bug for bug in BUGS if bug.name == name], seeds, ("judge",)))


@pytest.mark.parametrize(("missed", "caught"), [((), True), ((7,), True), ((3, 11), False)])
def test_one_seed_in_twenty_may_miss(design, missed, caught):
    design(lambda case, bug, seed: Finding("!") if bug is not NO_BUG and seed not in missed else None)
    assert bool(row_of("mirrors_the_filter", 20).caught["judge"]) is caught


def test_the_first_shape_that_shows_it_counts(design):
    design(lambda case, bug, seed: Finding("!", "sign") if bug is not NO_BUG and "1x1 kernel" in case.label else None)
    row = row_of("subtracts_the_taps", 3)
    assert row.caught["judge"] == "conv2d [1x1 kernel]"
    assert (row.kind, row.diagnosed) == ("sign", True)


def test_a_finding_on_the_correct_book_too_is_no_catch(design):
    design(lambda case, bug, seed: Finding("!"))
    assert row_of("mirrors_the_filter", 2).caught["judge"] == ""


def test_a_diagnosis_must_fit_in_nearly_all_seeds(design):
    for wrong, diagnosed in ((1, True), (2, False)):
        def lottery(case, bug, seed, wrong=wrong):
            return Finding("!", "sign" if seed < wrong else "flipped kernel") if bug is not NO_BUG else None
        design(lottery)
        assert row_of("mirrors_the_filter", 20).diagnosed is diagnosed


# The command and its page

def run(*words):
    app = typer.Typer()
    app.command()(command.zoo)
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    return done.exit_code, done.output


def test_one_op_into_a_page_and_a_file(tmp_path):
    page, results = tmp_path / "page.md", tmp_path / "zoo.json"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    code, output = run("--op", "add_backward", "--seeds", "2", "--alarms", "1", "--write", str(page),
                       "--json", str(results))
    assert code == 0
    assert "\njudge " in output
    text = page.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n")
    assert text.endswith(f"{report.END}\nafter\n")
    assert "old" not in text
    assert "`add_drops_the_shortcut`" in text
    found = json.loads(results.read_text())
    assert {row["bug"] for row in found["bugs"]} == {bug.name for bug in BUGS if "add_backward" in bug.ops}
    assert found["alarms"]["judge"] == {"seeds": 1, "checks": found["alarms"]["judge"]["checks"], "false": 0,
                                        "undecided": 0}


def test_a_blind_judge_exits_with_1(design):
    design(lambda case, bug, seed: None)
    code, output = run("--op", "add_backward", "--seeds", "1", "--alarms", "0", "--jobs", "1")
    assert code == 1
    assert "add_drops_the_shortcut: not caught" in output


def test_a_judge_without_diagnoses_exits_with_1(design):
    design(lambda case, bug, seed: Finding("!") if bug is not NO_BUG else None)
    code, output = run("--op", "add_backward", "--seeds", "1", "--alarms", "0", "--jobs", "1")
    assert code == 1
    assert "add_drops_the_shortcut: not diagnosed, wanted zero or path missing; add [H < W]: none: !" in output


def test_a_false_alarm_exits_with_1(monkeypatch):
    monkeypatch.setattr(measure, "check_case", lambda case, *rest: [replace(result, verdict="wrong")
                                                                  for result in check_case(case, *rest)])
    code, output = run("--op", "add_backward", "--seeds", "1", "--jobs", "1")
    assert code == 1
    assert "not caught" not in output


def test_wrong_arguments_are_explained(tmp_path):
    with pytest.raises(ValueError, match=r"did you mean conv2d\? all are in docs/zoo\.md"):
        run("--op", "conv3d")
    page = tmp_path / "page.md"
    page.write_text("no markers")
    with pytest.raises(ValueError, match="npse zoo: begin"):
        run("--write", str(page))
    assert page.read_text() == "no markers"
    with pytest.raises(FileNotFoundError, match="is not a folder; make it first"):
        run("--json", str(tmp_path / "nowhere" / "zoo.json"))


def table_under(title):
    lines = PAGE.read_text(encoding="utf-8").partition(title)[2].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    rows = [line for line in lines[start:] if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def test_the_page_lists_the_planted_bugs():
    text = PAGE.read_text(encoding="utf-8")
    written = re.findall(r"^\| `(\w+)` \| (.+?) \|", text.partition(report.BEGIN)[2], re.MULTILINE)
    assert written == [(bug.name, "<br>".join(f"`{op}`" for op in bug.ops)) for bug in BUGS]
    for bug in BUGS:
        assert between_markers(text, "", (report.BEGIN, report.END))
        assert bug.source in text


def test_the_page_shows_that_every_bug_is_caught():
    header, _, *lines = table_under(report.BEGIN)[:2 + len(DESIGNS)]
    table = {line[0]: dict(zip(header, line, strict=True)) for line in lines}
    assert list(table) == list(DESIGNS)
    judge = table["judge"]
    assert int(judge["caught"]) == int(judge["of"]) == len(BUGS)
    assert int(judge["diagnosed"]) >= 0.9 * len(BUGS)
    assert int(judge["false alarms"]) == 0
    assert int(judge["seeds"]) >= 100
    assert all(int(table[name]["caught"]) < len(BUGS) for name in DESIGNS if name != "judge")
