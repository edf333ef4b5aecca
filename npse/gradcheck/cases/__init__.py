"""The list of cases that judges every edition, and functions of the user.

The shapes are chosen to expose bugs: H != W, Cin != Cout and Cin = Cout, strides that do not divide, N = 1, 1x1 maps,
a kernel as large as its map, C/r = 1, exact ties. Some bugs show on irregular shapes only (an ignored stride), others
on regular shapes only (two channels swapped); so every op has both.
"""

from npse.gradcheck.cases import (
    activations,
    batch_norm,
    bn_scale_add_relu,
    channels,
    excitations,
    gates,
    joins,
    map_gates,
    maps,
    pointwise,
    pool,
    rows,
    shared_batch_norm,
    squeezes,
    values,
)
from npse.gradcheck.cases.case import Case
from npse.support.names import suggest

CASES = (*maps.CASES, *pool.CASES, *channels.CASES, *gates.CASES, *batch_norm.CASES, *bn_scale_add_relu.CASES,
         *pointwise.CASES, *activations.CASES, *rows.CASES, *values.CASES, *squeezes.CASES, *excitations.CASES,
         *map_gates.CASES, *joins.CASES, *shared_batch_norm.CASES)
KNOWN_OPS = tuple(dict.fromkeys(op for case in CASES for op in case.ops))


def cases_of(op: str | None = None) -> tuple[Case, ...]:
    """The cases that check an op, forward or backward; without a name all cases. ValueError if the op is unknown."""
    if op is None:
        return CASES
    if op not in KNOWN_OPS:
        raise ValueError(f"unknown op {op!r}; {suggest(op, KNOWN_OPS, 'npse.gradcheck.cases.KNOWN_OPS')}")
    return tuple(case for case in CASES if op in case.ops)


__all__ = ["CASES", "KNOWN_OPS", "Case", "cases_of"]
