"""The parts of the judge: numeric gradients, kinks, and the check of any pair of functions."""

import doctest
from types import SimpleNamespace

import numpy as np
import pytest

from npse import reference
from npse.gradcheck import cases_of, check, check_gradient, max_margin, numeric_gradient, relative_error, step_sizes
from npse.gradcheck.cases.case import distinct
from npse.gradcheck.judge import judge
from npse.gradcheck.measure import Options
from npse.gradcheck.numeric import budget


def rng(seed=1):
    return np.random.default_rng([99, seed])


# Numeric gradients

@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e5, 1e9])
def test_numeric_gradient_at_every_scale(scale):
    x, dy = scale * distinct(rng(), 3, 4), rng().standard_normal((3, 4))
    exact = dy * 3 * x**2
    found = numeric_gradient(lambda x: x**3, x, dy).value
    assert np.abs(found - exact).max() < 1e-8 * np.abs(exact).max()


def test_numeric_gradient_of_a_scalar_of_a_zero_and_of_no_axes():
    assert numeric_gradient(np.sum, np.zeros((2, 3)), np.float64(2)).value == pytest.approx(2 * np.ones((2, 3)))
    assert numeric_gradient(np.exp, np.array(1.0), np.float64(1)).value == pytest.approx(np.e, rel=1e-9)


def test_numeric_gradient_of_a_function_that_returns_a_view():
    found = numeric_gradient(lambda x: x.T, np.ones((2, 3)), np.full((3, 2), 5.0))
    assert found.value == pytest.approx(np.full((2, 3), 5.0))


def test_outputs_are_subtracted_before_they_are_summed():
    """A large constant output must not hide a small one that changes."""
    found = numeric_gradient(lambda x: np.array([1e12, x[0] ** 2]), np.array([3.0]), np.ones(2)).value
    assert found == pytest.approx([6.0], rel=1e-9)


def test_step_follows_dtype_and_size():
    x = np.array([1e-9, 1.0, -100.0])
    h = step_sizes(x)
    assert h[2] == pytest.approx(100 * 6.06e-6, rel=1e-2)
    assert h[0] == h[1] == pytest.approx(6.06e-6 * np.sqrt(np.mean(x**2)), rel=1e-2)
    assert step_sizes(x.astype(np.float32))[2] == pytest.approx(100 * 4.92e-3, rel=1e-2)


def test_the_step_is_near_its_optimum():
    x, dy = distinct(rng(), 20), np.ones(20)
    exact, h = np.cos(x), step_sizes(x)

    def worst(factor):
        return np.abs((np.sin(x + factor * h) - np.sin(x - factor * h)) / (2 * factor * h) - exact).max()
    assert worst(1) < 1e-9
    assert worst(1) < 0.1 * worst(100)
    assert worst(1) < 0.1 * worst(0.001)
    assert np.abs(numeric_gradient(np.sin, x, dy).value - exact).max() < 1e-9


def test_noise_covers_the_error_of_a_function_without_truncation():
    """Rounding errors are largest in a sum of many terms that nearly cancel."""
    for seed in range(50):
        x = distinct(rng(seed), 40)
        found = numeric_gradient(lambda x: np.array([x.sum()]), x, np.ones(1))
        assert np.all(np.abs(found.value - 1) <= 10 * found.noise)


def test_a_vanishing_gradient_is_no_error_and_a_wrong_zero_is():
    x = distinct(rng(), 6)
    vanishing = numeric_gradient(lambda x: np.array([7.0 + x.sum() - x.sum()]), x, np.ones(1))
    assert relative_error(np.full(6, 1e-16), vanishing).max() < 1e-6
    assert relative_error(np.full(6, 1e-4), vanishing).max() > 1e-6
    real = numeric_gradient(lambda x: np.array([1e-4 * x.sum()]), x, np.ones(1))
    assert relative_error(np.zeros(6), real).min() > 0.9


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_the_error_of_a_value_that_is_not_finite_is_infinite(broken):
    x = distinct(rng(), 3)
    ours = 2 * x
    ours[1] = broken
    assert relative_error(ours, numeric_gradient(np.square, x, np.ones(3)))[1] == np.inf


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1e300])
def test_a_gradient_that_is_not_finite_is_wrong(broken):
    result = check_gradient(lambda x: 2 * x, lambda dy, x: dy * broken, {"x": np.ones(3)}, float32=False).results[0]
    assert result.verdict == "wrong"


