"""Every single mistake on a tape."""

from collections.abc import Iterator

from npse.gradcheck.diagnosis import general
from npse.gradcheck.diagnosis.tape import Hypothesis, Step, Use, Var, Way
from npse.gradcheck.diagnosis.trace import Trace

MOST_PATHS = 8           # into one variable: more factors than this explain nothing


def mistakes(trace: Trace) -> Iterator[Hypothesis]:
    """Every single mistake on a tape, the most likely first."""
    tape = trace.tape
    once: list[Use] = []
    for var in tape.variables():
        uses = [] if var.constant else tape.uses(var)
        if tape.is_record and len(uses) > MOST_PATHS:
            continue
        if len(uses) > 1:
            yield from _wrong_paths(trace, var, uses)
        else:
            once += [(step, i) for step, i in uses if step.output.name != var.name   # the same name: axes moved
                     and var.name == general.once(var.name)]                         # not one turn of a loop
    for step, i in once:
        yield _scaled_part((step, i), -1, "sign", f"d{step.inputs[i].name} has the wrong sign")
    for step, i in once:
        name = step.inputs[i].name
        yield _scaled_part((step, i), 0, step.missing,
                           f"d{name} is cut off: nothing comes back to {name} from {step.output.name}")
    if not trace.is_foreign:
        for step in tape.steps:
            yield from step.faults(step)
        return
    for source in (general.in_every_turn, general.cut_off, general.overwritten, general.exchanged, general.turned,
                   general.mirrored, general.not_applied, general.stale):
        yield from source(tape)


def _wrong_paths(trace: Trace, var: Var, uses: list[Use]) -> Iterator[Hypothesis]:
    """Hypotheses about a variable that is read more than once: one path is missing, counted twice, or subtracted."""
    for use in uses:
        step, i = use
        way, formula = way_of(step, i)
        kept = " + ".join(way_of(*other)[1].split(", Eq.")[0] for other in uses if other != use)
        reaches = f"{var.name} also reaches {trace.output.name} {way}"
        if trace.is_foreign:
            reaches = f"{var.name} reaches {trace.output.name} that way too"
        if step.missing == "constant statistics":
            text = f"treats {way.removeprefix('through ')} as a constant"
        else:
            text = f"lacks the part that comes back {way}" if trace.is_foreign else f"is {kept} only"
        yield _scaled_part(use, 0, step.missing, f"d{var.name} {text}: {reaches}", f"Add {formula}.")
        yield _scaled_part(use, 2, "path twice", f"d{var.name} has the part that comes back {way} twice",
                           f"Add {formula} once.")
        yield _scaled_part(use, -1, "sign", f"d{var.name} has the part that comes back {way} with the wrong sign",
                           f"Add {formula}.")


def way_of(step: Step, i: int) -> Way:
    """How the output depends on the i-th input of a step, and the gradient that returns to it."""
    name = step.output.name
    return step.ways[i] if step.ways else (f"through {name}", f"the part that comes back from {name}")


def _scaled_part(use: Use, factor: float, kind: str, text: str, advice: str = "") -> Hypothesis:
    step, i = use
    return Hypothesis(kind, text, {use: lambda *read: factor * step.parts[i](*read)}, advice=advice)
