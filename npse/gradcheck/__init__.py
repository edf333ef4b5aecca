"""The judge: it checks gradients against numeric gradients, and the contract of an op; it explains what is wrong.

    report = check_gradient(forward, backward, {"u": u, "s": s})     any pair of functions
    results = check_case(case, ops)                                  one of `CASES` on an edition
    results = check_file("my_ops.py", book)                          functions of your own
    report = check_direction(loss, parameters, gradients)            a whole network

It works on arrays and functions only, and imports no edition and no layer. How it works: docs/judge.md.
"""

from npse.gradcheck.cases import CASES, KNOWN_OPS, Case, cases_of
from npse.gradcheck.check import check_case, check_gradient
from npse.gradcheck.diagnosis import KINDS, Diagnosis
from npse.gradcheck.direction import check_direction
from npse.gradcheck.kinks import KinkRecorder, max_margin
from npse.gradcheck.measure import Options
from npse.gradcheck.numeric import NumericGradient, numeric_gradient, relative_error
from npse.gradcheck.results import Report, Result
from npse.gradcheck.steps import step_sizes
from npse.gradcheck.summary import Row, rows
from npse.gradcheck.userfile import check_file

__all__ = [
    "CASES", "KINDS", "KNOWN_OPS", "Case", "Diagnosis", "KinkRecorder", "NumericGradient", "Options", "Report",
    "Result", "Row", "cases_of", "check_case", "check_direction", "check_file", "check_gradient", "max_margin",
    "numeric_gradient", "relative_error", "rows", "step_sizes",
]
