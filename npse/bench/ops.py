"""Every op call of one real training step, seen by a watcher and then timed alone."""

import numpy as np

from npse import backend
from npse.bench.flops import flops, is_array, traffic
from npse.bench.timing import figures, times
from npse.bench.workload import prepare


class Calls:
    """A watcher of ops: the distinct calls, by op and shapes, how often each was made, and the first one's arguments.

    A call is known by what `shapes` says of its arguments; the numbers in the arrays do not change how long it takes.
    """

    def __init__(self):
        self.rows, self.arguments = {}, {}

    def __call__(self, op, arguments, result):
        """Look at one call; see `npse.backend.observing`."""
        key = op, str(shapes(arguments))
        if key not in self.rows:
            self.arguments[key] = arguments
            self.rows[key] = {"op": op, "arguments": shapes(arguments), "count": 0,
                              "flops": flops(op, arguments, result), "bytes": traffic(arguments, result)}
        self.rows[key]["count"] += 1


def shapes(arguments):
    """Arguments as JSON keeps them: the shape of an array, an integer or a tuple as it is, None for all others."""
    return [list(value.shape) if is_array(value)
            else list(map(int, value)) if isinstance(value, tuple)
            else int(value) if isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            else None for value in arguments]


def watch(work):
    """Return the `Calls` of one training step, the making of its batch not included."""
    calls = Calls()
    work.step()                                                   # kernels are compiled, memory is touched
    with backend.observing(calls):
        work.step()
    return calls


def measure(model, batch_size, edition, threads, seconds):
    """Time each distinct op call of a training step.

    Returns
    -------
    list of dict
        ``op``, ``arguments``, ``count`` (calls in a step), ``flops`` and ``bytes`` of one call, ``ms`` (median) and
        ``ms_min`` of one call, ``ms_step`` (median times count), ``gflops``, ``gbs``; the most costly first.
    """
    work = prepare(model, batch_size, edition, threads)
    calls, ops = watch(work), backend.active()
    rows = []
    for key, row in calls.rows.items():
        op, arguments = getattr(ops, row["op"]), calls.arguments[key]
        row |= figures(times(lambda op=op, arguments=arguments: op(*arguments), seconds, clock=work.clock))
        rows.append(row | {"ms_step": row["ms"] * row["count"], "gbs": 1e-6 * row["bytes"] / row["ms"],
                           "gflops": row["flops"] and 1e-6 * row["flops"] / row["ms"]})
    return sorted(rows, key=lambda row: -row["ms_step"])


def against(rows, rates):
    """Return the rows with ``bound``, what of the machine limits the call, and ``percent``, how near it the call comes.

    It is "sgemm", or "cache" for copying in the last cache, if that holds all the call moves, else "memory"; on a
    device, whose calls find their arguments in no cache, "multiply-add" or "memory". Counted are a formula's arithmetic
    and traffic: an algorithm that needs less passes 100 %.
    """
    arithmetic = "multiply_add" if "multiply_add_gflops" in rates else "sgemm"

    def judged(row):
        place = "cache" if row["bytes"] < rates.get("cache_bytes", 0) else "memory"
        limits = {arithmetic.replace("_", "-"): 1e-6 * (row["flops"] or 0) / rates[f"{arithmetic}_gflops"],  # ms then
                  place: 1e-6 * row["bytes"] / rates[f"copy_{place}_gbs"]}
        bound = max(limits, key=limits.get)
        return row | {"bound": bound, "percent": 100 * limits[bound] / row["ms"]}
    return [judged(row) for row in rows]
