"""Functions that the book does not have: their NumPy calls are recorded, and become steps of a tape.

`recorder` runs the forward pass on arrays that record, `calls` says which step each call is, `steps` has the steps that
the book does not need, `names` takes their names from the user's own code.
"""

from npse.gradcheck.diagnosis.foreign.recorder import record

__all__ = ["record"]