# Kinks

def test_relu_kinks_are_counted_exactly():
    x = np.array([0.0, 1.0, -1.0, 1e-9, -1e-9, 1e-3, -1e-3, 0.0])
    report = check_gradient(lambda x: np.maximum(x, 0), lambda dy, x: dy * (x > 0), {"x": x}, kinks=lambda x: x)
    result = report.results[0]
    assert report.ok
    assert result.crossed == ((0,), (3,), (4,), (7,))
    assert "4 of 8 entries crossed a kink" in str(result)


def test_a_step_crosses_within_its_length_and_not_beyond():
    for distance, crosses in ((0.9, True), (1.1, False)):
        x = np.array([1.0, 1.0, 1.0])
        x[1] = 0.0                                                # so small an entry does not change the typical size
        x[1] = distance * step_sizes(x)[1]
        found = numeric_gradient(lambda x: np.maximum(x, 0), x, np.ones(3), kinks=lambda x: x > 0)
        assert found.crossed.tolist() == [False, crosses, False]
        assert np.isnan(found.value[1]) == crosses


def test_max_kinks_are_the_tied_entries_alone():
    window = np.array([[1.0, 1.0], [0.0, -1.0]]).reshape(1, 2, 2, 1)
    margin = max_margin(window, 2, 2)
    assert margin.ravel().tolist() == [0, 0, -1, -2]

    def backward(dy, x):
        return dy * (x == x.max()) / 2                            # shared among ties: no check can judge it at a kink
    report = check_gradient(lambda x: x.max(axis=(1, 2)), lambda dy, x: backward(dy[:, None, None, :], x),
                            {"x": window}, kinks=lambda x: max_margin(x, 2, 2))
    assert report.results[0].crossed == ((0, 0, 0, 0), (0, 0, 1, 0))
    assert report.results[0].ok


def test_indices_of_maxima_show_the_same_kinks_as_margins():
    x = np.array([3.0, 1.0, 3.0, 2.0])
    report = check_gradient(lambda x: x.max(keepdims=True), lambda dy, x: dy * (np.arange(4) == x.argmax()),
                            {"x": x}, kinks=lambda x: np.array([x.argmax()]))
    assert report.ok
    assert report.results[0].crossed == ((0,), (2,))


def test_nothing_but_a_kink_is_excused():
    x = np.array([0.0, 1.0, -1.0])
    report = check_gradient(lambda x: np.maximum(x, 0), lambda dy, x: dy * (x > 0) * 1.001, {"x": x}, kinks=lambda x: x)
    assert report.results[0].verdict == "wrong"
    assert report.results[0].index == (1,)


def test_if_all_entries_are_at_a_kink_there_is_no_verdict():
    report = check_gradient(lambda x: np.abs(x), lambda dy, x: 0 * dy, {"x": np.zeros(3)}, kinks=lambda x: x)
    assert report.results[0].verdict == "cannot tell"
    assert not report.ok


def test_kinks_must_keep_their_shape():
    with pytest.raises(ValueError, match="same arrays"):
        check_gradient(lambda x: np.abs(x), lambda dy, x: dy * np.sign(x), {"x": np.ones(2)}, kinks=lambda x: x[x > 1])


# Any pair of functions

def scale(u, s):
    return u * s[:, None, None, :]


def scale_backward(dy, u, s):
    return dy * s[:, None, None, :], (dy * u).sum(axis=(1, 2))


def drawn():
    return {"u": distinct(rng(), 2, 3, 4, 2), "s": rng().uniform(0.1, 0.9, (2, 2))}


