"""Clock and memory gauge of a measuring process."""

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
    seconds : float, go on for at least so long
    least : int, and for at least so many calls
    warm : int, calls that are not counted
    clock : function of a task -> seconds; on a device, ask the device's own
    """
    for _ in range(warm):
        task()
    taken, end = [], time.perf_counter() + seconds
    while len(taken) < least or time.perf_counter() < end:
        taken.append(clock(task))
    return taken


def figures(taken, parts=1):
    """Return median and least of some times, in milliseconds, divided by the parts each had; and how many they are."""
    return {"ms": 1e3 * statistics.median(taken) / parts, "ms_min": 1e3 * min(taken) / parts, "timed": len(taken)}


def peak_memory():
    """Return the most memory this process has had resident so far, in MB (10^6 bytes); None where the system is mute.

    Linux hands `getrusage` of a new process the peak of the process that started it; /proc does not.
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
