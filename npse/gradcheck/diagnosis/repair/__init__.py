"""Repairs: one small change of the backward pass's own source after which its gradients are right.

A hypothesis on a tape starts from the forward pass and asks which mistake gives the gradients that were found. A repair
starts from the backward pass: its syntax tree is changed at one place, in every way that `edits` knows, and the changed
function is run. If its gradients are right, for other arguments too, the place and the change say what is wrong.

`source` reads and compiles a function, `scope` knows what can be named in it. `places` says where it can be changed,
`edits` and `additions` have the changes of an expression. `search` tries them.
"""

from npse.gradcheck.diagnosis.repair.search import Repairs

__all__ = ["Repairs"]
