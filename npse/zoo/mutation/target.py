"""What is changed: correct backward passes, with their source, with calls that compare mutants, and with the judge."""

import ast
import functools
import inspect
import linecache
import textwrap
from types import SimpleNamespace

import numpy as np

from npse.gradcheck import check_case, check_gradient
from npse.gradcheck.calls import Recording
from npse.gradcheck.draw import draw_arguments, generator, upstream
from npse.reference.numerics import average, total
from npse.support.wrapped import Overlay
from npse.zoo.bug import BOOK, all_cases
from npse.zoo.mutation.foreign import FOREIGN

DRAWS = 3                        # sets of arguments on which a foreign function is judged, with other sizes each
MORE_IMAGES = (5, 7)             # more than most of the judge's cases have
OTHER_SEEDS = 1000               # added to a seed: mutants are compared on other numbers than the judge's


class Target:
    """A correct backward pass.

    Attributes
    ----------
    name, group : str
        The name of the backward pass, and "ops" or "foreign".
    function : function
    """

    group = ""

    def __init__(self, name, function):
        self.name, self.function = name, inspect.unwrap(function)
        self._calls = {}

    @functools.cached_property
    def tree(self):
        """The syntax tree of the function, without decorators, docstring and annotations."""
        tree = ast.parse(textwrap.dedent(inspect.getsource(self.function))).body[0]
        tree.decorator_list, tree.returns = [], None
        if ast.get_docstring(tree) is not None:
            tree.body = tree.body[1:]
        for argument in tree.args.args:
            argument.annotation = None
        tree.name = self.name
        return tree

    def compiled(self, tree):
        """Return the function of a tree; it reads the globals of the right one, and starts with no saved values."""
        names = {"np": np, "total": total, "average": average} | self.function.__globals__ | {"_KEPT": {}}
        source, file = ast.unparse(tree), f"<mutant of {self.name}>"
        linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file    # as a file of a user
        exec(compile(source, file, "exec"), names)
        return names[self.name]

    def calls(self, seed):
        """Return calls that compare a mutant with the right function: a list of (arguments, options)."""
        if seed not in self._calls:
            self._calls[seed] = list(self.drawn_calls(seed))
        return self._calls[seed]

    def drawn_calls(self, seed):
        """Yield the calls of `calls`."""
        raise NotImplementedError

    def judged(self, function, seed):
        """Yield (where, results) for each shape on which the judge looks at the function.

        A result is one of the judge's, or the exception that ended the check.
        """
        raise NotImplementedError


class Op(Target):
    """A backward op of the book, or of the zoo. The judge has its forward pass on a tape."""

    group = "ops"

    @functools.cached_property
    def cases(self):
        """The cases that check it: those with gradients."""
        return [case for case in all_cases() if self.name in case.ops and case.wrt]

    def drawn_calls(self, seed):
        """Yield the calls that its cases make, with another seed, once more with a dy of ones, each in both dtypes.

        Then calls with more images than any case has, if its arguments are those, the results and the upstream gradient
        of one forward op.
        """
        for case in self.cases:
            for dtype in (np.float64, np.float32):
                arguments = draw_arguments(case, seed + OTHER_SEEDS, dtype)
                y = np.asarray(case.forward(BOOK, **arguments))
                dy = upstream(generator(seed + OTHER_SEEDS, str(case)), y)
                for given in (dy, np.ones_like(dy)):
                    recording = Recording(BOOK)
                    case.backward(recording, given[()], **arguments)
                    yield from (_split(call.before) for call in recording.calls if call.name == self.name)

        for case in self.cases:
            recording = Recording(BOOK)
            case.forward(recording, **draw_arguments(case, seed + OTHER_SEEDS, np.float64))
            for call in recording.calls:
                if self.name in getattr(call.op, "contract", _NONE).backward:
                    rng = generator(seed + OTHER_SEEDS, f"{case}: more images")
                    yield from filter(None, (self._with_more_images(call, images, rng) for images in MORE_IMAGES))

    def _with_more_images(self, call, images, rng):
        """Return a call of the backward op that follows a forward call with so many images; None if it is not known."""
        given = _named(call.op, call.before)
        for name, axes in call.op.contract.arguments.items():
            if axes.split()[0] in ("N", "*") and isinstance(given[name], np.ndarray) and given[name].ndim:
                shape = images, *given[name].shape[1:]
                drawn = rng.choice(given[name].ravel(), shape)
                given[name] = drawn * (1 + 0.01 * rng.standard_normal(shape)) if drawn.dtype.kind == "f" else drawn
        results = call.op(**given)
        found = dict(zip(call.op.contract.results, results if isinstance(results, tuple) else (results,), strict=False))
        known = given | {f"{name}_shape": np.shape(value) for name, value in given.items()} | found
        known |= {f"d{name}": rng.standard_normal(np.shape(value)) for name, value in found.items()}
        names = inspect.signature(self.function).parameters
        return (tuple(known[name] for name in names), {}) if set(names) <= set(known) else None

    def judged(self, function, seed):
        for case in self.cases:
            yield str(case), check_case(case, Overlay(BOOK, **{self.name: function}), seed, BOOK)


class Foreign(Target):
    """A function that npse does not know. The judge sees the two functions alone."""

    group = "foreign"

    def __init__(self, name):
        self.pair = FOREIGN[name]
        super().__init__(name, self.pair.backward)

    def drawn_calls(self, seed):
        """Yield calls with other arguments than the judge's, once more with a dy of ones, each in both dtypes."""
        for draw in range(2 * DRAWS):
            arguments = self.pair.make(generator(seed + OTHER_SEEDS, f"{self.name} {draw}"))
            for dtype in (np.float64, np.float32):
                cast = {name: value.astype(dtype) if getattr(value, "dtype", None) == np.float64 else value
                        for name, value in arguments.items()}
                y = np.asarray(self.pair.forward(**cast))
                dy = upstream(generator(seed + OTHER_SEEDS, f"dy of {self.name} {draw}"), y)
                yield from (((given[()],), cast) for given in (dy, np.ones_like(dy)))

    def judged(self, function, seed):
        for draw in range(DRAWS):
            arguments = self.pair.make(generator(seed, f"{self.name} {draw}"))
            shapes = ", ".join(f"{name} {np.shape(value)}" for name, value in arguments.items())
            try:
                results = check_gradient(self.pair.forward, function, arguments, kinks=self.pair.kinks,
                                         seed=seed).results
            except Exception as error:                            # of the function, or of the judge
                results = [error]
            yield shapes, results


_NONE = SimpleNamespace(backward=())             # the contract of a function that is no op of the book


def _named(op, before):
    """Return the arguments of a recorded call by name, with those that were left out."""
    arguments, options = _split(before)
    bound = inspect.signature(op).bind(*arguments, **options)
    bound.apply_defaults()
    return bound.arguments


def _split(before):
    """Return the positional arguments of a recorded call, and those by name."""
    return (tuple(value for key, value in before.items() if isinstance(key, int)),
            {key: value for key, value in before.items() if isinstance(key, str)})


@functools.cache
def targets():
    """Return every target by name: the backward ops that are judged by gradients, then the foreign functions.

    An op with two names counts once.
    """
    names = dict.fromkeys(op for case in all_cases() if case.wrt for op in case.ops if "backward" in op)
    by_function = {}
    for name in names:
        by_function.setdefault(inspect.unwrap(getattr(BOOK, name)), name)
    ops = [name for function, name in by_function.items() if function.__name__ == name]
    return {name: Op(name, getattr(BOOK, name)) for name in ops} | {name: Foreign(name) for name in FOREIGN}
