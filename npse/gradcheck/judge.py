"""How a case is judged: each function looks at one property and yields a `Result` for each thing it looked at.

All of them draw random numbers from the same Generator, one after the other: a new property goes to the end of
`judge`, so that the draws of the others stay what they were.
"""

import functools
import zlib
from dataclasses import replace

import numpy as np

from npse.gradcheck import contract, diagnosis
from npse.gradcheck.cases.case import cast
from npse.gradcheck.kinks import choices, count_changes
from npse.gradcheck.numeric import (
    FLOOR,
    RESOLUTION,
    TOLERANCE,
    budget,
    complex_step,
    curve,
    is_hidden,
    numeric_gradient,
    relative_error,
)
from npse.gradcheck.results import CANNOT_TELL, RIGHT, WRONG, Result, View

TOLERANCE_FLOAT32 = 1e-4      # of the float32 gradient against the float64 one; a right gradient stays near 1e-6


def judge(case, ops, rng, book=None, float32=True):
    """Yield every `Result` on a case; ``book`` is another edition to agree with, ``float32`` judges that dtype too."""
    drawn = [case.arguments(rng, dtype) for dtype in ((np.float64, np.float32) if float32 else (np.float64,))]
    if case.wrt:
        yield from _gradients(case, ops, drawn[0], rng)
        yield _linearity(case, ops, drawn[0], rng)
    yield from _contract(case, ops, drawn, rng, book)
    if case.wrt and float32:
        yield from _float32(case, ops, drawn[1], rng)


