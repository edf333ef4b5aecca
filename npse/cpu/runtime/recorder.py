"""Who is told of the work of a thread while it is recorded; see `npse.cpu.runtime.recording`."""

import contextlib
import contextvars

import numpy as np

from npse.cpu.runtime.memory_pool import using_pool

_recorder = contextvars.ContextVar("the recorder of `recorded_by`", default=None)


def call_as_one(function, *arguments, **options):
    """Call a function of arrays that is not a kernel, as one part of the work that may be recorded.

    While work is recorded, NumPy's arithmetic on its arrays must be done in such functions or in kernels. When the work
    is done again, the function is called again, and its results, arrays, are copied to where they were at first. Then a
    NumPy number is an array without axes.

    Raises
    ------
    RuntimeError
        Work is recorded, and the function returns something else than arrays.
    """
    recorder = recorder_of_thread()
    if recorder is None:
        return function(*arguments, **options)
    with recorded_by(None), using_pool(None):
        results = function(*arguments, **options)
    results = np.asarray(results) if isinstance(results, np.generic) else results
    places = results if isinstance(results, tuple) else () if results is None else (results,)
    if not all(isinstance(place, np.ndarray) for place in places):
        raise RuntimeError(f"{getattr(function, '__name__', function)} returns something else than arrays, so it "
                           "cannot be recorded")

    def again():
        new = function(*arguments, **options)
        for place, value in zip(places, new if isinstance(new, tuple) else (new,), strict=False):
            if value is not place:
                np.copyto(place, value)
    recorder.add_function(again)
    return results


@contextlib.contextmanager
def recorded_by(recorder):
    """Within the ``with`` block, in this thread, report to a recorder; with None to nobody.

    It is told of every kernel by ``add_job(job, workers, values)``, of functions of `call_as_one` by ``add_function``.
    """
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        _recorder.reset(token)


def recorder_of_thread():
    """Return the recorder of `recorded_by` in this thread, or None."""
    return _recorder.get()


def is_recording():
    """Return whether the work of this thread is recorded."""
    return _recorder.get() is not None