def test_three_lines():
    report = check_gradient(scale, scale_backward, drawn())
    print(report)
    assert report.ok
    assert {result.argument for result in report.results if result.judged == "gradient"} == {"u", "s"}
    assert str(report).endswith("right")


def test_a_report_says_where_and_what():
    def forgets_the_sum(dy, u, s):
        return scale_backward(dy, u, s)[0], (dy * u).mean(axis=(1, 2))

    report = check_gradient(scale, forgets_the_sum, drawn())
    result = next(result for result in report.failures if result.judged == "gradient")
    assert (result.op, result.argument, result.verdict) == ("scale", "s", "wrong")
    assert result.expected == pytest.approx(12 * result.ours)
    assert f"s[{result.index[0]}, {result.index[1]}]" in str(report)
    assert f"{result.expected:.8g}" in str(report)
    assert "failed" in str(report)
    assert not report


def test_forms_of_the_backward_result():
    arguments = drawn()
    by_name = check_gradient(scale, lambda dy, u, s: dict(zip("us", scale_backward(dy, u, s), strict=True)), arguments)
    assert by_name.ok
    one = check_gradient(scale, lambda dy, u, s: scale_backward(dy, u, s)[1], arguments, wrt=["s"])
    assert one.ok
    whole = check_gradient(lambda x, power: x**power, lambda dy, x, power: dy * power * x ** (power - 1),
                           {"x": [1.0, 2.0, -3.0], "power": 3})
    assert whole.ok


@pytest.mark.parametrize(("backward", "options", "message"), [
    (lambda dy, u, s: (dy,), {}, "2 gradients .u, s., but returned 1"),
    (lambda dy, u, s: {"u": dy}, {}, "no gradient of s"),
    (scale_backward, {"wrt": ["v"]}, "known are: u, s"),
    (scale_backward, {"wrt": []}, "wrt must name"),
])
def test_misuse_is_explained(backward, options, message):
    with pytest.raises(ValueError, match=message):
        check_gradient(scale, backward, drawn(), **options)


SQUARE, SLOPE = (lambda x: np.asarray(x) ** 2), (lambda dy, x: 2 * dy * x)


@pytest.mark.parametrize("x", [[1.0, 2.0], 1.5, np.float32(1.5), np.array(2.0), np.array([1.0, 2.0], ">f4"),
                               np.array([1, 2], np.float16), np.broadcast_to(2.0, 3)], ids=repr)
def test_values_that_mean_plain_numbers_are_accepted(x):
    assert check_gradient(SQUARE, SLOPE, {"x": x}).ok


@pytest.mark.parametrize(("arguments", "error", "message"), [
    ([np.ones(2)], TypeError, "arguments must be a dict of arrays by name, but is a list"),
    ({}, ValueError, "nothing to differentiate"),
    ({"x": 3, "b": None}, ValueError, "nothing to differentiate"),
    ({"x": np.arange(3)}, ValueError, r"x cannot be differentiated: it holds numbers of dtype int64.*astype\(float\)"),
    ({"x": [1, 2]}, ValueError, "x cannot be differentiated: it holds numbers of dtype int64"),
    ({"x": [[1.0], [2.0, 3.0]]}, ValueError, "x is a list that cannot become an array"),
    ({"x": np.array([1j])}, ValueError, "dtype complex128, not floating-point numbers$"),
    ({"x": np.ma.masked_array([1.0, 2.0])}, TypeError, "x must be a plain array, but is a MaskedArray"),
    ({"x": np.ones((1, 1)).view(np.matrix)}, TypeError, "x must be a plain array, but is a matrix"),
    ({"x": np.ones((0, 3))}, ValueError, r"x is empty, its shape is \(0, 3\)"),
    ({"x": np.array([1.0, np.nan])}, ValueError, r"x holds nan at \(1,\)"),
    ({"x": np.array([[np.inf]])}, ValueError, r"x holds inf at \(0, 0\)"),
], ids=repr)
def test_arguments_that_cannot_be_checked_are_reported(arguments, error, message):
    with pytest.raises(error, match=message):
        check_gradient(SQUARE, SLOPE, arguments)


