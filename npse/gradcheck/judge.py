"""The judge: every property of a case, one after the other; each yields a `Result` for each thing that it checked.

The gradient takes three stages: `measure`, `compare` and, if it is wrong, `diagnosis.explain`. Each property draws
from a generator of its own, so adding one changes no number of the others.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from npse.gradcheck import contract, diagnosis
from npse.gradcheck.against import against
from npse.gradcheck.calls import Call, Recording, is_floating
from npse.gradcheck.cases.case import Case, cast
from npse.gradcheck.compare import compare
from npse.gradcheck.diagnosis import Diagnosis
from npse.gradcheck.draw import draw_arguments, generator, upstream
from npse.gradcheck.kinks import choices, count_changes
from npse.gradcheck.measure import USUAL, Measurement, Options, copies, run_backward, run_forward
from npse.gradcheck.other_arguments import elsewhere
from npse.gradcheck.results import CANNOT_TELL, RIGHT, WRONG, Result
from npse.gradcheck.steps import SAFETY
from npse.gradcheck.taylor import taylor
from npse.types import Arguments, Array, Ops

TOLERANCE_FLOAT32 = 1e-4      # of the float32 gradient against the float64 one; a right gradient stays near 1e-6
SAME_FORMULA = 1e-9           # of two results in float64, one of which may lose some digits


def judge(case: Case, ops: Ops, seed: int, book: Ops | None = None, options: Options = USUAL) -> Iterator[Result]:
    """Yield every `Result` on a case; ``book`` is another edition to agree with.

    KeyboardInterrupt follows the results that are known by then.
    """
    drawn = [draw_arguments(case, seed, dtype) for dtype in (np.float64, *[np.float32] * options.float32)]

    def rng(purpose: str) -> Generator:
        return generator(seed, f"{case}: {purpose}")

    is_right = bool(case.wrt)
    if case.wrt:
        measured = Measurement.of(case, ops, drawn[0], rng("gradient"), options)
        for result in _gradients(measured):
            is_right = is_right and result.ok
            yield result
        yield _linearity(measured, rng("linear"), is_right)
    calls = _recorded_calls(case, ops, drawn, rng("contract"))
    yield from _contract(case, calls)
    if book is not None and book is not ops:
        yield _agreement(case, ops, drawn, rng("book"), calls, book)
    if case.wrt and options.float32:
        yield from _float32(case, ops, drawn[1], rng("float32"))
    if is_right:                  # at the end, because a backward pass may keep values of these calls
        yield from elsewhere(measured, rng("other arguments"))


def _gradients(measured: Measurement) -> Iterator[Result]:
    failed = None
    for name in measured.case.wrt:
        result = compare(measured, name)
        numeric = measured.known(name)
        if result.verdict == WRONG and not (numeric and numeric.skipped.any()):      # of a sample no diagnosis is made
            failed = failed or diagnosis.FailedCheck.of(measured)
            result = replace(result, diagnosis=diagnosis.explain(failed, name))
        yield result
        if numeric and numeric.interrupted:
            raise KeyboardInterrupt
        if measured.options.taylor:
            yield taylor(measured, name)
    for library, forward in measured.options.against.items():
        yield from against(measured, library, forward)


def _linearity(measured: Measurement, rng: Generator, is_right: bool) -> Result:
    """Whether the gradients are linear in dy; ``is_right`` says that no other result tells why they are wrong."""
    case = measured.case
    y = run_forward(case, measured.ops, measured.arguments)
    one, other = upstream(rng, y), upstream(rng, y)
    complaint = contract.nonlinear(measured.backward, one, other)
    if not complaint:
        return _verdict(case, "linear", None, "")
    why = diagnosis.explain_linearity(measured.backward, one, other, case.wrt, complaint)
    if is_right:
        why = diagnosis.with_repair_of_dy(why, measured, (one, 100 * other, np.ones_like(one)[()]))
    return _verdict(case, "linear", why, complaint)


def _recorded_calls(case: Case, ops: Ops, drawn: list[Arguments], rng: Generator) -> list[Call]:
    """Every call of an op in the forward and backward pass, for each set of arguments."""
    recording = Recording(ops)
    for arguments in drawn:
        y = case.forward(recording, **copies(arguments))
        if case.backward:
            case.backward(recording, upstream(rng, np.asarray(y)), **copies(arguments))
    return recording.calls


def _contract(case: Case, calls: list[Call]) -> Iterator[Result]:
    culprits_first = sorted(calls, key=lambda call: not call.changed)
    for name, rule in contract.RULES.items():
        why, complaint = None, ""
        for call in culprits_first:
            if found := rule(call):
                complaint = f"{call.name} {found}"
                why = diagnosis.explain_contract(name, complaint, call.repeat)
                break
        yield _verdict(case, name, why, complaint)


def _agreement(case: Case, ops: Ops, drawn: list[Arguments], rng: Generator, calls: list[Call], book: Ops) -> Result:
    found = [(call, *contract.disagreement(book, call)) for call in calls]
    why, complaint = None, ""
    for call, what, _ in found:
        if what:
            complaint = f"{call.name} {what}"
            why = _why_not_the_book(case, ops, drawn, rng, call, book)
            break
    return _verdict(case, "book", why, complaint, error=max(worst for *_, worst in found))


def _why_not_the_book(case: Case, ops: Ops, drawn: list[Arguments], rng: Generator, call: Call,
                      book: Ops) -> Diagnosis:
    """A diagnosis of a call that differs from the book's.

    At a kink no numeric gradient tells, but the tape does. Not all arguments drawn show the difference: try each.
    """
    for arguments in drawn if case.wrt and "backward" in call.name else ():
        double = {name: cast(value, np.float64) for name, value in arguments.items()}
        failed = diagnosis.FailedCheck.of(Measurement.of(case, ops, double, rng))
        found = [why for name in case.wrt if (why := diagnosis.explain_values(failed, name))]
        if found:
            return min(found, key=lambda why: why.kind == "unexplained")
    try:
        theirs = call.repeat(getattr(book, call.name))
    except (ValueError, TypeError) as error:
        return diagnosis.explain_contract("book", f"{call.name} is called with what the book refuses: {error}")
    if _differs_in_float32_only(call, theirs, book):
        return diagnosis.explain_contract("float32", f"{call.name} is the book's in float64, but in float32 it loses "
                                          "digits: look for a difference of two large numbers, or for a long sum")
    return diagnosis.explain_call(call.name, call.results, theirs)


def _differs_in_float32_only(call: Call, theirs: tuple[Array, ...], book: Ops) -> bool:
    """Whether a call with float32 arrays, which differs from the book, agrees with it in float64."""
    if {array.dtype for array in (*call.results, *theirs)} != {np.dtype(np.float32)}:
        return False
    ours, right = (call.repeat(op, lambda array: cast(array, np.float64)) for op in (None, getattr(book, call.name)))
    return all(contract.deviation(*pair) <= SAME_FORMULA for pair in zip(ours, right, strict=True))


def _float32(case: Case, ops: Ops, arguments: Arguments, rng: Generator) -> Iterator[Result]:
    double = {name: cast(value, np.float64) for name, value in arguments.items()}
    dy = upstream(rng, run_forward(case, ops, arguments)).astype(np.float32)
    single, exactly = run_backward(case, ops, dy, arguments), run_backward(case, ops, dy.astype(np.float64), double)
    for name, ours, exact in zip(case.wrt, single, exactly, strict=True):
        error = contract.deviation(ours, exact, np.abs(dy).max())
        result = Result(case.op, case.label, "float32", RIGHT, name, error, entries=ours.size)
        if error <= TOLERANCE_FLOAT32:
            yield result
        elif case.kinks and count_changes(choices(case.kinks(**arguments)), choices(case.kinks(**double))):
            yield replace(result, verdict=CANNOT_TELL,
                          message="a ReLU or maximum is so near its kink that float32 and float64 choose differently")
        elif error <= SAFETY * _unavoidable(case, ops, dy.astype(np.float64), double, name, rng):
            yield replace(result, message=f"deviates from float64 by {error:.1e} of the largest entry, but so it does "
                          f"if the arguments are rounded in float32: no mistake of backward; {name} may be far from 0 "
                          "beside its spread")
        else:
            complaint = f"deviates from float64 by {error:.1e} of the largest entry"
            why = diagnosis.explain_contract("float32", f"d{name} in float32 {complaint}", argument=name)
            yield replace(result, verdict=WRONG, message=complaint, diagnosis=why)


def _unavoidable(case: Case, ops: Ops, dy: Array, arguments: Arguments, name: str, rng: Generator) -> float:
    """By how much a gradient in float64 changes if the arguments are rounded in float32: any function in float32 may.

    The largest of three deviations, each with other roundings.
    """
    k, eps, found = case.wrt.index(name), np.finfo(np.float32).eps, 0.0
    exact = run_backward(case, ops, dy, arguments)[k].copy()
    for _ in range(3):
        rounded = {key: value * (1 + eps * rng.uniform(-1, 1, value.shape)) if is_floating(value) else value
                   for key, value in arguments.items()}
        found = max(found, contract.deviation(run_backward(case, ops, dy, rounded)[k], exact, np.abs(dy).max()))
    return found if np.isfinite(found) else 0.0


def _verdict(case: Case, judged: str, why: Diagnosis | None, complaint: str, error: float = 0.0) -> Result:
    """A result on a property of an op as a whole: right if there is no complaint."""
    return Result(case.op, case.label, judged, WRONG if complaint else RIGHT, error=error, message=complaint,
                  diagnosis=why)
