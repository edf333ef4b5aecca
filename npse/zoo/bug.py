"""A bug of the zoo: the ops that it replaces, the mistake, and the kind of diagnosis that the judge should give."""

from collections.abc import Callable
from dataclasses import dataclass

from npse import reference
from npse.gradcheck import CASES
from npse.support.wrapped import Overlay
from npse.zoo import block
from npse.zoo.cases import CASES as OWN_CASES

# The book of the zoo: every op, and the backward pass of a whole block.
BOOK = Overlay(reference, se_block_backward=block.se_block_backward)

_PLANTED: dict[str, "Bug"] = {}  # by name; the chapters fill it


@dataclass(frozen=True)
class Bug:
    """One planted mistake.

    Attributes
    ----------
    name : str
    chapter : str
        The module that plants it.
    mistake : str
        One sentence.
    kinds : tuple of str
        Kinds of diagnosis that name this mistake: each of them is right; empty if no kind fits.
    source : str
        The thread that reports it, ``owner/repository #number``; empty if it has no source.
    plant : function of () -> dict of functions
        Returns the ops that replace those of the book. Called for each run, so a bug that keeps state starts anew.
    """

    name: str
    chapter: str
    mistake: str
    kinds: tuple[str, ...]
    source: str
    plant: Callable

    @property
    def ops(self):
        return tuple(self.plant())

    @property
    def cases(self):
        """The cases that check its ops: those with gradients, or all if none has gradients."""
        mine = [case for case in all_cases() if set(self.ops) & set(case.ops)]
        return [case for case in mine if case.wrt] or mine

    def __reduce__(self):
        return planted_bug, (self.name,)                          # its functions go to another process by name

    def edition(self):
        """Return the book with this bug in it."""
        return Overlay(BOOK, **self.plant())


NO_BUG = Bug("nothing", "", "The book as it is.", (), "", dict)


def all_cases():
    """Return every case of the judge, and the zoo's own cases."""
    return (*CASES, *OWN_CASES)


def cases_of(op=None):
    """Return the cases that judge an op; without a name, all."""
    return [case for case in all_cases() if op is None or op in case.ops]


def planted_bug(name):
    """Return the bug of this name; KeyError if there is none."""
    return _PLANTED[name]


def planted(chapters):
    """Return every bug of these chapters, in their order."""
    return tuple(bug for chapter in chapters for bug in _PLANTED.values() if bug.chapter == chapter)


def bug(op, *kinds, source=""):
    """Plant the decorated function in place of ``op``; its docstring states the mistake, its name names the bug."""
    def register(function):
        _add(function, kinds, source, lambda: {op: function})
        return function
    return register


def bugs_of(*kinds, source=""):
    """Plant the functions that the decorated function returns, a tuple; each replaces the op of its own name.

    This is for mistakes in both passes, and for those that keep state between calls.
    """
    def register(factory):
        _add(factory, kinds, source, lambda: {function.__name__: function for function in factory()})
        return factory
    return register


def _add(function, kinds, source, plant):
    name, chapter = function.__name__, function.__module__.rpartition(".")[2]
    if name in _PLANTED:
        raise ValueError(f"two bugs are named {name}; rename one")
    _PLANTED[name] = Bug(name, chapter, " ".join(function.__doc__.split()), kinds, source, plant)
