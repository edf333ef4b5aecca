"""Work that no signal may break off.

Python runs signal handlers in the main thread, between any two instructions, and Ctrl-C raises KeyboardInterrupt there.
If that happens in a function that LLVM has called, LLVM hears nothing of it, and the process crashes. So kernels are
compiled and loaded in another thread. The main thread waits; it can be interrupted, and the work is finished all the
same.
"""

import concurrent.futures
import os
import threading

from numba.core.compiler_lock import global_compiler_lock

_last = concurrent.futures.Future()           # what was begun last
_last.set_result(None)


def uninterrupted(function, *arguments):
    """Return function(*arguments), called where no signal handler runs.

    Within another compilation it is called at once: that one holds the lock of Numba that a thread would wait for.
    """
    global _last
    if threading.current_thread() is not threading.main_thread() or global_compiler_lock.is_locked():
        return function(*arguments)
    _settle()                                 # one after the other, however often the main thread is interrupted
    outcome = concurrent.futures.Future()
    threading.Thread(target=_work, args=(outcome, function, arguments), name="npse compiler").start()
    _last = outcome
    return outcome.result()


def _work(outcome, function, arguments):
    try:
        outcome.set_result(function(*arguments))
    except BaseException as error:            # of any kind: the caller shall hear of it
        outcome.set_exception(error)


def _settle():
    """Wait for what was begun last, if an interrupt has left it at work."""
    concurrent.futures.wait([_last])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_settle)       # a thread that compiles does not survive a fork, but its locks would