@pytest.mark.parametrize(("forward", "backward", "message"), [
    (lambda x: None, SLOPE, "forward returned None: is a return missing?"),
    (lambda x: np.fft.fft(x), SLOPE, "forward must return an array of floating-point numbers, but returned complex128"),
    (SQUARE, lambda dy, x: None, "backward returned None as the gradient of x: is a return missing?"),
])
def test_a_missing_return_is_reported(forward, backward, message):
    with pytest.raises(TypeError, match=message.replace("?", r"\?")):
        check_gradient(forward, backward, {"x": np.ones(2)})


def test_numbers_that_are_not_finite_do_not_differ_from_themselves():
    """A constant argument may hold an infinity, such as the mask of an attention. It is no mistake."""
    mask = np.array([0.0, -np.inf, np.nan])
    report = check_gradient(lambda x, mask: np.stack([x, x + mask]), lambda dy, x, mask: dy.sum(axis=0),
                            {"x": np.ones(3), "mask": mask}, wrt=("x",))
    assert {result.judged: result.verdict for result in report.results if result.judged in ("layout", "repeatable")} \
        == {"layout": "right", "repeatable": "right"}



def test_a_forward_pass_of_integers_is_refused():
    with pytest.raises(TypeError, match="floating"):
        check_gradient(lambda x: x.astype(int), lambda dy, x: dy, {"x": np.ones(2)})


def test_low_precision_inside_cannot_be_judged():
    report = check_gradient(lambda x: np.square(x.astype(np.float32)), lambda dy, x: 2 * dy * x, {"x": np.ones(2)})
    assert report.results[0].verdict == "cannot tell"


def test_not_finite_forward_cannot_be_judged():
    def half(x):
        return np.where(x > 0, x, np.nan)

    assert check_gradient(half, lambda dy, x: dy, {"x": np.array([0.0, 1.0])}).results[0].verdict == "cannot tell"


def test_a_gradient_hidden_by_rounding_cannot_be_judged():
    def offset(x):
        return 1e9 + x

    assert check_gradient(lambda x: 1e3 + x, lambda dy, x: dy, {"x": np.ones(2)}).ok
    assert check_gradient(offset, lambda dy, x: dy, {"x": np.ones(2)}).results[0].verdict == "cannot tell"
    assert check_gradient(offset, lambda dy, x: 1e3 * dy, {"x": np.ones(2)}).results[0].verdict == "wrong"


def test_float32_is_optional():
    weights = np.array([0.5, 2.0])                                # float64, whatever x is
    arguments = (lambda x: weights * x, lambda dy, x: weights * dy, {"x": np.ones(2)})
    assert not check_gradient(*arguments).ok
    assert check_gradient(*arguments, float32=False).ok


def test_dy_differs_from_an_argument_drawn_with_the_same_seed():
    """If dy were equal to x, a function that uses x in place of dy would look right."""
    x = np.random.default_rng(0).standard_normal((2, 3))
    assert not check_gradient(lambda x: x**2, lambda dy, x: 2 * x * x, {"x": x}, seed=0).ok


def test_examples_in_the_docstrings():
    assert doctest.testmod(check, extraglobs={"np": np}).failed == 0


# The error budget and the second reference

def test_a_steep_function_is_judged_by_its_best_step():
    """At the usual step the error of the difference, h^2 f'''/6, is far above the tolerance; the gradient is right."""
    x = np.array([0.7, -1.1, 0.4])

    def wave(x):
        return np.sin(3000 * x)

    right = check_gradient(wave, lambda dy, x: 3000 * dy * np.cos(3000 * x), {"x": x}, float32=False)
    assert right.ok
    wrong = check_gradient(wave, lambda dy, x: 3003 * dy * np.cos(3000 * x), {"x": x}, float32=False)
    assert wrong.results[0].verdict == "wrong"
    assert wrong.results[0].diagnosis.kind == "factor"


