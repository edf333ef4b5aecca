"""Record every op call of a real training step, then time each call alone."""

import numpy as np

from npse import backend
from npse.bench.flops import flops, is_array, traffic
from npse.bench.timing import figures, times
from npse.bench.workload import prepare


class Calls:
    """Records the distinct op calls of a step: how often each was made, and the arguments of the first.

    Calls of one op are the same if `shapes` gives the same for their arguments. The numbers in the arrays do not change
    the time of a call.
    """

    def __init__(self):
        self.rows, self.arguments = {}, {}

    def __call__(self, op, arguments, result):
        """Record one call; see `npse.backend.observing`."""
        key = op, str(shapes(arguments))
        if key not in self.rows:
            self.arguments[key] = arguments
            self.rows[key] = {"op": op, "arguments": shapes(arguments), "count": 0,
                              "flops": flops(op, arguments, result), "bytes": traffic(arguments, result)}
        self.rows[key]["count"] += 1


def shapes(arguments):
    """Return the arguments in a form for JSON: an array as its shape, integers and tuples as they are, others as None.
    """
    return [list(value.shape) if is_array(value)
            else list(map(int, value)) if isinstance(value, tuple)
            else int(value) if isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            else None for value in arguments]


def watch(work):
    """Return the `Calls` of one training step; making its batch is not included."""
    calls = Calls()
    work.step()                                                   # compiles kernels and touches memory
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
        task, count = work.repeated(op, arguments)
        row |= figures(times(task, seconds, clock=work.clock), count)
        rows.append(row | {"ms_step": row["ms"] * row["count"], "gbs": 1e-6 * row["bytes"] / row["ms"],
                           "gflops": row["flops"] and 1e-6 * row["flops"] / row["ms"]})
    return sorted(rows, key=lambda row: -row["ms_step"])


def against(rows, rates):
    """Return the rows with ``bound``, the rate that limits the call, and ``percent``, the part of it that is reached.

    On the processor ``bound`` is "sgemm", or copying: "cache" if the last cache holds all arrays of the call, else
    "memory". On a device it is "multiply-add" or "memory", because its caches hold no argument of a call. Arithmetic
    and traffic are those of the formula: an algorithm that needs less can exceed 100 %.
    """
    arithmetic = "multiply_add" if "multiply_add_gflops" in rates else "sgemm"

    def with_limit(row):
        place = "cache" if row["bytes"] < rates.get("cache_bytes", 0) else "memory"
        # the milliseconds that the call takes at each limit
        limits = {arithmetic.replace("_", "-"): 1e-6 * (row["flops"] or 0) / rates[f"{arithmetic}_gflops"],
                  place: 1e-6 * row["bytes"] / rates[f"copy_{place}_gbs"]}
        bound = max(limits, key=limits.get)
        return row | {"bound": bound, "percent": 100 * limits[bound] / row["ms"]}
    return [with_limit(row) for row in rows]