def generator(seed, purpose):
    """A Generator for one purpose. Not ``default_rng(seed)``: whoever drew the arguments from that would meet his own
    numbers again in dy or in a direction, and a scale-invariant function has no derivative along its argument."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def _gradients(case, ops, arguments, rng):
    y = _forward(case, ops, arguments)
    dy = _upstream(rng, y)
    gradients = tuple(map(np.copy, _backward(case, ops, dy, arguments)))
    slopes = _slopes(case, ops, arguments, dy)
    trial = functools.cache(lambda: _trial(case, ops, arguments, y, gradients, slopes))
    for name, ours in zip(case.wrt, gradients, strict=True):
        x = arguments[name]
        if y.dtype != x.dtype:
            yield _result(case, "gradient", CANNOT_TELL, name, error=np.inf,
                          message=f"forward returns {y.dtype} for {x.dtype}: its rounding hides the gradient")
            continue
        slope = slopes[name]
        numeric = slope.numeric
        result = _compare(case, name, ours, numeric, slope) if ours.shape == x.shape else _result(
            case, "gradient", WRONG, name, error=np.inf,
            message=f"it has shape {ours.shape}, but {name} has shape {x.shape}")
        if result.verdict == WRONG:
            result = replace(result, diagnosis=diagnosis.explain(trial(), name))
        yield result


def _slopes(case, ops, arguments, dy):
    return {name: _Slope(case, ops, arguments, name, dy) for name in case.wrt}


class _Slope:
    """A case as a function of one of its arguments, for both numeric references."""

    def __init__(self, case, ops, arguments, name, dy):
        self.case, self.ops, self.arguments, self.name, self.dy = case, ops, arguments, name, dy
        self.x = arguments[name]
        self.kinks = self._kinks if case.kinks else None

    def forward(self, value):
        return _forward(self.case, self.ops, self.arguments | {self.name: value})

    def _kinks(self, value):
        return self.case.kinks(**self.arguments | {self.name: value})

    @functools.cached_property
    def numeric(self):
        return numeric_gradient(self.forward, self.x, self.dy, self.kinks)

    def budget(self, index):
        return budget(self.forward, self.x, self.dy, index, self.kinks)

    def second(self, numeric):
        """The complex step; None where the function takes no complex numbers, or is not analytic: then the two
        references differ. A ReLU is, on either side of its kink."""
        arguments = {name: value.astype(complex) if getattr(getattr(value, "dtype", None), "kind", "") == "f" else value
                     for name, value in self.arguments.items()}
        found = complex_step(lambda value: self.case.forward(self.ops, **arguments | {self.name: value}),
                             self.x, self.dy)
        return found if found is not None and relative_error(found, numeric).max() <= TOLERANCE else None


def _trial(case, ops, arguments, y, gradients, slopes):
    """All that is known about a backward pass that failed; the forward pass is recognised by its values."""
    dy = slopes[case.wrt[0]].dy
    tape = diagnosis.trace(case, arguments) or diagnosis.recognise(arguments, y, case.op)

    def guarded():
        edition = contract.Guarded(ops)
        return _backward(case, edition, dy, arguments), edition.changes

    return diagnosis.Trial(case, arguments, y, dy, gradients, lambda dy: _backward(case, ops, dy, arguments),
                           functools.cache(guarded), lambda name: slopes[name].numeric.value, tape)


def _compare(case, name, ours, numeric, slope):
    error = relative_error(ours, numeric)
    crossed = tuple(map(tuple, np.argwhere(numeric.crossed).tolist()))
    note = f"{len(crossed)} of {ours.size} entries crossed a kink" if crossed else ""
    facts = {"argument": name, "crossed": crossed, "entries": ours.size}
    if len(crossed) == ours.size:
        return _result(case, "gradient", CANNOT_TELL, **facts, error=float(error.max()),
                       message=f"{note}: try other arguments")
    finite = np.isfinite(numeric.value[~numeric.crossed]).all()
    verdict, index, within = _verdict_on(ours, numeric, error, slope) if finite else (CANNOT_TELL, _worst(error), None)
    value = within.value if within else numeric.value[index]
    second = slope.second(numeric) if finite else None
    facts |= {"error": float(error[index]), "index": index, "ours": float(ours[index]), "expected": float(value),
              "budget": within, "complex_step": None if second is None else float(relative_error(
                  ours, replace(numeric, value=second)).max())}
    where = f"{name}[{', '.join(map(str, index))}]"
    if not finite:
        return _result(case, "gradient", CANNOT_TELL, **facts, message=f"forward is not finite near {where}")
    if verdict == CANNOT_TELL:
        return _result(case, "gradient", CANNOT_TELL, **facts,
                       message=f"central differences do not settle near {where} ({within}): if there is a ReLU or "
                               "maximum inside forward, give its kinks")
    if verdict == RIGHT and is_hidden(ours, numeric):
        return _result(case, "gradient", CANNOT_TELL, **facts,
                       message="forward is so large beside its gradient that rounding would hide an error of 0.1 %")
    if verdict == RIGHT:
        return _result(case, "gradient", RIGHT, **facts, message=note)
    wrong = (f"{np.count_nonzero(error > TOLERANCE)} of {ours.size} entries differ, worst at {where}: ours "
             f"{facts['ours']:.8g}, numeric {facts['expected']:.8g}, relative error {facts['error']:.1e}")
    view = View(ours, numeric.value, error, *curve(slope.forward, slope.x, slope.dy, index))
    return _result(case, "gradient", WRONG, **facts, view=view, message="; ".join(filter(None, (wrong, note))))


def _verdict_on(ours, numeric, error, slope):
    """Right, wrong or cannot tell; the entry that decides it, and its error budget.

    Where the usual step gives too large an error, the worst entry first, its budget is drawn up: with the best step
    the error of the formula may turn out to be the culprit.
    """
    largest, unsettled = np.abs(numeric.value[~numeric.crossed]).max(), None
    for flat in np.argsort(-error, axis=None):
        index = tuple(map(int, np.unravel_index(flat, error.shape)))
        if error[index] <= TOLERANCE:
            break
        within = slope.budget(index)
        if within is None or not np.isfinite(ours[index]):
            return WRONG, index, within
        size = max(abs(ours[index]), abs(within.value), FLOOR * largest)
        if abs(ours[index] - within.value) > TOLERANCE * size + within.error:
            return WRONG, index, within
        error[index] = abs(ours[index] - within.value) / size
        if within.error > RESOLUTION * largest:
            unsettled = unsettled or (CANNOT_TELL, index, within)
    index = _worst(error)
    return unsettled or (RIGHT, index, slope.budget(index))


def _worst(error):
    return tuple(map(int, np.unravel_index(error.argmax(), error.shape)))


def _linearity(case, ops, arguments, rng):
    y = _forward(case, ops, arguments)
    one, other = _upstream(rng, y), _upstream(rng, y)

    def backward(dy):
        return _backward(case, ops, dy, arguments)
    complaint = contract.nonlinear(backward, one, other)
    why = complaint and diagnosis.explain_linearity(backward, one, other, case.wrt, complaint)
    return _verdict(case, "linear", why, complaint)


def _verdict(case, judged, why, complaint, **facts):
    """A result on the manners of an op: right if nothing is to be complained of, else wrong for a reason."""
    return _result(case, judged, WRONG if complaint else RIGHT, message=complaint, diagnosis=why or None, **facts)


def _contract(case, ops, drawn, rng, book):
    recording = contract.Recording(ops)
    for arguments in drawn:
        y = case.forward(recording, **_fresh(arguments))
        if case.backward:
            case.backward(recording, _upstream(rng, np.asarray(y)), **_fresh(arguments))
    for name, rule in contract.RULES.items():
        culprits_first = sorted(recording.calls, key=lambda call: not call.changed)
        call, complaint = next(((call, f"{call.name} {found}") for call in culprits_first if (found := rule(call))),
                               (None, ""))
        yield _verdict(case, name, call and diagnosis.explain_contract(name, complaint, call.repeat), complaint)
    if book is not None and book is not ops:
        found = [(call, *contract.disagreement(book, call)) for call in recording.calls]
        call, complaint = next(((call, f"{call.name} {what}") for call, what, _ in found if what), (None, ""))
        yield _verdict(case, "book", call and _why_not_the_book(case, ops, drawn, rng, call, book), complaint,
                       error=max(worst for *_, worst in found))


def _why_not_the_book(case, ops, drawn, rng, call, book):
    """A diagnosis of a call that differs from the book's: where no slope tells, as at a kink, the tape does. Of the
    arguments drawn some may not show it."""
    for arguments in drawn if case.wrt and "backward" in call.name else ():
        double = {name: cast(value, np.float64) for name, value in arguments.items()}
        y = _forward(case, ops, double)
        dy = _upstream(rng, y)
        trial = _trial(case, ops, double, y, _backward(case, ops, dy, double), _slopes(case, ops, double, dy))
        found = [why for name in case.wrt if (why := diagnosis.explain_values(trial, name))]
        if found:
            return min(found, key=lambda why: why.kind == "unexplained")
    try:
        theirs = call.repeat(getattr(book, call.name))
    except (ValueError, TypeError) as error:
        return diagnosis.explain_contract("book", f"{call.name} is called with what the book refuses: {error}")
    return diagnosis.explain_call(call.name, call.results, theirs)


def _float32(case, ops, arguments, rng):
    double = {name: cast(value, np.float64) for name, value in arguments.items()}
    dy = _upstream(rng, _forward(case, ops, arguments)).astype(np.float32)
    pairs = zip(_backward(case, ops, dy, arguments), _backward(case, ops, dy.astype(np.float64), double), strict=True)
    for name, (ours, exact) in zip(case.wrt, pairs, strict=True):
        facts = {"argument": name, "entries": ours.size, "error": contract.deviation(ours, exact, np.abs(dy).max())}
        if facts["error"] <= TOLERANCE_FLOAT32:
            yield _result(case, "float32", RIGHT, **facts)
        elif case.kinks and count_changes(choices(case.kinks(**arguments)), choices(case.kinks(**double))):
            yield _result(case, "float32", CANNOT_TELL, **facts,
                          message="a ReLU or maximum is so near its kink that float32 and float64 choose differently")
        else:
            complaint = f"deviates from float64 by {facts['error']:.1e} of the largest entry"
            yield _result(case, "float32", WRONG, **facts, message=complaint, diagnosis=diagnosis.explain_contract(
                "float32", f"d{name} in float32 {complaint}", argument=name))


def _forward(case, ops, arguments):
    y = case.forward(ops, **_fresh(arguments))
    if y is None:
        raise TypeError("forward returned None: is a return missing?")
    y = np.array(y)                                               # a copy, should it be the same array each time
    if y.dtype.kind != "f":
        raise TypeError(f"forward must return an array of floating-point numbers, but returned {y.dtype}")
    return y


def _backward(case, ops, dy, arguments):
    gradients = case.backward(ops, dy.copy(), **_fresh(arguments))
    if len(gradients) != len(case.wrt):
        raise ValueError(f"backward must return {len(case.wrt)} gradient{'s' * (len(case.wrt) != 1)} "
                         f"({', '.join(case.wrt)}), but returned {len(gradients)}")
    for name, gradient in zip(case.wrt, gradients, strict=True):
        if gradient is None:
            raise TypeError(f"backward returned None as the gradient of {name}: is a return missing?")
    gradients = tuple(map(np.asarray, gradients))
    for name, gradient in zip(case.wrt, gradients, strict=True):
        if gradient.dtype.kind not in "fiub":
            raise TypeError(f"the gradient of {name} must be an array of real numbers, but has dtype {gradient.dtype}")
    return gradients


def _fresh(arguments):
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in arguments.items()}


def _upstream(rng, y):
    return np.asarray(rng.standard_normal(y.shape), y.dtype)[()]


def _result(case, judged, verdict, argument="", **facts):
    return Result(case.op, case.label, judged, verdict, argument, **facts)
