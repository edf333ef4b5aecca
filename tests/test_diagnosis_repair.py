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


def test_a_mask_of_an_earlier_call_is_found_with_other_rows():
    kept = {}

    def backward(dy, x):
        return dy * kept.setdefault(x.shape, x > 0)
    report = check_gradient(lambda x: np.maximum(x, 0), backward, {"x": np.array([[1.0, -2.0], [-0.5, 3.0]])})
    found, = report.failures
    assert found.judged == "other arguments"
    assert "wrong for others of the same shapes" in found.message


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


@pytest.mark.parametrize("distance", [1e-9, 1e-10, 1e-11])
def test_a_number_close_to_a_kink_is_not_a_rounded_one(distance):
    given = {"x": np.array([1.0, 2.0, 0.5]), "b": np.array([-1 - distance, -3.0, 1.0])}
    report = check_gradient(lambda x, b: np.maximum(x + b, 0), lambda dy, x, b: (dy * (x + b > 0),) * 2, given)
    assert report.ok, [result.message for result in report.failures]


def test_a_zero_gradient_has_its_cause():
    def backward(dy, u, s):
        du, ds = reference.scale_backward(dy, u, s)
        return du * 0, ds
    case = next(case for case in CASES if case.op == "scale")
    wrong = next(result for result in check_case(case, Overlay(reference, scale_backward=backward)) if not result.ok)
    assert wrong.diagnosis.kind == "zero"
    assert wrong.diagnosis.text.startswith("du is all zeros: `")
    assert "must be" in wrong.diagnosis.text


def test_a_statement_with_a_wrong_value_is_told_even_if_no_small_change_repairs_it():
    def backward(dy, u, w1, w2, b1, b2):
        _, H, W, _ = u.shape
        z = np.sqrt(np.abs(u)).sum(axis=(1, 2)) / 2
        h = np.maximum(z @ w1.T + b1, 0)
        s = 1 / (1 + np.exp(-(h @ w2.T + b2)))
        da2 = (dy * u).sum(axis=(1, 2)) * s * (1 - s)
        da1 = da2 @ w2 * (h > 0)
        du = dy * s[:, None, None, :] + (da1 @ w1)[:, None, None, :] / (H * W)
        return du, da1.T @ z, da2.T @ h, da1.sum(axis=0), da2.sum(axis=0)
    case = next(case for case in CASES if case.op == "se_backward_staged" and len(case.wrt) == 5)
    wrong = next(result for result in check_case(case, Overlay(reference, se_backward_staged=backward))
                 if not result.ok)
    line = backward.__code__.co_firstlineno + 2
    assert wrong.diagnosis.text == (f"du is wrong: `z = np.sqrt(np.abs(u)).sum(axis=(1, 2)) / 2` (line {line}) does "
                                    "not give z of the forward pass.")


def test_a_result_that_an_op_of_the_book_refuses_is_blamed_on_the_function_that_returned_it():
    def sums(dy, x, mean, var, eps=1e-5):
        dgamma, dbeta = reference.shared_batch_norm_backward_sums(dy, x, mean, var, eps)
        return dgamma, dbeta[None]
    case = next(case for case in CASES if case.op == "shared_batch_norm_backward_x")
    wrong = check_case(case, Overlay(reference, shared_batch_norm_backward_sums=sums), book=reference)[-1]
    assert wrong.diagnosis.kind == "shape"
    assert wrong.diagnosis.text.startswith("Result 1 of shared_batch_norm_backward_sums has shape (1, ")
    line = sums.__code__.co_firstlineno + 2
    assert f"`return (dgamma, dbeta[None])` (line {line}) must be `return (dgamma, dbeta)`" in wrong.diagnosis.text


def test_a_change_that_only_a_later_call_shows_is_found():
    def of_input(dy, x, gamma, mean, var, dgamma, dbeta, count, eps=1e-5):
        xhat = (x[::-1] - mean) / np.sqrt(var + eps)              # the same for one image
        return gamma / np.sqrt(var + eps) * (dy - dbeta / count - xhat * dgamma / count)
    case = next(case for case in CASES if case.label == "unequal parts, H < W" and "relu" not in case.op)
    wrong = next(result for result in check_case(case, Overlay(reference, shared_batch_norm_backward_x=of_input))
                 if not result.ok)
    assert "must be `xhat = (x - mean) / np.sqrt(var + eps)`" in wrong.diagnosis.text


