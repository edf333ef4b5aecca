"""From a failure to its diagnosis: how the function behaves, then what the numbers say, simplest explanation first."""

from dataclasses import dataclass, field, replace
from functools import cache, cached_property

import numpy as np

from npse.gradcheck.diagnosis import blind
from npse.gradcheck.diagnosis.result import EXACT, NUMERIC, Diagnosis, alike, sentence
from npse.gradcheck.diagnosis.search import Search, constant_factor
from npse.gradcheck.diagnosis.sizes import is_size, sizes_of
from npse.gradcheck.diagnosis.trace import Trace, forward_mistake

VALUES_TOLERANCE = 1e-12     # of the largest entry: between two right results in float64


@dataclass
class Trial:
    """A backward pass that failed, and all that is known about it.

    Attributes
    ----------
    case : Case
    arguments : dict, in float64
    y, dy : arrays
    gradients : tuple of arrays, in the order of ``case.wrt``
    again : function of dy -> gradients, the same backward pass once more
    guarded : function of () -> gradients and str
        The same with every op on copies of its arguments, and which op changes what; empty if none does.
    numeric : function of name -> numeric gradient, not a number where a kink was crossed
    trace : Trace or None, the forward pass on a tape if it is known
    """

    case: object
    arguments: dict
    y: np.ndarray
    dy: np.ndarray
    gradients: tuple
    again: object
    guarded: object
    numeric: object
    trace: Trace | None
    letters: dict = field(init=False)
    by_numbers: object = field(init=False)

    def __post_init__(self):
        self.by_numbers = cache(lambda name: _numbers(self, name))     # of each argument, asked for by all the others
        arrays = self.arrays()
        self.letters = {name: tuple(f"axis {i}" for i in range(array.ndim)) for name, array in arrays.items()}
        if self.trace:
            self.letters |= {name: var.axes for name, var in self.trace.leaves.items()}
        self.sizes = sizes_of(self.letters if self.trace else {}, arrays) or sizes_of(
            {name: [f"{name}.shape[{i}]" for i in range(array.ndim)] for name, array in arrays.items()}, arrays)

    @cached_property
    def search(self):
        """The search for mistakes on the tape, where the forward pass is the one that is written down there."""
        known = self.trace is not None and alike(self.trace.output.value, self.y)
        return Search(self.trace, self.dy, self.case.wrt, self.gradients, self.sizes) if known else None

    @property
    def tolerance(self):
        return EXACT if self.search else NUMERIC

    def gradient(self, name):
        return np.asarray(self.gradients[self.case.wrt.index(name)], np.float64)

    def right(self, name):
        """What a gradient should be: by the tape if there is one, else by difference quotients."""
        return self.search.right[self.case.wrt.index(name)] if self.search else self.numeric(name)

    def arrays(self):
        """The floating arrays among the arguments."""
        return {name: value for name, value in self.arguments.items()
                if isinstance(value, np.ndarray) and value.dtype.kind == "f"}

    @property
    def stride(self):
        """The step from one output to the next, where the op has windows; else 1."""
        x = next(iter(self.arrays().values()))
        if self.y.ndim != 4 or x.ndim != 4 or self.y.shape[1:3] == x.shape[1:3]:
            return 1
        return max(2 if n > 2 * m - 1 else 1 for n, m in zip(x.shape[1:3], self.y.shape[1:3], strict=True))


@np.errstate(all="ignore")
def explain(trial, name):
    """Say why the gradient of an argument is wrong.

    Parameters
    ----------
    trial : Trial
    name : str, the argument

    Returns
    -------
    Diagnosis
    """
    ours, numeric = trial.gradient(name), trial.numeric(name)
    dtype = trial.gradients[trial.case.wrt.index(name)].dtype
    if dtype.kind != "f":
        return Diagnosis("dtype", name, f"d{name} has dtype {dtype}. A gradient holds floating-point numbers.")
    found = next(blind.shapes(name, ours, numeric, trial.letters[name])) if ours.shape != numeric.shape else \
        _behaviour(trial, name, ours, numeric)
    if found:
        return Diagnosis(found[0], name, sentence(*found[1:], name=name))
    if trial.trace and not trial.search:
        found = _forward(trial, name, ours)
        if found:
            return found
    found = trial.by_numbers(name)
    says_nothing = found.kind == "unexplained" or (found.kind == "factor" and ours.size == 1)
    return _by_another(trial, name) or found if says_nothing else found


