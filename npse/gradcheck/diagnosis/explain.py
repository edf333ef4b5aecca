"""Explain: from a failed check to its diagnosis. The third stage, after `npse.gradcheck.measure` and `compare`.

It first looks at how the backward pass behaves when it is called again, then at the values of the gradient. Simple
explanations are tried before complicated ones.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from npse.gradcheck.diagnosis import blind, places
from npse.gradcheck.diagnosis.failed_check import FailedCheck
from npse.gradcheck.diagnosis.general import once
from npse.gradcheck.diagnosis.result import NUMERIC, Diagnosis, Explanation, alike, constant_factor, sentence
from npse.gradcheck.diagnosis.search import POSSIBLE
from npse.gradcheck.diagnosis.sizes import is_size
from npse.gradcheck.diagnosis.tape import Hypothesis
from npse.gradcheck.diagnosis.trace import Trace, forward_mistake
from npse.types import Array, Arrays

# kinds that state what is seen; a change of the source may say why
SEEN = ("shape", "zero", "sign", "not linear", "not repeatable", "upstream ignored", "dtype", "unexplained")
VALUES_TOLERANCE = 1e-12     # relative to the largest entry: between two right results in float64


@np.errstate(all="ignore")
def explain(failed: FailedCheck, name: str) -> Diagnosis:
    """Say why the gradient of the argument ``name`` is wrong."""
    ours, numeric = failed.gradient(name), failed.measured.numeric(name).value
    dtype = failed.measured.gradient(name).dtype
    if dtype.kind != "f":
        text, advice = f"d{name} has dtype {dtype}", "A gradient holds floating-point numbers."
        return _with_cause(failed, Diagnosis("dtype", name, f"{text}. {advice}"), text, advice)
    found: Explanation | None
    if ours.shape != numeric.shape:
        found = next(chain(places.crosswise(name, *_all_gradients(failed), NUMERIC),
                           blind.shapes(name, ours, numeric, failed.letters[name])))
    else:
        found = _behaviour(failed, name, ours, numeric)
    if found:
        kind, text, advice = found
        return _with_cause(failed, Diagnosis(kind, name, sentence(text, advice, name)), text, advice)
    if failed.trace and not failed.search:
        about_forward = _forward(failed, failed.trace, name, ours)
        if about_forward:
            return about_forward
    diagnosis = _cause(failed, name)
    if diagnosis and diagnosis.kind != "unexplained" and not (diagnosis.kind == "factor" and ours.size == 1):
        return diagnosis
    return _by_another(failed, name) or diagnosis or _what_is_seen(failed, name)


@np.errstate(all="ignore")
def explain_values(failed: FailedCheck, name: str) -> Diagnosis | None:
    """Say why a gradient differs from the book's at a kink, where no numeric gradient shows an error.

    None if there is no tape, or if the gradient is the book's.
    """
    ours, argument = failed.gradient(name), failed.arrays[name]
    if ours.shape != argument.shape:
        return Diagnosis("shape", name, f"d{name} has shape {ours.shape}, where {name} has {argument.shape}.")
    if not failed.search or alike(ours, failed.right(name), VALUES_TOLERANCE):
        return None
    return _cause(failed, name) or _what_is_seen(failed, name)


def _by_another(failed: FailedCheck, name: str) -> Diagnosis | None:
    """The diagnosis of another wrong gradient: both may come from the same mistake. None if no other is explained."""
    for other in failed.wrt:
        ours, right = failed.gradient(other), failed.right(other)
        if other != name and ours.shape == right.shape and not alike(ours, right, failed.tolerance):
            found = _cause(failed, other)
            if found and found.kind != "unexplained":
                why = found.text.removeprefix(f"d{other} is wrong: ")
                return replace(found, argument=name, text=f"d{name} is wrong, and d{other} tells why: {why}")
    return None


def _cause(failed: FailedCheck, name: str) -> Diagnosis | None:
    """The first explanation of the values of a gradient, in the order of `_tiers`; computed once."""
    if name not in failed.found:
        failed.found[name] = _first_explanation(failed, name)
    return failed.found[name]


def _first_explanation(failed: FailedCheck, name: str) -> Diagnosis | None:
    ours, right = failed.gradient(name), failed.right(name)
    by_the_op = failed.search.single(name) if failed.search else []
    for tier in _tiers(failed, name, by_the_op):
        found = list(tier())
        if found:
            kind, text, advice = found[0]
            factor = constant_factor(ours, right) if ours.size > 1 else None
            is_told = kind in ("factor", "sign") or text.startswith("every entry")
            if factor and not is_told and is_size(factor, failed.sizes):
                times, size = (factor, "large") if factor > 1 else (1 / factor, "small")
                text = f"every entry of d{name} is {times:.6g} times too {size}: {text}"
            also = dict.fromkeys([*(other for other, *_ in found), *(hypothesis.kind for hypothesis in by_the_op)])
            diagnosis = Diagnosis(kind, name, sentence(text, advice, name), tuple(k for k in also if k != kind))
            return _with_cause(failed, diagnosis, text, advice)
    if failed.changes:
        return Diagnosis("changed in place", name, f"d{name} is wrong: {failed.changes}.", ("unexplained",))
    return None


def _what_is_seen(failed: FailedCheck, name: str) -> Diagnosis:
    """What the error looks like and where it is, if nothing says where it comes from."""
    ours, right, letters, others = failed.gradient(name), failed.right(name), failed.letters[name], _others(failed)
    for kind, text, advice in places.rows(name, ours, right, letters, others, failed.tolerance):
        return Diagnosis(kind, name, sentence(text, advice, name))
    return Diagnosis("unexplained", name, places.whereabouts(name, ours, right, letters, others, failed.tolerance))


def _tiers(failed: FailedCheck, name: str,
           by_the_op: list[Hypothesis]) -> Iterator[Callable[[], Iterable[Explanation]]]:
    """Functions that yield explanations, the simplest first; those that need the tape only if there is one.

    ``by_the_op`` holds the single mistakes on the tape that explain the gradient.
    """
    ours, right, letters = failed.gradient(name), failed.right(name), failed.letters[name]
    search, tolerance = failed.search, failed.tolerance
    others = _others(failed)
    pairs = {key: (failed.gradient(key), failed.right(key)) for key in failed.wrt}
    yield lambda: blind.whole(name, ours, right)
    yield lambda: blind.swapped(name, pairs, tolerance)
    yield lambda: map(_triple, by_the_op)
    yield lambda: blind.rounded(name, ours, right)
    yield lambda: _by_a_repair(failed, name)
    yield lambda: _by_a_wrong_value(failed, name)
    if search:
        yield lambda: map(_triple, search.single(name, POSSIBLE))
        yield lambda: map(_triple, search.intermediate(name))
        yield lambda: map(_triple, search.paths(name))
    if not failed.trace or failed.trace.is_foreign:
        yield lambda: places.part(name, ours, right, letters, others, tolerance)
    yield lambda: blind.exact(name, ours, right, letters, failed.readings(name), others, tolerance)
    if search:
        yield lambda: map(_triple, search.scaled(name))
        yield lambda: map(_triple, search.pairs(name))
    yield lambda: blind.another(name, pairs, tolerance)
    yield lambda: blind.local(name, ours, right, letters, failed.stride, tolerance)
    yield lambda: places.part(name, ours, right, letters, others, tolerance)
    yield lambda: places.moved(name, ours, right, letters, tolerance)


def _by_a_repair(failed: FailedCheck, name: str) -> Iterator[Explanation]:
    """A small change of the backward pass after which the gradient is right."""
    edit, ours = failed.repairs.of(name), failed.gradient(name)
    factor = constant_factor(ours, failed.right(name)) if ours.size > 1 else None
    if edit and factor and factor != -1:
        times, size = (factor, "large") if abs(factor) > 1 else (1 / factor, "small")
        kind = edit.kind if edit.kind == "averaged" else "factor"
        yield kind, f"every entry of d{name} is {times:.6g} times too {size}: {edit.described()}", ""
    elif edit:
        yield edit.kind, f"d{name} is wrong: {edit.described()}", ""


def _by_a_wrong_value(failed: FailedCheck, name: str) -> Iterator[Explanation]:
    """A statement of the backward pass whose value should be another one."""
    found = failed.repairs.wrong_value(name)
    if found:
        yield "wrong value", f"d{name} is wrong: {found.described()}", ""


def _with_cause(failed: FailedCheck, diagnosis: Diagnosis, text: str, advice: str) -> Diagnosis:
    """A diagnosis that states what is seen, with the change that repairs it, or with a broken rule, if there is one."""
    if diagnosis.kind not in SEEN or "` must be " in text:
        return diagnosis
    name = diagnosis.argument
    edit = failed.repairs.of(name)
    kind, cause = (edit.kind, edit.described()) if edit else ("changed in place", failed.changes)
    if not cause:
        return diagnosis
    kinds = (kind, diagnosis.kind) if diagnosis.kind == "unexplained" or not edit else (diagnosis.kind, kind)
    return Diagnosis(kinds[0], name, sentence(f"{text}: {cause}", advice, name), (kinds[1], *diagnosis.also))


def _others(failed: FailedCheck) -> Arrays:
    """Arrays by name that a wrong gradient may have to do with: arguments, dy, y, the values on the tape."""
    known = failed.arrays | {"dy": failed.measured.dy, "y": failed.measured.y}
    if not failed.search:
        return known
    variables = failed.search.trace.tape.variables()
    return {var.name: var.value for var in variables if var.name == once(var.name)} | known


def _all_gradients(failed: FailedCheck) -> tuple[Arrays, Arrays]:
    """All gradients that were returned, and the numeric ones."""
    return ({key: failed.gradient(key) for key in failed.wrt},
            {key: failed.measured.numeric(key).value for key in failed.wrt})


def _triple(hypothesis: Hypothesis) -> Explanation:
    return hypothesis.kind, hypothesis.text, hypothesis.advice


def _behaviour(failed: FailedCheck, name: str, ours: Array, numeric: Array) -> Explanation | None:
    """What further calls of the backward pass show."""
    measured, k = failed.measured, failed.wrt.index(name)
    try:
        gradients, changes = measured.backward_on_copies
        if changes and alike(gradients[k], numeric, NUMERIC):
            return ("changed in place", f"d{name} is wrong, since {changes}",
                    f"With copies of all arguments for every op d{name} is right.")
        first, second, third, double, last = (np.array(measured.backward(times * measured.dy)[k], np.float64)
                                              for times in (1, 1, 1, 2, 1))
    except Exception:                # the check itself reports what it raises
        return None
    if not np.isfinite(ours).all():
        return None
    if not alike(first, ours) or not alike(second, first) or not alike(third, second):
        if first.shape == third.shape and np.any(third - second) and alike(third - second, second - first):
            return ("accumulated", f"d{name} grows with every call: the results of earlier calls are added to it",
                    "Start from zeros and return a new array.")
        return "not repeatable", f"d{name} differs from call to call with the same arguments", ""
    if alike(double, last) and last.any():
        return ("upstream ignored", f"d{name} does not depend on the upstream gradient dy",
                "Every term of a gradient has dy as a factor, once.")
    if alike(double, 2 * last) or not last.any():
        return None
    power = np.log2(np.abs(double).sum() / np.abs(last).sum())
    if abs(power - round(power)) < 1e-6 and alike(double, 2**round(power) * last):
        return "not linear", f"d{name} has dy as a factor {round(power)} times", "Use it once."
    if alike(double - last, numeric, NUMERIC):
        return ("not linear", f"d{name} has a term that is not a multiple of dy, and is right without it",
                "Every term has dy as a factor, once.")
    return "not linear", f"d{name} has a term that is not a multiple of dy", "Every term has dy as a factor, once."


def _forward(failed: FailedCheck, book: Trace, name: str, ours: Array) -> Diagnosis | None:
    """How forward differs from the book's, and whether the gradient is the book's; None if neither is known.

    ``book`` is the tape of the case. It gives other values than forward.
    """
    measured, op = failed.measured, failed.measured.case.op
    right = book.gradients(measured.dy, failed.wrt)[failed.wrt.index(name)]
    found = forward_mistake(book, measured.case, measured.arguments, measured.y)
    is_the_books = alike(ours, right)
    if not found and not is_the_books:
        return None
    if not found:
        text = f"d{name} is the gradient of the book's {op}, but forward computes something else"
        return Diagnosis("forward", name, sentence(text))
    kind, what = found
    if is_the_books:
        text = f"d{name} is right for the book's {op}, but in forward {what}"
    else:
        text = f"d{name} does not fit the forward pass, where {what}"
    return Diagnosis(kind, name, sentence(text))


@np.errstate(all="ignore")
def explain_call(op: str, ours: Sequence[Array], theirs: Sequence[Array]) -> Diagnosis:
    """Say how the results of one call of an op differ from the book's, if no tape says more."""
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        result = f"result {k} of {op}" if len(ours) > 1 else f"the result of {op}"
        if a.dtype != b.dtype:
            return Diagnosis("dtype", "", f"{result.capitalize()} is {a.dtype}, where the book gives {b.dtype}.")
        if a.shape != b.shape:
            return Diagnosis("shape", "", f"{result.capitalize()} has shape {a.shape}, the book's {b.shape}.")
        if not alike(a, b, 1e-12 if a.dtype == np.float64 else NUMERIC):
            letters = [f"axis {i}" for i in range(a.ndim)]
            found = [*blind.whole("", a, b), *blind.exact("", a, b, letters, lambda factor: [], {}, NUMERIC)]
            kind, text, advice = found[0] if found else ("unexplained", "d differs", "")
            if "backward" not in op:
                kind = "forward"
            text = text.replace("d ", f"{result} ", 1)
            return Diagnosis(kind, "", f"{op} differs from the book: {text}. {advice}".strip())
    return Diagnosis("unexplained", "", f"{op} differs from the book.")
