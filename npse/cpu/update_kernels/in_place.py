"""Updates in place, of many arrays: what a training step changes in a network and its optimizer.

    update("sgd", [(w, dw, v, lr, momentum, weight_decay), ...])        w and v get their new values

Each update gives what the op of the book gives for its arguments. It is not an op, because an op never changes its
arguments. A recorded step needs it: it reads and writes the same arrays each time, the learning rate too.
"""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.runtime.arrays import RANGE
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.parallel import blas_on_one_thread, parallel_for, run_on_threads
from npse.cpu.runtime.recorder import call_as_one
from npse.cpu.sgd import moved
from npse.editions.dispatch import COMPILED


def update(op, calls):
    """Call an op for each of several sets of arguments, and write the results into the arrays that they replace.

    Parameters
    ----------
    op : str
        "sgd", "muon" or "running_statistics".
    calls : sequence of tuples
        The arguments of each call: for sgd w, dw, v, lr, momentum and weight_decay, and nesterov is True; for the
        others all arguments of the op. No array may belong to two calls. A learning rate is a number, or an array
        without axes.

    Raises
    ------
    TypeError, ValueError
        Another op; errors of the op. Then no array is changed.
    """
    if op not in _UPDATES:
        raise ValueError(f"update knows {', '.join(_UPDATES)}, but not {op!r}")
    rule, fast, slow = getattr(book, op), [], []
    for call in calls:
        is_compiled = rule.contract.check(call, {}) <= COMPILED
        is_plain = all(value.flags.carray for value in call if isinstance(value, np.ndarray))
        (fast if is_compiled and is_plain else slow).append(call)
    _UPDATES[op](fast)
    for call in slow:
        call_as_one(_replace, rule, call)


def _replace(rule, call):
    """Call an op of the book, and write the results into the arrays of the call."""
    places = call[3:5] if rule is book.running_statistics else call[0:3:2]
    for place, new in zip(places, rule(*call), strict=True):
        place[...] = new


def _sgd_all(calls):
    for w, dw, v, lr, *numbers in calls:
        arrays = (array.reshape(-1) for array in (w, dw, v))
        numbers = map(w.dtype.type, numbers)
        parallel_for(partial(_sgd, *arrays, np.asarray(lr, w.dtype), *numbers), w.size, RANGE)


@kernel
def _sgd(w, dw, v, lr, momentum, weight_decay, first, last):
    w, dw, v, rate = w[first:last], dw[first:last], v[first:last], lr[()]
    for k in range(len(w)):
        w[k], v[k] = moved(w[k], dw[k], v[k], rate, momentum, weight_decay, True)


def _muon_all(calls):
    call_as_one(_muon, sorted(calls, key=lambda call: call[0].size, reverse=True))       # the longest work first


def _muon(calls):
    def task(first, last):
        for call in calls[first:last]:
            _replace(book.muon, call)

    with blas_on_one_thread():                # for each thread of the pool
        run_on_threads(task, len(calls), 1)


def _running_statistics_all(calls):
    for mean, var, count, running_mean, running_var, momentum in calls:
        numbers = map(mean.dtype.type, (momentum, 1 - momentum, count / (count - 1)))
        parallel_for(partial(_running_statistics, mean, var, running_mean, running_var, *numbers), len(mean), len(mean))


@kernel
def _running_statistics(mean, var, running_mean, running_var, momentum, rest, unbiased, first, last):
    for c in range(first, last):
        running_mean[c] = rest * running_mean[c] + momentum * mean[c]
        running_var[c] = rest * running_var[c] + momentum * (var[c] * unbiased)


_UPDATES = {"sgd": _sgd_all, "muon": _muon_all, "running_statistics": _running_statistics_all}
