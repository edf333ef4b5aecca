"""Run functions that no signal may interrupt.

Python runs signal handlers in the main thread, between any two instructions, and Ctrl-C raises KeyboardInterrupt there.
If that happens in a function that LLVM has called, the exception does not pass through LLVM, and the process crashes.
So kernels are compiled and loaded in another thread, and the main thread waits. An interrupt ends the wait, not the
compilation.
"""

import concurrent.futures
import os
import threading

from numba.core.compiler_lock import global_compiler_lock

_last = concurrent.futures.Future()           # of the call that started last
_last.set_result(None)


def uninterrupted(function, *arguments):
    """Return function(*arguments), called in a thread in which no signal handler runs.

    Within another compilation it is called directly, because that compilation holds Numba's lock, and a new thread
    would wait for it forever.
    """
    global _last
    if threading.current_thread() is not threading.main_thread() or global_compiler_lock.is_locked():
        return function(*arguments)
    _settle()                                 # one call at a time, even after interrupts of the main thread
    outcome = concurrent.futures.Future()
    threading.Thread(target=_work, args=(outcome, function, arguments), name="npse compiler").start()
    _last = outcome
    return outcome.result()


def _work(outcome, function, arguments):
    try:
        outcome.set_result(function(*arguments))
    except BaseException as error:            # of any kind: raised again in the calling thread
        outcome.set_exception(error)


def _settle():
    """Wait for the call that started last: after an interrupt it may still run."""
    concurrent.futures.wait([_last])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_settle)       # a fork would copy the locks of a compiling thread, not the thread
