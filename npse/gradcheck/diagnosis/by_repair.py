"""Diagnoses by a repair: of an exception, of other arguments, and of gradients that are not linear in dy."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from npse.gradcheck.cases.case import Case
from npse.gradcheck.diagnosis.elsewhere import Right, measured_anyway, others
from npse.gradcheck.diagnosis.repair import Repairs
from npse.gradcheck.diagnosis.result import Diagnosis, sentence
from npse.gradcheck.measure import Measurement
from npse.types import Arguments, Array, Ops


@np.errstate(all="ignore")
def explain_exception(case: Case, ops: Ops, arguments: Arguments) -> str:
    """The small change after which a backward pass that raises an exception is right, in words; "" without any."""
    right = Right.of(measured_anyway(case, ops, arguments))
    edit = Repairs(right, lambda: [Right.of(other) for other in others(right.measured)]).of(case.wrt[0])
    return edit.described() if edit else ""


@np.errstate(all="ignore")
def explain_elsewhere(wrong: Measurement, right: Measurement, name: str, words: str) -> Diagnosis:
    """Say why a gradient is wrong for some arguments; for others, ``right``, it is not. ``words`` tell them apart."""
    repairs = Repairs(Right.of(wrong), lambda: [Right.of(right)])
    edit = repairs.of(name)
    if edit:
        return Diagnosis(edit.kind, name, sentence(f"d{name} is wrong {words}: {edit.described()}"))
    if wrong.y.shape == right.y.shape:
        kept = repairs.stale(name)
        cause = f"is kept in `{kept}`" if kept else "may be kept"
        return Diagnosis("not repeatable", name, f"d{name} is right in the first call, but wrong {words}: a value of "
                         f"an earlier call {cause}.")
    return Diagnosis("wrong value", name, f"d{name} is wrong {words}. Look at branches that depend on a size, and at "
                     "what remains after the last whole chunk.")


@np.errstate(all="ignore")
def with_repair_of_dy(why: Diagnosis, measured: Measurement, upstreams: Iterable[Array]) -> Diagnosis:
    """A diagnosis of gradients that are not linear in dy, with the change that makes them right, or what is kept.

    ``measured`` has the arguments; some of the ``upstreams`` show wrong gradients. Results that grow with each call
    need no repair to be told.
    """
    if why.kind not in ("not linear", "upstream ignored"):
        return why
    rights = []
    for dy in upstreams:
        try:
            gradients = tuple(map(np.copy, measured.backward(dy)))
        except Exception:                # the function takes no such dy
            continue
        rights.append(Right.of(replace(measured, dy=dy, gradients=gradients)))
    for here in (one for one in rights if one.wrong):
        name = here.wrong[0]
        repairs = Repairs(here, lambda here=here: [other for other in rights if other is not here])   # type: ignore[misc]
        kept, edit = repairs.stale(name), repairs.of(name)
        cause = f": {edit.described()}" if edit else ""
        if kept:
            return Diagnosis("not repeatable", name, f"d{name} reads a value of an earlier call, which is kept in "
                             f"`{kept}`{cause}.", (why.kind,))
        if edit:
            head, stop, rest = why.text.partition(". ")
            return replace(why, text=f"{head.removesuffix('.')}{cause}." + (stop and f" {rest}"))
    return why