@np.errstate(all="ignore")
def explain_values(trial, name):
    """Say why a gradient that no difference quotient contradicts is not the book's: at a kink, by convention."""
    ours, argument = trial.gradient(name), trial.arguments[name]
    if ours.shape != argument.shape:
        return Diagnosis("shape", name, f"d{name} has shape {ours.shape}, where {name} has {argument.shape}.")
    if not trial.search or alike(ours, trial.right(name), VALUES_TOLERANCE):
        return None
    return trial.by_numbers(name)


def _by_another(trial, name):
    """A mistake that cannot be told from this gradient may be plain in another one; None if it is in none."""
    for other in trial.case.wrt:
        ours, right = trial.gradient(other), trial.right(other)
        if other != name and ours.shape == right.shape and not alike(ours, right, trial.tolerance):
            found = trial.by_numbers(other)
            if found.kind != "unexplained":
                why = found.text.removeprefix(f"d{other} is wrong: ")
                return replace(found, argument=name, text=f"d{name} is wrong, and d{other} tells why: {why}")
    return None


def _numbers(trial, name):
    """Hypotheses on the numbers, in order; the first tier that explains them decides."""
    search, ours, right, tolerance = trial.search, trial.gradient(name), trial.right(name), trial.tolerance
    others = {other: array for other, array in trial.arrays().items()} | {"dy": trial.dy, "y": trial.y}
    if search:
        others = {var.name: var.value for var in trial.trace.tape.variables()} | others
    facts = {"letters": trial.letters[name], "sizes": trial.sizes, "others": others, "tolerance": tolerance}
    by_the_op = search.single(name) if search else []
    pairs = {key: (trial.gradient(key), trial.right(key)) for key in trial.case.wrt}
    tiers = [lambda: blind.whole(name, ours, right),
             lambda: blind.swapped(name, pairs, tolerance),
             lambda: map(_triple, by_the_op),
             lambda: blind.rounded(name, ours, right)]
    if search:
        tiers += [lambda: map(_triple, search.paths(name))]
    tiers += [lambda: blind.exact(name, ours, right, **facts)]
    if search:
        tiers += [lambda: map(_triple, search.scaled(name)), lambda: map(_triple, search.pairs(name))]
    tiers += [lambda: blind.another(name, pairs, tolerance),
              lambda: blind.local(name, ours, right, trial.letters[name], trial.stride, tolerance)]
    for tier in tiers:
        found = list(tier())
        if found:
            kind, text, advice = found[0]
            factor = ours.size > 1 and constant_factor(ours, right)
            if factor and kind not in ("factor", "sign") and is_size(factor, trial.sizes):
                times, size = (factor, "large") if factor > 1 else (1 / factor, "small")
                text = f"every entry of d{name} is {times:.6g} times too {size}: {text}"
            also = dict.fromkeys([*(other for other, *_ in found), *(hypothesis.kind for hypothesis in by_the_op)])
            return Diagnosis(kind, name, sentence(text, advice, name), tuple(other for other in also if other != kind))
    return Diagnosis("unexplained", name, _what_is_known(name, ours, right, tolerance))


def _triple(hypothesis):
    return hypothesis.kind, hypothesis.text, hypothesis.advice