def test_the_budget_covers_the_error():
    for seed in range(20):
        x = distinct(rng(seed), 12)
        for f, slope in ((np.exp, np.exp), (np.sin, np.cos), (lambda x: np.sin(40 * x), lambda x: 40 * np.cos(40 * x))):
            for i in range(12):
                found = budget(f, x, np.ones(12), (i,))
                assert abs(found.value - slope(x)[i]) <= found.error


@pytest.mark.parametrize("distance", [1e-9, 1e-7, 3e-6, -1e-9])
def test_a_step_that_crosses_an_undeclared_kink_is_made_smaller(distance):
    x = np.array([distance, 1.0, -1.0])

    def verdict(slope):
        return check_gradient(lambda x: np.maximum(x, 0), lambda dy, x: dy * slope(x), {"x": x}).results[0].verdict
    assert verdict(lambda x: x > 0) == "right"
    assert verdict(lambda x: np.where(x == distance, x < 0, x > 0)) == "wrong"


# Kinks that nobody declared

@pytest.mark.parametrize(("forward", "backward", "x", "crossed"), [
    (lambda x: np.maximum(x, 0), lambda dy, x: dy * (x > 0), [[1.5, 0.0], [0.0, -3.0]], ((0, 1), (1, 0))),
    (lambda x: np.where(x > 0, x, x / 10), lambda dy, x: np.where(x > 0, dy, dy / 10), [-1.0, 0.0, 2.0], ((1,),)),
    (lambda x: np.abs(x).sum(), lambda dy, x: dy * np.sign(x), [0.3, 0.0, -2.0], ((1,),)),
    (lambda x: x + x.max(), lambda dy, x: dy + dy.sum() * (np.arange(4) == x.argmax()), [3.0, 1.0, 3.0, 2.0],
     ((0,), (2,))),
    (lambda x: np.clip(x, -1, 1), lambda dy, x: dy * (np.abs(x) < 1), [-1.0, 0.5, 1.0, 0.25], ((0,), (2,))),
    (lambda x: np.sort(x), lambda dy, x: dy[np.argsort(np.argsort(x, kind="stable"))], [2.0, 1.0, 2.0, 4.0],
     ((0,), (2,))),
])
def test_kinks_are_found_by_the_slopes_on_either_side(forward, backward, x, crossed):
    x = np.array(x)
    result = check_gradient(forward, backward, {"x": x}, float32=False).results[0]
    assert result.verdict == "right", result
    assert result.crossed == crossed
    assert "entries crossed a kink, where the slopes on either side differ, as at x[" in result.message
    wrong = check_gradient(forward, lambda dy, x: 1.001 * backward(dy, x), {"x": x}, float32=False).results[0]
    assert wrong.verdict == "wrong"
    assert wrong.diagnosis.kind == "factor"
    assert wrong.index not in crossed


@pytest.mark.parametrize("width", [1e-2, 1e-4, 1e-6, 1e-8, 1e-9])
def test_a_smooth_function_never_passes_as_a_kink(width):
    """However sharply it bends: at x = 0 and beside, sqrt(x^2 + width^2) looks like |x| to a step that is too large."""
    x = np.array([0.0, width / 2, -3 * width, 1.0])

    def bowl(x):
        return np.sqrt(x**2 + width**2)

    right = check_gradient(bowl, lambda dy, x: dy * x / bowl(x), {"x": x}, float32=False).results[0]
    assert (right.verdict, right.crossed) == ("right", ())
    for i in range(4):
        wrong = check_gradient(bowl, lambda dy, x, i=i: dy * (x / bowl(x) + 0.1 * (np.arange(4) == i)), {"x": x},
                               float32=False).results[0]
        assert (wrong.verdict, wrong.index) == ("wrong", (i,))


