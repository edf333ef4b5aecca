"""From a case to a tape: run the forward pass on variables that record each step."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from npse.gradcheck.calls import is_floating
from npse.gradcheck.cases.case import Case
from npse.gradcheck.diagnosis.foreign import record
from npse.gradcheck.diagnosis.ops import TapeOps, letters
from npse.gradcheck.diagnosis.result import EXACT, alike
from npse.gradcheck.diagnosis.sizes import sizes_of
from npse.gradcheck.diagnosis.tape import NO_MISTAKE, Hypothesis, Tape, Var
from npse.gradcheck.measure import Measurement, run_forward
from npse.types import Array, Arrays

RECORDED = 1e-4          # between the gradient by a record and central differences, relative to the largest entry

# Settings that a function may use without taking them as arguments; `recognise` tries these values.
HIDDEN: dict[str, dict[str, tuple[float | None, ...]]] = {
    "conv2d": {"stride": (1, 2, 3), "padding": (0, 1, 2, 3)},
    "average_pool": {"size": (2, 3, 4, 5), "stride": (None, 1, 2, 3)},
    "max_pool": {"size": (2, 3, 4, 5), "stride": (None, 1, 2, 3)},
    "batch_norm": {"eps": (1e-5, 1e-3, 1e-8, 0.0)},
    "batch_norm_inference": {"eps": (1e-5, 1e-3, 1e-8, 0.0)},
    "batch_norm_relu": {"eps": (1e-5, 1e-3, 1e-8, 0.0)},
    "softmax_cross_entropy": {"smoothing": (0.0, 0.1)},
}


@dataclass
class Trace:
    """A forward pass on a tape.

    Attributes
    ----------
    op : str
        The op of the book that the forward pass computes.
    tape : Tape
    output : Var
    leaves : dict of name -> Var
        The arguments that are floating arrays.
    """

    op: str
    tape: Tape
    output: Var
    leaves: dict[str, Var]

    @property
    def is_foreign(self) -> bool:
        """Whether the tape is a record of NumPy's calls, not one of the book's ops."""
        return self.tape.is_record

    def gradients(self, dy: Array, wrt: Sequence[str], hypothesis: Hypothesis = NO_MISTAKE) -> list[Array]:
        """Gradients in the order of ``wrt``, under the given hypothesis."""
        return self.tape.gradients(self.output, dy, [self.leaves[name] for name in wrt], hypothesis)


def trace(case: Case, arguments: Mapping[str, Any]) -> Trace | None:
    """The case's forward pass on a tape; None if a tape cannot record it."""
    return _run(case.op, lambda ops, **a: case.forward(ops, **a), arguments)


def taped(measured: Measurement) -> Trace | None:
    """The forward pass of a measurement on a tape: of its case, of the op of the book that gives y, or as a record."""
    case, arguments = measured.case, measured.arguments
    return trace(case, arguments) or recognise(arguments, measured.y, case.op) or recorded(measured)


def recognise(arguments: Mapping[str, Any], y: Array, name: str = "") -> Trace | None:
    """Find the op that gives y for these arguments, passed by name or in their order; None if no op does.

    The op called ``name`` is tried first.
    """
    known = [op for op in vars(TapeOps) if not op.startswith("_")]
    for op in sorted(known, key=lambda op: op != name):
        names = list(inspect.signature(getattr(TapeOps, op)).parameters)[1:]
        hidden = HIDDEN.get(op, {})
        if len(arguments) > len(names):
            continue
        order = list(arguments) if set(arguments) <= set(names) else names
        renamed = dict(zip(order, arguments.values(), strict=False))
        free = {key: values for key, values in hidden.items() if key not in renamed}
        for chosen in product(*free.values()):
            found = _run(op, _call_of(op, dict(zip(free, chosen, strict=True))), renamed)
            if found and alike(y, found.output.value):
                leaves = {given: found.leaves[its] for given, its in zip(arguments, order, strict=False)
                          if its in found.leaves}                # not all arguments are floating arrays
                return replace(found, leaves=leaves)
    return None


