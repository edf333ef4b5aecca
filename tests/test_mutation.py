"""Mutants: each operator changes what it says, those without a mistake are left out, sentences are judged by rules."""

import ast
import inspect
import json
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from npse.cli import zoo as command
from npse.gradcheck import Result, check_gradient
from npse.gradcheck.diagnosis import KINDS, Diagnosis
from npse.zoo import mutation, report
from npse.zoo.mutation import OPERATORS, Row, engine, target
from npse.zoo.mutation.criterion import (
    BY_NUMBERS,
    FAILS,
    MISLEADING,
    RIGHT,
    VAGUE,
    classify,
    first_sentence,
    without_numbers,
)
from npse.zoo.mutation.engine import CRASHES, EQUIVALENT, MISTAKE, Mutant, what_it_is
from npse.zoo.mutation.foreign import FOREIGN
from npse.zoo.mutation.operator import edited, is_size
from npse.zoo.mutation.survey import _cell, _finding
from npse.zoo.mutation.target import Target, targets

# The operators: for each a function, and one of the functions that it makes of it

TABLE = {
    "drops_a_term": ("return dy * a + b", "return dy * a"),
    "doubles_a_term": ("return dy - a", "return dy - 2 * a"),
    "loses_a_factor": ("return dy / a", "return dy"),
    "squares_a_factor": ("return dy * a", "return dy * a * a"),
    "takes_the_reciprocal": ("return dy * a", "return dy / a"),
    "flips_a_sign": ("return dy + a", "return dy - a"),
    "exchanges_the_sides_of_a_difference": ("return dy * (1 - a)", "return dy * (a - 1)"),
    "negates_a_result": ("return dy, a", "return (dy, -a)"),
    "changes_an_exponent": ("return dy * a ** 2", "return dy * a"),
    "changes_a_constant": ("return 2 * dy", "return 0.5 * dy"),
    "takes_a_mean_for_a_sum": ("return total(dy, 0)", "return average(dy, 0)"),
    "takes_a_sum_for_a_mean": ("return dy.mean(axis=0)", "return dy.sum(axis=0)"),
    "divides_by_one_less": ("return dy / N", "return dy / (N - 1)"),
    "forgets_a_function": ("return dy * np.exp(a)", "return dy * a"),
    "keeps_the_other_factor": ("return dy * a", "return a * a"),
    "forgets_eps": ("return dy / (a + eps)", "return dy / (a + 0.0)"),
    "leaves_out_an_axis": ("return total(dy, (0, 1, 2))", "return total(dy, (0, 2))[0]"),
    "takes_another_axis": ("return dy.sum(axis=1)", "return dy.sum(axis=0)"),
    "forgets_keepdims": ("return dy - a[:, None]", "return dy - a"),
    "puts_a_new_axis_elsewhere": ("return dy - a[:, None]", "return dy - a[None, :]"),
    "takes_another_index": ("for i in range(3):\n    dy[i] = a[i]", "for i in range(3):\n    dy[i] = a[0]"),
    "exchanges_two_indices": ("for i, j in a:\n    dy[i, j] = b[i, j]", "for i, j in a:\n    dy[i, j] = b[j, i]"),
    "shifts_a_bound": ("return dy[1:n]", "return dy[:n]"),
    "loses_a_turn_of_a_loop": ("for i in a:\n    dy += i", "for i in list(a)[:-1]:\n    dy += i"),
    "forgets_an_option": ("return f(dy, stride, padding)", "return f(dy, 1, padding)"),
    "exchanges_two_sizes": ("return dy / (H * W)", "return dy / (W * W)"),
    "inverts_a_mask": ("return dy * (a > 0)", "return dy * (a <= 0)"),
    "widens_a_mask": ("return dy * (a > 0)", "return dy * (a >= 0)"),
    "removes_a_mask": ("return dy * (a > 0)", "return dy"),
    "masks_by_another_array": ("return dy * (a > 0)", "return dy * (dy > 0)"),
    "exchanges_winner_and_loser": ("return dy[a.argmax(axis=0)]", "return dy[a.argmin(axis=0)]"),
    "forgets_a_transposition": ("return dy @ a.T", "return dy @ a"),
    "exchanges_the_factors_of_a_matrix_product": ("return dy @ a", "return a @ dy"),
    "joins_in_another_order": ("return np.concatenate([dy, a])", "return np.concatenate([a, dy])"),
    "mirrors_an_axis": ("return dy[:, ::-1]", "return dy[:, :]"),
    "takes_another_array": ("return dy * a", "return dy * b"),
    "exchanges_two_arguments": ("return f(dy, a, b)", "return f(dy, b, a)"),
    "exchanges_two_results": ("return dy, a", "return (a, dy)"),
    "returns_a_result_twice": ("return dy, a", "return (dy, dy)"),
    "skips_a_step": ("a = a + dy\nreturn a", "return a"),
    "rounds_a_saved_value": ("h = a * b\nreturn dy * h", "h = np.round(a * b, 3)\nreturn dy * h"),
    "works_in_place": ("return dy * a, b", "dy *= a\nreturn (dy, b)"),
    "overwrites_a_saved_value": ("return dy * a", "a *= 0.5\nreturn dy * a"),
    "forgets_to_accumulate": ("for i in b:\n    dy[i] += a", "for i in b:\n    dy[i] = a"),
    "adds_to_earlier_calls": (
        "return dy", "return _KEPT.setdefault(np.shape(dy), []).append(dy) or sum(_KEPT[np.shape(dy)])"),
    "keeps_a_stale_value": (
        "return dy * a",
        "return dy * _KEPT.setdefault((1, np.shape(dy), np.shape(a), np.shape(b)), np.copy(a))"),
    "ignores_the_upstream_gradient": ("return dy * a", "dy = np.ones_like(dy)\nreturn dy * a"),
    "clips_or_squares_the_gradient": ("return dy * a", "dy = np.clip(dy, -1, 1)\nreturn dy * a"),
    "treats_some_shapes_apart": ("return dy", "if np.shape(dy)[:1] == (1,):\n    dy = 0 * dy\nreturn dy"),
    "forgets_something_on_a_fast_path": ("return dy", "if np.all(dy == 1):\n    dy = dy / 2\nreturn dy"),
    "drops_the_remainder": ("return dy", "if np.ndim(dy) and len(dy) > 2:\n    dy = dy.copy()\n"
                                         "    dy[len(dy) // 2 * 2:] = 0\nreturn dy"),
    "takes_the_wrong_label": ("return dy[labels]", "return dy[np.roll(labels, 1)]"),
    "forgets_the_dtype": ("h = np.zeros(3, a.dtype)\nreturn h", "h = np.zeros(3)\nreturn h"),
    "scales_by_the_batch": ("return dy / len(a)", "return dy"),
    "returns_another_shape": ("return dy", "return np.ravel(dy)"),
}


