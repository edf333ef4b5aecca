"""Why is it wrong? After a mismatch, hypotheses are tried until one explains the numbers.

Two sorts: *blind* ones compare two arrays and serve any function; those on a *tape* run the backward pass of the op
once more with one thing done wrong, at every place where it can be. Simplest explanation first.
"""

from npse.gradcheck.diagnosis.contract import explain_contract, explain_linearity
from npse.gradcheck.diagnosis.explain import Trial, explain, explain_call, explain_values
from npse.gradcheck.diagnosis.result import KINDS, Diagnosis
from npse.gradcheck.diagnosis.trace import recognise, trace

__all__ = [
           "KINDS",
           "Diagnosis",
           "Trial",
           "explain",
           "explain_call",
           "explain_contract",
           "explain_linearity",
           "explain_values",
           "recognise",
           "trace",
]
