"""Repairs: one change of the source of a wrong backward pass, after which its gradients are right."""

import ast

import numpy as np
import pytest

from npse import reference
from npse.gradcheck import CASES, check_case, check_gradient
from npse.gradcheck.diagnosis.repair.places import edits
from npse.gradcheck.diagnosis.repair.scope import Scope
from npse.gradcheck.diagnosis.repair.source import Source
from npse.support.wrapped import Overlay
from npse.zoo.mutation.criterion import BY_NUMBERS, MISLEADING, RIGHT, classify, restores
from npse.zoo.mutation.operator import OPERATORS

KEPT = {}


def blend(x, a):
    return np.arctan2(x, a) * np.exp(-(x * x))


def blend_backward(dy, x, a):
    square = x * x + a * a
    e = np.exp(-(x * x))
    dx = dy * e * (a / square - 2.5 * x * np.arctan2(x, a))       # 2 belongs there
    da = -dy * e * x / square
    return dx, da


def kept_backward(dy, x, a):
    square = KEPT.setdefault("square", x * x + a * a)
    e = np.exp(-(x * x))
    return dy * e * (a / square - 2 * x * np.arctan2(x, a)), -dy * e * x / square


def chunked_backward(dy, x, a):
    if len(dy) > 4:
        dy = dy.copy()
        dy[len(dy) // 4 * 4:] = 0
    square, e = x * x + a * a, np.exp(-(x * x))
    return dy * e * (a / square - 2 * x * np.arctan2(x, a)), -dy * e * x / square


def rounded_backward(dy, x, a):
    a = a.astype(np.float32)
    square, e = x * x + a * a, np.exp(-(x * x))
    return dy * e * (a / square - 2 * x * np.arctan2(x, a)), -dy * e * x / square


def arguments():
    rng = np.random.default_rng(5)
    return {"x": rng.uniform(0.5, 1.5, (4, 3)), "a": rng.uniform(0.5, 1.5, (4, 3))}


def first(backward, judged="gradient"):
    """Return the first diagnosis of a property."""
    report = check_gradient(blend, backward, arguments(), float32=False)
    return next(result.diagnosis for result in report.failures if result.judged == judged)


def test_the_line_and_the_change_are_told():
    line = blend_backward.__code__.co_firstlineno + 3
    assert first(blend_backward).text == (
        f"dx is wrong: `dx = dy * e * (a / square - 2.5 * x * np.arctan2(x, a))` (line {line}) must be "
        "`dx = dy * e * (a / square - 2 * x * np.arctan2(x, a))`.")


def test_a_value_of_an_earlier_call_is_found_with_other_arguments():
    KEPT.clear()
    found = first(kept_backward, "other arguments")
    assert "for others of the same shapes" in found.text
    assert list(KEPT) == ["square"]                               # the repairs have changed nothing


def test_a_remainder_is_found_with_more_images():
    found = first(chunked_backward, "other arguments")
    assert "only where there are more images" in found.text
    assert "`if len(dy) > 4:`" in found.text
    assert "must be left out" in found.text


def test_an_argument_that_is_rounded_in_a_part_of_a_result_is_named():
    def backward(dy, x, w):
        dz = dy * (1 - np.tanh(x @ w) ** 2)
        return dz @ w.astype(np.float32).T, x.T @ dz

    rng = np.random.default_rng(0)
    given = {"x": rng.normal(size=(3, 4)), "w": rng.normal(size=(4, 2))}
    report = check_gradient(lambda x, w: np.tanh(x @ w), backward, given)
    assert [result.judged for result in report.failures] == ["dtype"]
    assert "is given float64 but rounds w, or what follows from it, to float32" in report.failures[0].message


def test_an_argument_that_is_rounded_inside_is_named():
    report = check_gradient(blend, rounded_backward, arguments(), float32=False)
    found = next(result for result in report.failures if result.judged == "dtype")
    assert "is given float64 but rounds a, or what follows from it, to float32" in found.message


def test_a_zero_gradient_has_its_cause():
    def backward(dy, u, s):
        du, ds = reference.scale_backward(dy, u, s)
        return du * 0, ds
    case = next(case for case in CASES if case.op == "scale")
    wrong = next(result for result in check_case(case, Overlay(reference, scale_backward=backward)) if not result.ok)
    assert wrong.diagnosis.kind == "zero"
    assert wrong.diagnosis.text.startswith("du is all zeros: `")
    assert "must be" in wrong.diagnosis.text


def never_ends(dy, x):
    while True:
        pass


def writes(dy, x):
    print(dy)
    return dy


@pytest.mark.parametrize("function", [never_ends, writes, len, lambda dy, x: dy])
def test_what_does_more_than_arithmetic_is_not_changed(function):
    assert Source.of(function) is None


def test_an_edit_leaves_the_tree_as_it_was():
    source = Source.of(blend_backward)
    before, count = ast.dump(source.tree), 0
    for edit in edits(source.tree, Scope({"dy": np.ones(2), "x": np.ones(2), "a": np.ones(2)})):
        with edit.made():
            count += ast.dump(source.tree) != before
        assert ast.dump(source.tree) == before
    assert count > 500


def test_a_copy_does_what_the_function_does():
    given = arguments()
    copy = Source.of(blend_backward).compiled()
    for ours, right in zip(copy(1.0, **given), blend_backward(1.0, **given), strict=True):
        np.testing.assert_array_equal(ours, right)


# The criterion

RIGHT_CODE = "def f(dy, a):\n    dy = dy + 1\n    return dy * a"
WRONG_CODE = "def f(dy, a):\n    dy = dy + 1\n    return dy / a"


@pytest.mark.parametrize(("sentence", "expected"), [
    ("da is wrong: `dy / a` (line 3) must be `dy * a`.", True), ("`dy / a` (line 3) must be `a * dy`.", False),
    ("`dy = dy + 1` (line 2) must be left out.", False), ("da is wrong.", False)])
def test_a_change_that_is_asked_for_must_restore_the_source(sentence, expected):
    assert restores(sentence, RIGHT_CODE, WRONG_CODE) is expected


def test_another_change_is_right_if_it_gives_the_same_numbers_elsewhere():
    text = "da is wrong: `dy / a` (line 3) must be `a * dy`."
    operator = OPERATORS["drops_a_term"]
    assert classify(operator, "swapped", text, lambda: [("swapped", text)], RIGHT_CODE, WRONG_CODE) == BY_NUMBERS
    assert classify(operator, "swapped", text, lambda: [("sign", "no")], RIGHT_CODE, WRONG_CODE) == MISLEADING
    good = "da is wrong: `dy / a` (line 3) must be `dy * a`."
    assert classify(operator, "swapped", good, list, RIGHT_CODE, WRONG_CODE) == RIGHT