def recorded(measured: Measurement) -> Trace | None:
    """The forward pass of a measurement as a record of its NumPy calls; None if it has no right record.

    The record must give the result of the forward pass, and the numeric gradients.
    """
    case, arguments = measured.case, measured.arguments
    found = record(case.forward, measured.ops, arguments, measured.y)
    run_forward(case, measured.ops, arguments)                    # it may keep values for the backward pass
    if found is None:
        return None
    result = Trace(case.op, *found)
    for name, gradient in zip(case.wrt, result.gradients(measured.dy, case.wrt), strict=True):
        numeric = measured.numeric(name)
        if not alike(gradient, np.where(numeric.crossed, np.nan, numeric.value), RECORDED):
            return None
    return result


def arrays_in(measured: Measurement) -> Arrays:
    """The floating arrays among the arguments of a measurement."""
    return {name: value for name, value in measured.arguments.items()
            if isinstance(value, np.ndarray) and is_floating(value)}


def letters_in(measured: Measurement, found: Trace | None) -> dict[str, tuple[str, ...]]:
    """A letter for each axis of each array, such as ("N", "C"); "axis 0" and so on if there is no tape."""
    by_place = {name: tuple(f"axis {i}" for i in range(array.ndim)) for name, array in arrays_in(measured).items()}
    return by_place | {name: var.axes for name, var in found.leaves.items()} if found else by_place


def sizes_in(measured: Measurement, found: Trace | None) -> dict[str, int]:
    """The sizes of axes and their products, by name: {"N": 2, "H*W": 12}, or {"x.shape[0]": 2}."""
    arrays = arrays_in(measured)
    by_shape = {name: [f"{name}.shape[{i}]" for i in range(array.ndim)] for name, array in arrays.items()}
    by_letter = sizes_of(letters_in(measured, found), arrays) if found and not found.is_foreign else {}
    return by_letter or sizes_of(by_shape, arrays)


def forward_mistake(found: Trace, case: Case, arguments: Mapping[str, Any], y: Array) -> tuple[str, str] | None:
    """How the forward pass differs from the tape's: (kind, text), or None.

    Each argument is tried mirrored and transposed. Then each wrong value is tried that a step has a hypothesis about,
    such as another variance.
    """
    for name, leaf in found.leaves.items():
        for kind, text, changed in _rearrangements(name, leaf.value, leaf.axes):
            other = trace(case, {**arguments, name: changed})
            if other and alike(y, other.output.value, EXACT):
                return kind, text
    for step in found.tape.steps:
        for hypothesis in step.faults(step):
            if hypothesis.values and alike(y, found.tape.output_with(found.output, hypothesis.values)):
                return hypothesis.kind, hypothesis.text
    return None


def _rearrangements(name: str, array: Array, axes: tuple[str, ...]) -> Iterator[tuple[str, str, Array]]:
    """An array of two or more axes mirrored, or with two axes swapped: (kind, text, changed array)."""
    if array.ndim < 2:
        return
    is_filter = axes[:2] == ("kh", "kw")
    pairs = [(a, b) for a in range(array.ndim) for b in range(a) if array.shape[a] == array.shape[b]]
    for over in ((0, 1), (0,), (1,)):
        kind = "flipped kernel" if is_filter else "transposed"
        yield kind, f"{name} is mirrored along {' and '.join(axes[a] for a in over)}", np.flip(array, over)
    for a, b in pairs:
        kind = "channels swapped" if is_filter and {a, b} == {2, 3} else "transposed"
        yield kind, f"{name} has {axes[b]} and {axes[a]} swapped", array.swapaxes(a, b)


def _call_of(op: str, options: dict[str, float | None]) -> Callable[..., Any]:
    """A forward pass that is one op with some options; of several results it returns the first."""
    def forward(ops: TapeOps, **arguments: Any) -> Any:
        result = getattr(ops, op)(**arguments, **options)
        return result[0] if isinstance(result, tuple) else result
    return forward


def _run(op: str, forward: Callable[..., Any], arguments: Mapping[str, Any]) -> Trace | None:
    ops = TapeOps()
    leaves = {name: ops.tape.leaf(value, name, letters(name, value.ndim))
              for name, value in arguments.items() if getattr(getattr(value, "dtype", None), "kind", "") == "f"}
    try:
        with np.errstate(all="ignore"):
            output = forward(ops, **{**arguments, **leaves})
    except Exception:                # a tape cannot record the function
        return None
    return Trace(op, ops.tape, output, leaves) if isinstance(output, Var) else None