def test_rounding_never_passes_as_a_kink():
    """A large sum makes a staircase of a smooth function."""
    result = check_gradient(lambda x: (x + 1e9) - 1e9, lambda dy, x: 1.5 * dy, {"x": np.array([0.0, 1e-9, 1.0])},
                            float32=False).results[0]
    assert (result.verdict, result.crossed) == ("wrong", ())


# Steps that suit each entry

@pytest.mark.parametrize(("forward", "slope"), [
    (np.log, lambda x: 1 / x), (np.sqrt, lambda x: 0.5 / np.sqrt(x)), (np.reciprocal, lambda x: -1 / x**2)])
@pytest.mark.parametrize("small", [1e-3, 1e-5, 1e-7, 1e-12, 1e-30])
def test_an_entry_far_smaller_than_the_others(forward, slope, small):
    x = np.array([small, 1.0, 2.0, 3.0])

    def gradient(factor):
        with np.errstate(all="ignore"):
            return check_gradient(lambda x: forward(x), lambda dy, x: factor * dy * slope(x), {"x": x}, float32=False)
    assert gradient(1).results[0].verdict == "right"
    wrong = gradient(np.array([1.01, 1, 1, 1])).results[0]
    assert (wrong.verdict, wrong.index) == ("wrong", (0,))


@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e-20, 1e20, 1e100, 1e160])
def test_entries_of_any_size(scale):
    x = scale * np.array([1.0, -2.0, 3.0])
    assert check_gradient(lambda x: 4 * x, lambda dy, x: 4 * dy, {"x": x}, float32=False).ok
    assert not check_gradient(lambda x: 4 * x, lambda dy, x: 4.001 * dy, {"x": x}, float32=False).ok


def test_a_right_result_states_its_budget_and_both_references():
    result = check_gradient(lambda x: np.exp(x), lambda dy, x: dy * np.exp(x), {"x": np.ones(3)}).results[0]
    assert result.budget.truncation < 1e-9
    assert result.budget.rounding < 1e-9
    assert 1e-7 < result.budget.step < 1e-4
    assert result.error < 1e-8
    assert result.complex_step < 1e-14


@pytest.mark.parametrize(("forward", "backward"), [
    (lambda x: np.abs(x), lambda dy, x: dy * np.sign(x)),                          # loses the imaginary part
    (lambda x: np.hypot(x, 1), lambda dy, x: dy * x / np.hypot(x, 1)),        # takes no complex numbers
])
def test_where_the_complex_step_is_not_possible_the_difference_decides(forward, backward):
    result = check_gradient(forward, backward, {"x": np.array([1.0, -2.0])}).results[0]
    assert result.ok
    assert result.complex_step is None


# Arrays that are kept or may not be written to

def test_an_array_kept_and_changed_later_is_found():
    kept = []

    def forward(x):
        kept.append(x)
        return 2 * x

    def backward(dy, x):
        kept[-1] += 1
        return 2 * dy

    found = [result for result in check_gradient(forward, backward, {"x": np.ones(3)}).failures
             if result.judged == "unchanged"]
    assert len(found) == 1
    assert "x changes later" in str(found[0])


def test_backward_must_work_with_read_only_arrays():
    def backward(dy, x):
        dy.flags.writeable = True
        dy -= 0
        return 2 * dy

    def opens(dy, x):
        view = dy.view()
        view.flags.writeable = True
        return 2 * view

    x = {"x": np.ones(3)}
    assert check_gradient(lambda x: 2 * x, backward, x).ok              # dy is its own array: no other array changes
    found = check_gradient(lambda x: 2 * x, opens, x).failures
    assert [result.judged for result in found] == ["layout"]
    assert "read-only" in str(found[0])


def test_each_property_draws_its_own_numbers():
    case = next(case for case in cases_of("scale") if case.wrt)

    def errors(**options):
        return {(result.judged, result.argument): result.error for result in judge(case, reference, 0, **options)}

    everything, less = errors(book=SimpleNamespace(**vars(reference))), errors(options=Options(float32=False))
    assert less.keys() < everything.keys()
    assert all(everything[key] == error for key, error in less.items())
