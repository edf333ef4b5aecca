"""Every op that a network needs at inference, as nodes of a graph: functions with the names and arguments of the ops.

The first argument of each is the graph. Batch norms stay nodes of their own; they are not folded into convolutions.
"""

from npse.interop.lowering import batch_norm, conv, elementwise, gates, pool, rows, squeezes
from npse.interop.lowering.table import TABLE

__all__ = ["TABLE"]
