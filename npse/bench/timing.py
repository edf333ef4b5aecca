"""The time of tasks and the memory of this process."""

import statistics
import sys
import time
from pathlib import Path


def wall(task):
    """Return the seconds that pass while ``task()`` runs."""
    began = time.perf_counter()
    task()
    return time.perf_counter() - began


def times(task, seconds, least=3, warm=1, clock=wall):
    """Call ``task`` a few times to warm up, then again and again; return how many seconds each call took.

    Parameters
    ----------
    task : callable without arguments
    seconds : float, the shortest time to go on
    least : int, the smallest number of timed calls
    warm : int, calls before them that are not timed
    clock : function of a task -> seconds; on a device, one that reads the device's clock
    """
    for _ in range(warm):
        task()
    taken, end = [], time.perf_counter() + seconds
    while len(taken) < least or time.perf_counter() < end:
        taken.append(clock(task))
    return taken


def figures(taken, parts=1):
    """Return the median and the least of times, in milliseconds for each of ``parts``, and the number of times."""
    return {"ms": 1e3 * statistics.median(taken) / parts, "ms_min": 1e3 * min(taken) / parts, "timed": len(taken)}


def peak_memory():
    """Return the peak resident memory of this process, in MB (10^6 bytes); None if the system does not report it.

    On Linux a new process inherits the peak of the process that started it in `getrusage`, but not in /proc.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1e6
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
