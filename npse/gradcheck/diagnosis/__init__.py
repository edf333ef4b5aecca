"""The diagnosis of a wrong gradient: hypotheses are tried until one gives the values that were found.

There are two sorts. *Blind* hypotheses compare two arrays; they serve any function. Hypotheses on a *tape* run the
backward pass of an op with one step changed, for each step and each known mistake. Simple hypotheses are tried before
complicated ones.
"""

from npse.gradcheck.diagnosis.by_repair import explain_elsewhere, explain_exception, with_repair_of_dy
from npse.gradcheck.diagnosis.contract import explain_contract, explain_linearity
from npse.gradcheck.diagnosis.explain import explain, explain_call, explain_values
from npse.gradcheck.diagnosis.failed_check import FailedCheck
from npse.gradcheck.diagnosis.result import KINDS, Diagnosis
from npse.gradcheck.diagnosis.trace import recognise, trace

__all__ = ["KINDS", "Diagnosis", "FailedCheck", "explain", "explain_call", "explain_contract", "explain_elsewhere",
           "explain_exception", "explain_linearity", "explain_values", "recognise", "trace",
           "with_repair_of_dy"]
