"""The Taylor test: the remainder of the first-order expansion falls as the square of the step.

    R(h) = sum(dy * (f(x + h v) - f(x))) - h <gradient, v>  =  O(h^2)      v random; O(h) if the gradient is wrong

It needs no choice of a step, but does not see small errors. Along a kink it says nothing.
"""

from dataclasses import replace

import numpy as np

from npse.gradcheck.draw import generator
from npse.gradcheck.measure import Measurement, run_forward
from npse.gradcheck.results import CANNOT_TELL, RIGHT, WRONG, Result
from npse.gradcheck.steps import SAFETY, norm, typical_size

STEPS = 1e-2 / 2.0 ** np.arange(12)
LEAST_ORDER = 1.5      # between the 2 of a right gradient and the 1 of a wrong one


def taylor(measured: Measurement, name: str) -> Result:
    """The verdict of the Taylor test on the gradient of one argument."""
    case, x, gradient = measured.case, measured.arguments[name], measured.gradient(name)
    result = Result(case.op, case.label, "taylor", CANNOT_TELL, name, entries=x.size)
    if gradient.shape != x.shape:
        return result
    v = generator(x.size, f"{name}: taylor").standard_normal(x.shape) * typical_size(x)
    slope, rounding = float(np.sum(gradient * v)), SAFETY * np.finfo(float).eps * norm(measured.dy * measured.y)
    found = []
    for h in STEPS:
        y = run_forward(case, measured.ops, measured.arguments | {name: x + h * v})
        found.append((h, abs(float(np.sum(measured.dy * (y - measured.y))) - h * slope)))
    clear = [(h, remainder) for h, remainder in found if SAFETY * rounding < remainder < np.inf]
    if len(clear) < 3:
        is_linear = all(remainder <= SAFETY * rounding for _, remainder in found)
        note = "forward is linear along a random direction" if is_linear else "forward is not finite near here"
        return replace(result, verdict=RIGHT if is_linear else CANNOT_TELL, message=note)
    (h, last), (twice, before) = clear[-1], clear[-3]
    order = float(np.log(before / last) / np.log(twice / h))
    known = measured.known(name)
    verdict = RIGHT if order >= LEAST_ORDER else CANNOT_TELL if known and known.crossed.any() else WRONG
    return replace(result, verdict=verdict,
                   message=f"the remainder falls as the step to the power {order:.2f}, where 2 is right")
