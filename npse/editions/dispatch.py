"""How a compiled edition stands in for the book: a call is checked by the op's declaration, and its arrays placed.

    replaces = Dispatcher(place=contiguous).replaces          # one for each edition

    @replaces(book.scale)
    def scale(u, s):                                          # shapes, dtype and memory layout are settled here
"""

import functools
import importlib
import pkgutil

import numpy as np

COMPILED = frozenset({np.dtype(np.float32), np.dtype(np.float64)})


class Dispatcher:
    """Decorates the compiled ops of an edition.

    Parameters
    ----------
    place : function of an argument
        Returns an array as the kernels take it (contiguous, or on the device), anything else as it is.
    fetch : function of an argument
        Returns an array as the book takes it, anything else as it is.
    seen : function of an argument
        Returns what the checks of elements may look at without waiting for a device.
    """

    def __init__(self, place, fetch=lambda value: value, seen=lambda value: value):
        self._place, self._fetch, self._seen = place, fetch, seen

    def replaces(self, op):
        """Decorate the compiled version of an op of the book; it has the signature and the docstring of the book's.

        Arrays of float32 and float64 reach it, checked and placed. Those of another floating-point type (half, long
        double, complex, foreign byte order) go to the book.
        """
        contract, place, fetch, seen = op.contract, self._place, self._fetch, self._seen

        def decorate(fast):
            @functools.wraps(fast)
            def chosen(*arguments, **options):
                if contract.check(arguments, options, seen) <= COMPILED:
                    return fast(*map(place, arguments), **{name: place(value) for name, value in options.items()})
                return op(*map(fetch, arguments), **{name: fetch(value) for name, value in options.items()})

            chosen.__doc__, chosen.contract, chosen.replaced = op.__doc__, contract, op
            return chosen
        return decorate


def compiled_ops(package, path):
    """Import the chapters of an edition, every module of a package but not its folders; return their ops by name.

    Parameters
    ----------
    package, path : str and list of str, the ``__name__`` and the ``__path__`` of the package
    """
    chapters = [importlib.import_module(f"{package}.{module.name}")
                for module in pkgutil.iter_modules(path) if not module.ispkg]
    return {name: op for chapter in chapters for name, op in vars(chapter).items() if hasattr(op, "replaced")}