def test_results_of_a_call_that_are_taken_in_another_order_are_put_in_order():
    def product(dy, x, w):
        return dy @ w.T, x.T @ dy

    def backward(dy, x, w):
        dw, dx = product(dy, x, w)
        return 2 * dx, dw
    rng = np.random.default_rng(0)
    given = {"x": rng.standard_normal((3, 3)), "w": rng.standard_normal((3, 3))}
    source = Source.of(backward)
    swapped = next(edit for edit in edits(source.tree, Scope({})) if "`dx, dw = product(dy, x, w)`" in edit.described())
    with swapped.made():
        dx, dw = source.compiled(swapped.place.root)(1.0 * np.eye(3), **given)
    np.testing.assert_array_equal(dx, 2 * given["w"].T)
    np.testing.assert_array_equal(dw, given["x"].T)


def test_values_of_the_tape_are_put_in_the_place_of_others_as_copies():
    def backward(dy, table, ids):
        dtable = np.zeros(table.shape)
        for n in range(len(ids)):
            dtable[ids[0]] += dy[n]
        return dtable
    given = {"table": np.random.default_rng(0).standard_normal((5, 3)), "ids": np.array([0, 1, 3, 2, 2])}
    text = check_gradient(lambda table, ids: table[ids], backward, given).failures[0].diagnosis.text
    assert "must be `dtable[ids[n]] += dy[n]`" in text


def test_a_clipped_gradient_is_told():
    def backward(dy, x):
        return np.clip(dy, -1, 1) * 2 * x
    report = check_gradient(lambda x: (x * x).sum(), backward, {"x": np.array([1.0, -2.0, 0.5])}, seed=1)
    found = next(result for result in report.failures if result.judged == "linear")
    line = backward.__code__.co_firstlineno + 1
    assert found.diagnosis.text.startswith(
        "the gradient does not grow with dy where dy is large, as if dy were clipped: "
        f"`return np.clip(dy, -1, 1) * 2 * x` (line {line}) must be `return dy * 2 * x`.")


def test_a_value_of_an_earlier_call_that_depends_on_dy_is_found_by_other_upstream_gradients():
    kept = {}

    def backward(dy, x, a):
        dq = kept.setdefault(x.shape, dy * x)
        return 2 * dq + dy * a, dy * x
    report = check_gradient(lambda x, a: x * x + a * x, backward, arguments())
    found = report.failures[0]
    assert found.judged == "linear"
    assert found.diagnosis.text.startswith("dx reads a value of an earlier call, which is kept in `kept`: `dq = ")
    assert "must be `dq = dy * x`." in found.diagnosis.text


def test_what_keeps_a_value_of_an_earlier_call_is_named_even_if_no_small_change_repairs_it():
    kept = {}

    def backward(dy, x, a):
        if x.shape not in kept:
            kept[x.shape] = dy * x
        return 2 * kept[x.shape] + dy * a, dy * x
    report = check_gradient(lambda x, a: x * x + a * x, backward, arguments())
    diagnosis = report.failures[0].diagnosis
    assert diagnosis.kind == "not repeatable"
    assert diagnosis.text.startswith("dx reads a value of an earlier call, which is kept in `kept`")


def test_a_fast_path_for_a_dy_of_ones_must_be_left_out():
    def backward(dy, x):
        if np.all(dy == 1):
            return x
        return dy * 2 * x
    report = check_gradient(lambda x: x * x, backward, {"x": np.array([1.0, -2.0, 0.5])})
    found = next(result for result in report.failures if result.judged == "linear")
    assert "where dy is 1 everywhere, it is computed in another way: `if np.all(dy == 1):`" in found.diagnosis.text
    assert "must be left out." in found.diagnosis.text


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
    ("da is wrong: `dy / a` (line 3) must be `dy * a`.", True), ("`dy / a` (line 3) must be `a * dy`.", True),
    ("`dy / a` (line 3) must be `dy * abs(a)`.", False),
    ("`dy = dy + 1` (line 2) must be left out.", False), ("da is wrong.", False)])
def test_a_change_that_is_asked_for_must_restore_the_source(sentence, expected):
    assert restores(sentence, RIGHT_CODE, WRONG_CODE) is expected


def test_another_change_is_right_if_it_gives_the_same_numbers_elsewhere():
    text = "da is wrong: `dy / a` (line 3) must be `dy * a * 1`."
    operator = OPERATORS["drops_a_term"]
    assert classify(operator, "swapped", text, lambda: [("swapped", text)], RIGHT_CODE, WRONG_CODE) == BY_NUMBERS
    assert classify(operator, "swapped", text, lambda: [("sign", "no")], RIGHT_CODE, WRONG_CODE) == MISLEADING
    other_change = [("swapped", text.replace("* 1", "* abs(a)"))]
    assert classify(operator, "swapped", text, lambda: other_change, RIGHT_CODE, WRONG_CODE) == MISLEADING
    good = "da is wrong: `dy / a` (line 3) must be `dy * a`."
    assert classify(operator, "swapped", good, list, RIGHT_CODE, WRONG_CODE) == RIGHT
