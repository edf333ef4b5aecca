"""Updates of many arrays with few launches, in place.

    update("sgd", [(w, dw, v, lr, momentum, weight_decay), ...])        w and v get their new values

A network has about a hundred small parameters. One launch for each would take longer than the arithmetic. A kernel here
takes tuples of arrays; the y axis of the grid chooses the item. Each update gives what the op of the book gives for its
arguments. It is not an op, because an op never changes its arguments.
"""

from numba import cuda

from npse import reference as book
from npse.cuda.batch_norm import average
from npse.cuda.runtime.arrays import flat
from npse.cuda.runtime.device import BLOCK_THREADS, SIMULATED, blocks_for, is_device_array, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import grid_stride
from npse.cuda.runtime.learning_rate import with_rate
from npse.cuda.sgd import moved
from npse.cuda.update_kernels import muon

MANY = 3 if SIMULATED else 16                 # items of a launch: the parameters of a kernel may have 4096 bytes in all
BLOCKS = 2 if SIMULATED else 64               # for an item, at most


def update(op, calls):
    """Call an op for each of several sets of arguments, and write the results into the arrays that they replace.

    Parameters
    ----------
    op : str
        "sgd", "muon" or "running_statistics".
    calls : sequence of tuples
        The arguments of each call: for sgd w, dw, v, lr, momentum and weight_decay, and nesterov is True; for the
        others all arguments of the op. Arrays are device arrays of one dtype. No array may belong to two calls. A
        learning rate is a number, or a device array without axes.

    Raises
    ------
    TypeError, ValueError
        Another op; errors of the op. Then no array is changed.
    """
    if op not in _UPDATES:
        raise ValueError(f"update knows {', '.join(_UPDATES)}, but not {op!r}")
    for call in calls:
        getattr(book, op).contract.check(call, {})
    _UPDATES[op](calls)


def _sgd_all(calls):
    for lr, momentum, some in _alike(calls, lambda call: call[3:5]):
        ws, dws, vs = ([flat(call[k]) for call in some] for k in range(3))
        decays = [scalar(call[5], ws[0]) for call in some]
        update_all, lr = _sgd(lr, ws[0])
        launch(update_all, _grid(ws), BLOCK_THREADS, *map(_padded, (ws, dws, vs, decays)), lr, scalar(momentum, ws[0]))


@with_rate
def _sgd(number):
    @kernel
    def sgd(ws, dws, vs, decays, lr, momentum):
        item = cuda.blockIdx.y
        w, dw, v, decay = ws[item], dws[item], vs[item], decays[item]
        rate = w.dtype.type(number(lr))
        k, end, step = grid_stride(w.size)
        while k < end:
            w[k], v[k] = moved(w[k], dw[k], v[k], rate, momentum, decay, True)
            k += step
    return sgd


def _running_statistics_all(calls):
    for count, momentum, some in _alike(calls, lambda call: (call[2], call[5])):
        arrays = [[call[k] for call in some] for k in (0, 1, 3, 4)]
        numbers = (scalar(number, arrays[0][0]) for number in (momentum, 1 - momentum, count / (count - 1)))
        launch(_running_statistics, _grid(arrays[0]), BLOCK_THREADS, *map(_padded, arrays), *numbers)


@kernel
def _running_statistics(means, variances, running_means, running_variances, momentum, rest, unbiased):
    item = cuda.blockIdx.y
    mean, var, running_mean, running_var = means[item], variances[item], running_means[item], running_variances[item]
    k, end, step = grid_stride(mean.size)
    while k < end:
        running_mean[k] = average(running_mean[k], mean[k], rest, momentum)
        running_var[k] = average(running_var[k], var[k] * unbiased, rest, momentum)
        k += step


def _muon_all(calls):
    def like(call):
        return (*call[3:5], call[0].shape)
    for lr, momentum, _, some in _alike(calls, like):
        muon.update(*([call[k] for call in some] for k in range(3)), lr, momentum, _padded)


_UPDATES = {"sgd": _sgd_all, "muon": _muon_all, "running_statistics": _running_statistics_all}


def _alike(calls, of):
    """Yield (*of(call), calls) for groups of at most `MANY` calls for which ``of`` is the same."""
    groups = {}
    for call in calls:
        facts = of(call)
        groups.setdefault(tuple(id(fact) if is_device_array(fact) else fact for fact in facts),
                          (facts, []))[1].append(call)
    for facts, some in groups.values():
        for first in range(0, len(some), MANY):
            yield *facts, some[first:first + MANY]


def _padded(items):
    """Return a tuple of `MANY` items: the last one is repeated, unused, so that all launches have the same types."""
    return (*items, *[items[-1]] * (MANY - len(items)))


def _grid(arrays):
    return min(blocks_for(max(array.size for array in arrays)), BLOCKS), len(arrays)
