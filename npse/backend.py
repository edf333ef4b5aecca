"""Which edition of the ops runs.

An edition is a module that offers the ops of the book (`npse.reference.OPS`) under the same names; it is imported
on first use. Layers ask `active()` once per call, so that a backward pass runs on the edition of its forward pass.

    npse.use("cpu")                      from here on
    with backend.using("reference"):     for a while
    with backend.watching(log):          the same edition, with every op's result shown to log
"""

import contextlib
import functools
import importlib
import importlib.util
import inspect

EDITIONS = {"reference": "npse.reference", "cpu": "npse.cpu"}

_active = None


def edition(name):
    """Return the edition of that name, a module of ops; ValueError for an unknown one, ImportError if it cannot run."""
    if name not in EDITIONS:
        raise ValueError(f"unknown edition {name!r}; known are: auto, {', '.join(EDITIONS)}")
    if name == "cpu" and importlib.util.find_spec("numba") is None:
        raise ImportError("the cpu edition needs numba, which is not installed; run: pip install numba")
    return importlib.import_module(EDITIONS[name])


def available():
    """Names of the editions that can run here."""
    return [name for name in EDITIONS if name != "cpu" or importlib.util.find_spec("numba") is not None]


def choose(name="auto"):
    """Return (name, reason): the edition that ``name`` stands for here; "auto" takes the fastest that can run."""
    if name != "auto":
        edition(name)
        return name, "as asked"
    if "cpu" in available():
        return "cpu", "the fastest edition available"
    return "reference", "numba is not installed, so the plain NumPy edition runs, many times slower: pip install numba"


def use(name="auto"):
    """Make an edition the active one and return it. Until the first call it is the reference."""
    global _active
    _active = edition(choose(name)[0])
    return _active


def active():
    """Return the edition that ops are taken from."""
    global _active
    if _active is None:
        _active = edition("reference")
    return _active


@contextlib.contextmanager
def using(ops):
    """Within the ``with`` block, take ops from an edition, given by name or as the object that offers them."""
    global _active
    before = active()
    _active = edition(choose(ops)[0]) if isinstance(ops, str) else ops
    try:
        yield _active
    finally:
        _active = before


def watching(watcher):
    """Within the ``with`` block, call ``watcher(op, arguments, result)`` after every op of the active edition.

    ``arguments`` are all of them in the order of the signature, however the caller gave them.
    """
    return using(_Watched(active(), watcher))


class _Watched:
    """An edition whose every op reports to a watcher."""

    def __init__(self, ops, watcher):
        self._ops, self._watcher = ops, watcher

    def __getattr__(self, name):
        op = getattr(self._ops, name)

        @functools.wraps(op)
        def reporting(*arguments, **options):
            result = op(*arguments, **options)
            given = inspect.signature(op).bind(*arguments, **options)
            given.apply_defaults()
            self._watcher(name, given.args, result)
            return result
        return reporting if callable(op) else op
