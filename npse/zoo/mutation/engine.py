"""Mutants: every operator at every place of every target; which of them are no mistakes; a seeded choice."""

import ast
import copy
import itertools
import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np

from npse.gradcheck.draw import generator
from npse.zoo.mutation import arrays, order, terms  # noqa: F401, they enter their operators
from npse.zoo.mutation.operator import OPERATORS, edited
from npse.zoo.mutation.target import targets

SAME = 1e-10                     # relative to the largest entry: two results that differ by rounding only
EQUIVALENT, CRASHES, MISTAKE = "equivalent", "crashes", "mistake"
SHOWN = 200                      # characters of a change that are shown


@dataclass(frozen=True)
class Mutant:
    """A target with one change.

    Attributes
    ----------
    target, operator : str
    place : int
        Which of the edits of this operator in this target.
    """

    target: str
    operator: str
    place: int

    @property
    def group(self):
        """Return "ops" or "foreign"."""
        return targets()[self.target].group

    def tree(self):
        """Return the changed syntax tree."""
        target = targets()[self.target]
        node, replacement = next(itertools.islice(OPERATORS[self.operator].edits(target.tree), self.place, None))
        return edited(target.tree, node, replacement)

    def function(self):
        """Return the changed function, which has saved nothing yet."""
        return targets()[self.target].compiled(self.tree())

    def sources(self):
        """Return the source of the right function, and that of this one."""
        return ast.unparse(targets()[self.target].tree), ast.unparse(self.tree())

    def change(self):
        """Return the lines that differ, before and after."""
        right, wrong = (source.splitlines() for source in self.sources())
        before = [line.strip() for line in right if line not in wrong]
        after = [line.strip() for line in wrong if line not in right]
        return "; ".join(before)[:SHOWN] or "(nothing)", "; ".join(after)[:SHOWN] or "(nothing)"


def drawn(group, is_held_out, seed):
    """Return the mutants of a group of targets for each operator of a half: a random order, fixed by the seed.

    Two operators may make the same change.
    """
    rng = generator(seed, f"mutants of {group}, held out: {is_held_out}")
    chosen = [target for target in targets().values() if target.group == group]
    found = {operator.name: [Mutant(target.name, operator.name, place) for target in chosen
                             for place, _ in enumerate(operator.edits(target.tree))]
             for operator in OPERATORS.values() if operator.is_held_out == is_held_out}
    names = [str(name) for name in rng.permutation([*found])]
    return {name: [found[name][k] for k in rng.permutation(len(found[name]))] for name in names}


def what_it_is(mutant, seed):
    """Compare a mutant with the right function on numbers that the judge does not see.

    Returns
    -------
    EQUIVALENT, CRASHES or MISTAKE
        It is equivalent if all results, their dtypes, and the arguments after the call are those of the right one, in
        two calls each. It crashes if the first call raises: whoever runs it once sees that.
    """
    target = targets()[mutant.target]
    wrong, differs = mutant.function(), False
    for k, call in enumerate(target.calls(seed)):
        right = observed(target.function, call)
        try:
            found = observed(wrong, call)
        except Exception:
            if k == 0:
                return CRASHES
            differs = True
            continue
        size = max((np.abs(value).max(initial=0) for value in right if value.dtype.kind == "f"), default=0)
        differs = differs or len(found) != len(right) or not all(map(partial(same, backdrop=size), found, right))
    return MISTAKE if differs else EQUIVALENT


def observed(function, call):
    """Return all that two calls of a function give: results, and arguments after the calls."""
    found = []
    arguments, options = copy.deepcopy(call)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for _ in range(2):
            result = function(*copy.deepcopy(arguments), **copy.deepcopy(options))
            found += map(np.array, result if isinstance(result, tuple) else (result,))
        function(*arguments, **options)
    return [*found, *(np.array(value) for value in (*arguments, *options.values()) if isinstance(value, np.ndarray))]


def same(a, b, backdrop=0.0):
    """Whether two arrays have one shape and dtype, and differ by rounding only.

    ``backdrop`` is the size of the values from which they are computed: what vanishes but for rounding is 0.
    """
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f":
        return np.array_equal(a, b)
    tolerance = SAME if a.dtype == np.float64 else 1e-4           # in float32 the order of work changes digits
    size, rounding = np.abs(b[np.isfinite(b)]).max(initial=0), 8 * np.finfo(a.dtype).eps
    return np.allclose(a, b, rtol=0, atol=max(tolerance * size, rounding * backdrop), equal_nan=True)