def parsed(body):
    """Return the syntax tree of a backward pass of a and b with these lines."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return ast.parse(f"def f_backward(dy, a, b, stride=1, padding=0, eps=1e-5):\n{lines}").body[0]


def test_the_table_has_every_operator():
    assert set(TABLE) == set(OPERATORS)


@pytest.mark.parametrize("name", TABLE)
def test_an_operator_changes_what_it_says(name):
    before, after = TABLE[name]
    tree = parsed(before)
    right = ast.unparse(tree)
    changed = [edited(tree, node, replacement) for node, replacement in OPERATORS[name].edits(tree)]
    made = [ast.unparse(one) for one in changed]
    assert ast.unparse(parsed(after)) in made
    assert right not in made
    assert ast.unparse(tree) == right                             # the tree itself stays as it is
    for one in changed:
        compile(ast.Module([one], []), name, "exec")


@pytest.mark.parametrize(("source", "expected"), [
    ("H * W", True), ("len(x)", True), ("x.shape[0]", True), ("e.size", True), ("B", True), ("std", False),
    ("np.sqrt(var + eps)", False), ("2", False)])
def test_a_size_is_told_from_a_value(source, expected):
    assert is_size(ast.parse(source, mode="eval").body) is expected


def test_an_operator_is_described():
    for operator in OPERATORS.values():
        assert operator.change.endswith("."), operator.name
        assert operator.kinds or operator.words, operator.name
        assert set(operator.kinds) <= set(KINDS) - {"unexplained"}, operator.name


def test_the_hash_of_the_name_decides_the_half():
    held_out = [operator.name for operator in OPERATORS.values() if operator.is_held_out]
    assert 0.4 * len(OPERATORS) < len(held_out) < 0.6 * len(OPERATORS)
    assert OPERATORS["drops_a_term"].is_held_out
    assert not OPERATORS["negates_a_result"].is_held_out


# The targets

def test_there_are_enough_targets():
    assert len(FOREIGN) >= 20
    assert sum(one.group == "ops" for one in targets().values()) >= 55


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_function_is_right(name):
    foreign = FOREIGN[name]
    for seed in range(5):
        found = check_gradient(foreign.forward, foreign.backward, foreign.make(np.random.default_rng(seed)),
                               kinks=foreign.kinks, seed=seed)
        assert found.ok, str(found)


@pytest.mark.parametrize("name", ["layer_norm_backward", "scale_backward", "conv2d_backward_x", "max_pool_backward"])
def test_the_tree_of_a_target_is_the_right_function(name):
    one = targets()[name]
    function = one.compiled(one.tree)
    assert list(inspect.signature(function).parameters) == list(inspect.signature(one.function).parameters)
    assert len(one.calls(0)) >= 4
    for call in one.calls(0):
        for ours, right in zip(engine.observed(function, call), engine.observed(one.function, call), strict=True):
            np.testing.assert_array_equal(ours, right)


@pytest.mark.parametrize("name", ["scale_backward", "relu_backward", "batch_norm_backward", "conv2d_backward_w"])
def test_mutants_are_compared_on_more_images_than_the_judge_has(name):
    judged = {len(next(iter(case.make(np.random.default_rng(0)).values()))) for case in targets()[name].cases}
    compared = {len(arguments[0]) for arguments, _ in targets()[name].calls(0)}
    assert set(target.MORE_IMAGES) <= compared
    assert max(target.MORE_IMAGES) > max(judged)


# Mutants that are no mistakes

class Doubles(Target):
    """A backward pass with a term that counts for nothing, compared on two calls."""

    group = "foreign"

    def drawn_calls(self, seed):
        x = np.random.default_rng(seed).standard_normal((2, 3))
        return [((x, x + 1), {}), ((x[:1], x[:1]), {})]


def doubles_backward(dy, x):
    return dy * (x + x) + 0 * x


@pytest.fixture
def doubles(monkeypatch):
    """Return a function that says what a mutant of `doubles_backward` is, by operator and changed source."""
    one = Doubles("doubles_backward", doubles_backward)
    monkeypatch.setattr(engine, "targets", lambda: {"doubles": one})

    def what(operator, source):
        for place, (node, replacement) in enumerate(OPERATORS[operator].edits(one.tree)):
            if ast.unparse(edited(one.tree, node, replacement)).endswith(f"return {source}"):
                return what_it_is(Mutant("doubles", operator, place), 0)
        raise LookupError(source)
    return what


@pytest.mark.parametrize(("operator", "source", "expected"), [
    ("drops_a_term", "dy * (x + x)", EQUIVALENT),
    ("drops_a_term", "0 * x", MISTAKE),
    ("flips_a_sign", "dy * (x + x) - 0 * x", EQUIVALENT),
    ("flips_a_sign", "dy * (x - x) + 0 * x", MISTAKE),
    ("rounds_a_saved_value", "dy * (np.asarray(x).astype(np.float32) + x) + 0 * x", MISTAKE),
    ("forgets_the_dtype", "np.asarray(dy * (x + x) + 0 * x, np.float64)", EQUIVALENT),
])
def test_an_equivalent_mutant_is_left_out(doubles, operator, source, expected):
    assert doubles(operator, source) == expected


def test_a_change_of_an_argument_is_a_mistake_though_the_result_is_right():
    right, wrong = doubles_backward, lambda dy, x: np.multiply(dy, 2 * x, out=dy)
    call = (np.ones(3), np.arange(3.0)), {}
    assert not all(map(np.array_equal, engine.observed(wrong, call), engine.observed(right, call)))


def test_a_mutant_that_raises_at_once_is_left_out():
    found = [what_it_is(mutant, 0) for mutant in engine.drawn("foreign", True, 0)["forgets_a_transposition"]
             if mutant.target == "attention_backward"]
    assert CRASHES in found


def test_a_mutant_that_only_some_shapes_show_is_a_mistake():
    mutant = Mutant("scale_backward", "treats_some_shapes_apart", 0)
    assert what_it_is(mutant, 0) == MISTAKE


def test_the_draw_repeats_and_keeps_the_halves_apart():
    first, again, other = (engine.drawn("foreign", False, seed) for seed in (3, 3, 4))
    assert list(first) == list(again)
    assert first == again
    assert first != other
    assert {name: set(mutants) for name, mutants in first.items()} == \
        {name: set(mutants) for name, mutants in other.items()}
    assert not any(OPERATORS[name].is_held_out for name in first)
    assert set(first) | set(engine.drawn("foreign", True, 3)) == set(OPERATORS)


@pytest.fixture
def three_operators(monkeypatch):
    """Draw from three operators: of the first every second mutant is a mistake, the last has one mutant."""
    drawn = {name: [Mutant("scale_backward", name, place) for place in range(count)]
             for name, count in (("squares_a_factor", 20), ("loses_a_factor", 20), ("returns_another_shape", 1))}
    monkeypatch.setattr(sys.modules["npse.zoo.mutation.survey"], "drawn", lambda *_: drawn)
    monkeypatch.setattr(Mutant, "tree", lambda mutant: ast.parse(f"{mutant.operator}({mutant.place})"))
    monkeypatch.setattr(sys.modules["npse.zoo.mutation.survey"], "examine", lambda mutant, seed: Row(
        mutant, CRASHES if mutant.operator == "squares_a_factor" and mutant.place % 2 else MISTAKE))


@pytest.mark.parametrize(("wanted", "counts"), [(1, (1, 0, 0)), (3, (1, 1, 1)), (4, (2, 1, 1)), (9, (4, 4, 1)),
                                                (99, (10, 20, 1))])
def test_each_operator_gives_as_many_mistakes(three_operators, wanted, counts):
    rows = _cell("ops", True, wanted, 0, map, lambda found: None)
    found = Counter(row.mutant.operator for row in rows if row.what == MISTAKE)
    assert (found["squares_a_factor"], found["loses_a_factor"], found["returns_another_shape"]) == counts


# The criterion

SAYS = "ds is averaged over H, W, where a sum belongs (H*W is 12 here). ds = the sum over H, W of dy*u, Eq. 4."
OTHER = "ds is averaged over H, W, where a sum belongs (H*W is 6 here). ds = the sum over H, W of dy*u, Eq. 4."
PAIR = "du is the upstream gradient without its factor s, and dz has the wrong sign. Eq. 4."


@pytest.mark.parametrize(("operator", "kind", "text", "elsewhere", "verdict"), [
    ("takes_a_mean_for_a_sum", "averaged", SAYS, [], RIGHT),
    ("negates_a_result", "averaged", SAYS, [("sign", "ds has the wrong sign.")], MISLEADING),
    ("negates_a_result", "averaged", SAYS, [], MISLEADING),
    ("negates_a_result", "averaged", SAYS, [("averaged", OTHER), ("averaged", OTHER)], BY_NUMBERS),
    ("negates_a_result", "averaged", SAYS, [("averaged", OTHER), ("sign", "ds has the wrong sign.")], MISLEADING),
    ("negates_a_result", "sign", "ds has the wrong sign, everywhere.", [], RIGHT),
    ("drops_a_term", "sign", "ds has the wrong sign, everywhere.", [], VAGUE),
    ("drops_a_term", "unexplained", "du: no simple mistake explains it; 3 of 4 entries differ.", [], VAGUE),
    ("loses_a_factor", "factor", "dx is right except for a different factor at each place along N.", [], VAGUE),
    ("loses_a_factor", "path missing", "du is the upstream gradient without its factor s. Eq. 4.", [], RIGHT),
    ("loses_a_factor", "path missing", PAIR, [], MISLEADING),
    ("loses_a_factor", "path missing", PAIR, [("path missing", PAIR)], BY_NUMBERS),
    ("drops_a_term", "factor", "every entry of dx is 3.7 times too large.", [], VAGUE),
    ("changes_a_constant", "factor", "every entry of dx is 2 times too large.", [], RIGHT),
    ("squares_a_factor", "factor", "every entry of dx is 2 times too large, and N is 2.", [], RIGHT),
    ("forgets_eps", "factor", "every entry of dx is 2 times too large, and N or sqrt(H) is 2.", [], MISLEADING),
    ("drops_a_term", "factor", "every entry of dx is 12 times too large: dx is not divided by N.", [], MISLEADING),
    ("drops_a_term", "shape", "du has shape (2,), where u has (2, 3). A gradient has ...", [], VAGUE),
    ("drops_a_term", "raises", "scale raises ValueError: no.", [], VAGUE),
    ("drops_a_term", "judge fails", "the judge raises IndexError: list index out of range", [], MISLEADING),
    ("keeps_a_stale_value", "dtype", "dx in float32 deviates from float64 by 2.0e-01.", [
        ("dtype", "dx in float32 deviates from float64 by 3.0e-01.")], MISLEADING),
    ("keeps_a_stale_value", "dtype", "backward is given float32 but returns float64.", [], VAGUE),
    ("treats_some_shapes_apart", "zero", "du is all zeros.", [], VAGUE),
    ("treats_some_shapes_apart", "zero", "du is all zeros, but only where N = 1.", [], RIGHT),
    ("loses_a_turn_of_a_loop", "borders", "dx is right except at the border: 4 entries at ... are wrong.", [], RIGHT),
    ("returns_a_result_twice", "zero", "dx is all zeros. No part of the upstream gradient reaches it.", [], RIGHT),
    ("exchanges_two_results", "swapped", "da is the gradient of b, and db that of a: two results are swapped.", [],
     RIGHT),
    ("forgets_an_option", "wrong value", "dx ignores the stride 2.", [], RIGHT),                    # by a word
])
def test_a_sentence_is_judged(operator, kind, text, elsewhere, verdict):
    assert classify(OPERATORS[operator], kind, text, lambda: elsewhere) == verdict


def test_an_exception_of_the_judge_is_not_one_of_the_function():
    said = Result("scale", "H < W", "runs", "wrong", diagnosis=Diagnosis("raises", "", "scale raises IndexError: no."))
    assert _finding(said, [IndexError("no")]) == ("raises", "scale raises IndexError: no.")
    assert _finding(said, [])[0] == FAILS
    assert _finding(IndexError("no"), [IndexError("no")])[0] == "raises"
    assert _finding(IndexError("no"), []) == (FAILS, "the judge raises IndexError: no")
    assert _finding(ValueError("backward must return 2 gradients"), [])[0] == "refused"
    assert _finding(replace(said, verdict="right"), []) is None


def test_the_first_sentence_ends_at_a_full_stop():
    assert first_sentence(SAYS).endswith("(H*W is 12 here).")
    assert first_sentence("dx is 0.5 times it, Eq. 4. And more.") == "dx is 0.5 times it, Eq. 4."
    assert first_sentence("no full stop") == "no full stop"


def test_numbers_do_not_count_when_sentences_are_compared():
    assert without_numbers("w1 is times 2, and H*W is 1.5e-05") == "w1 is times #, and H*W is #"


# The survey, the command and its page

def run(*words):
    app = typer.Typer()
    app.command()(command.zoo)
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    return done.exit_code, done.output


@pytest.mark.slow
def test_twenty_mutants_from_the_draw_to_the_page(tmp_path):
    page, results = tmp_path / "page.md", tmp_path / "mutants.json"
    begin, end = report.MUTANTS
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    code, output = run("--mutate", "--mutants", "20", "--jobs", "1", "--write", str(page), "--json", str(results), "-v")
    assert code == 0
    text = page.read_text()
    assert text.startswith(f"before\n{begin}\n")
    assert text.endswith(f"{end}\nafter\n")
    assert "old" not in text
    assert "--mutants 20 --seed 0" in text
    found = json.loads(results.read_text())
    rows = [row for row in found["rows"] if row["what"] == MISTAKE]
    assert len(rows) == 20
    for half in ("developed on", "held out"):
        for group in ("ops", "foreign"):
            assert sum(row["half"] == half and row["group"] == group for row in rows) == 5
            assert f"| {half} | {group} | 5 |" in text
    for row in found["rows"]:
        assert ("sentence" in row) == (row["half"] == "developed on")        # nobody reads the other half
        assert OPERATORS[row["operator"]].is_held_out == (row["half"] == "held out")
        assert bool(row["verdict"]) == bool(row["caught"])
    assert output.count(" -> ") == 10


@pytest.mark.slow
def test_the_result_does_not_depend_on_the_number_of_processes():
    one, two = ([replace(row, seconds=0) for row in mutation.survey(4, 5, jobs)] for jobs in (1, 2))
    assert one == two


def test_the_shares_of_the_table():
    mutant = Mutant("scale_backward", "negates_a_result", 0)
    rows = [Row(mutant, MISTAKE, "here", "sign", "wrong sign", verdict) for verdict in
            (RIGHT, BY_NUMBERS, VAGUE, VAGUE, MISLEADING)]
    rows += [Row(mutant, MISTAKE), Row(mutant, EQUIVALENT), Row(mutant, CRASHES)]
    header, lines = mutation.table(rows)
    assert dict(zip(header, lines[0], strict=True)) == {
        "operators": "developed on", "functions": "ops", "mutants": 6, "equivalent": 1, "crash": 1, "caught": "83.3 %",
        "right": "33.3 %", "of these by numbers": "16.7 %", "vague": "33.3 %", "misleading": "16.7 %"}
    assert lines[3][2:4] == (0, 0)
    assert mutation.table_of_operators(rows)[1][0][:2] == ("`negates_a_result`", "developed on")


def test_a_missed_mutant_is_listed_on_the_page():
    missed = Row(Mutant("scale_backward", "negates_a_result", 0), MISTAKE, change=("return du", "return -du"))
    assert "| `scale_backward` | `negates_a_result` | `return du` | `return -du` |" in report.mutants_page([missed], "")


def test_mutants_of_one_op_are_refused():
    with pytest.raises(ValueError, match="leave out --op"):
        run("--mutate", "--op", "scale_backward")


def test_the_right_functions_cause_no_alarm():
    for name in ("layer_norm_backward", "scale_backward"):
        one = targets()[name]
        for _, results in one.judged(one.compiled(one.tree), 0):
            assert all(result.verdict == "right" for result in results)
    assert target.DRAWS > 1