def _behaviour(trial, name, ours, numeric):
    """What shows when the backward pass is called again: (kind, text, advice) or None."""
    k = trial.case.wrt.index(name)
    try:
        gradients, changes = trial.guarded()
        if changes and alike(gradients[k], numeric, NUMERIC):
            return ("changed in place", f"d{name} is wrong, since {changes}",
                    f"With copies of all arguments for every op d{name} is right.")
        first, second, third, double, last = (np.array(trial.again(times * trial.dy)[k], np.float64)
                                              for times in (1, 1, 1, 2, 1))
    except Exception:                # the check itself reports what it raises
        return None
    if not np.isfinite(ours).all():
        return None
    if not alike(first, ours) or not alike(second, first) or not alike(third, second):
        if first.shape == third.shape and np.any(third - second) and alike(third - second, second - first):
            return ("accumulated", f"d{name} grows with every call: what an earlier call left is added to it",
                    "Start from zeros and return a new array.")
        return "not repeatable", f"d{name} is another one at every call with the same arguments", ""
    if alike(double, last) and last.any():
        return ("upstream ignored", f"d{name} does not depend on the upstream gradient dy",
                "Every term of a gradient has dy as a factor, once.")
    if alike(double, 2 * last) or not last.any():
        return None
    power = np.log2(np.abs(double).sum() / np.abs(last).sum())
    if abs(power - round(power)) < 1e-6 and alike(double, 2**round(power) * last):
        return "not linear", f"d{name} has dy as a factor {round(power)} times", "Once is right."
    if alike(double - last, numeric, NUMERIC):
        return ("not linear", f"d{name} has a term that is not a multiple of dy, and is right without it",
                "Every term has dy as a factor, once.")
    return "not linear", f"d{name} has a term that is not a multiple of dy", "Every term has dy as a factor, once."


def _forward(trial, name, ours):
    """The forward pass is not the book's: in what, and is the gradient the book's all the same?"""
    right = trial.trace.gradients(trial.dy, trial.case.wrt)[trial.case.wrt.index(name)]
    found, is_the_books = forward_mistake(trial.trace, trial.case, trial.arguments, trial.y), alike(ours, right)
    if not found:
        return Diagnosis("forward", name, sentence(f"d{name} is the gradient of the book's {trial.case.op}, but "
                                                   "forward computes something else")) if is_the_books else None
    kind, text = found
    return Diagnosis(kind, name, sentence(
        f"d{name} is right for the book's {trial.case.op}, but in forward {text}" if is_the_books else
        f"d{name} does not fit the forward pass, where {text}"))


def _what_is_known(name, ours, right, tolerance):
    """For want of an explanation: how many entries, how alike, between which ratios."""
    known = np.isfinite(right) & np.isfinite(ours)
    a, n = ours[known], right[known]
    wrong = np.abs(a - n) > tolerance * np.abs(n).max(initial=0)
    facts = [f"{np.count_nonzero(wrong)} of {a.size} entries differ"]
    if a.size > 1 and np.ptp(a) and np.ptp(n):
        facts.append(f"correlation with the right gradient {np.corrcoef(a, n)[0, 1]:.3f}")
    ratios = a[wrong & (n != 0)] / n[wrong & (n != 0)]
    if ratios.size:
        facts.append(f"ours is between {ratios.min():.4g} and {ratios.max():.4g} times the right one there")
    return f"d{name}: no simple mistake explains it; {', '.join(facts)}."


@np.errstate(all="ignore")
def explain_call(op, ours, theirs):
    """Say how the results of one call differ from the book's, where no tape tells more."""
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        a_is, b_is = np.asarray(a), np.asarray(b)
        result = f"result {k} of {op}" if len(ours) > 1 else f"the result of {op}"
        if a_is.dtype != b_is.dtype:
            return Diagnosis("dtype", "", f"{result.capitalize()} is {a_is.dtype}, where the book gives {b_is.dtype}.")
        if a_is.shape != b_is.shape:
            return Diagnosis("shape", "", f"{result.capitalize()} has shape {a_is.shape}, the book's {b_is.shape}.")
        if not alike(a_is, b_is, 1e-12 if a_is.dtype == np.float64 else NUMERIC):
            letters = [f"axis {i}" for i in range(a_is.ndim)]
            found = [*blind.whole("", a_is, b_is), *blind.exact("", a_is, b_is, letters, {}, {}, NUMERIC)]
            kind, text, advice = found[0] if found else ("unexplained", "d is another one", "")
            if "backward" not in op:
                kind = "forward"
            text = text.replace("d ", f"{result} ", 1)
            return Diagnosis(kind, "", f"{op} differs from the book: {text}. {advice}".strip())
    return Diagnosis("unexplained", "", f"{op} differs from the book.")
