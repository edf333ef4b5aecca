"""Clock and memory gauge of a measuring process."""

import statistics
import sys
import time
from pathlib import Path


def times(task, seconds, least=3, warm=1):
    """Call ``task`` a few times to warm up, then again and again; return how many seconds each call took.

    Parameters
    ----------
    task : callable without arguments
    seconds : float, go on for at least so long
    least : int, and for at least so many calls
    warm : int, calls that are not counted
    """
    for _ in range(warm):
        task()
    taken, end = [], time.perf_counter() + seconds
    while len(taken) < least or time.perf_counter() < end:
        began = time.perf_counter()
        task()
        taken.append(time.perf_counter() - began)
    return taken


def figures(taken):
    """Return median and least of some times, in milliseconds, and how many they are."""
    return {"ms": 1e3 * statistics.median(taken), "ms_min": 1e3 * min(taken), "timed": len(taken)}


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
