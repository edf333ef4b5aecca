"""Search on a tape for the mistake, or the two mistakes, that give the gradient that was found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, reduce
from itertools import combinations, islice, product
from typing import TypeAlias

import numpy as np

from npse.gradcheck.diagnosis import general
from npse.gradcheck.diagnosis.elsewhere import Right
from npse.gradcheck.diagnosis.mistakes import MOST_PATHS, mistakes, way_of
from npse.gradcheck.diagnosis.result import alike, constant_factor, explains, without_numbers
from npse.gradcheck.diagnosis.sizes import CLOSE, is_plain, named, readings
from npse.gradcheck.diagnosis.tape import NO_MISTAKE, Hypothesis, Parts, Use, Var
from npse.gradcheck.diagnosis.trace import Trace
from npse.gradcheck.measure import Measurement
from npse.types import Array

MAX_PAIRS = 2500         # combinations of two mistakes that are tried: they take a second or two
MAX_WORK = 20_000        # steps that are run backwards on a record, for one mistake each, and for two
NUMBERS = ("averaged", "factor", "variance")                  # kinds of mistakes that are about a number
REFUTED, POSSIBLE, SURE = range(3)       # how a hypothesis stands for other arguments

Tried: TypeAlias = tuple[Hypothesis, list[Array]]
"""A hypothesis and the gradients that follow from it."""

Mistakes: TypeAlias = defaultdict[str, list[Hypothesis]]
"""Single mistakes by their text without numbers."""


class Search:
    """The mistakes on a tape that explain wrong gradients.

    Parameters
    ----------
    trace : Trace
    measured : Measurement
        Upstream gradient and the gradients that were found.
    sizes : dict of str -> int, see `npse.gradcheck.diagnosis.sizes.sizes_of`
    elsewhere : function of () -> list of Right, optional
        The same backward pass with other arguments, where a mistake must explain the gradients, too. Without it no
        single mistake is tried: the search is one for those other arguments.

    Attributes
    ----------
    right : list of arrays, the right gradients by the tape
    """

    def __init__(self, trace: Trace, measured: Measurement, sizes: Mapping[str, int],
                 elsewhere: Callable[[], list[Right]] | None = None) -> None:
        self.trace, self.measured, self.sizes, self._rights = trace, measured, sizes, elsewhere
        self.right = self._gradients_of()
        if trace.is_foreign:                                      # at a kink the slope of either side is right
            self.right = [np.where(measured.numeric(name).crossed, np.nan, right)
                          for name, right in zip(measured.case.wrt, self.right, strict=True)]
        every = islice(mistakes(trace), MAX_WORK // len(trace.tape.steps)) if trace.is_foreign else mistakes(trace)
        every = every if elsewhere else iter(())
        self._results = [(hypothesis, found) for hypothesis in every if (found := self._tried(hypothesis))]

    def single(self, name: str, least: int = SURE) -> list[Hypothesis]:
        """Hypotheses that explain a gradient; first those that explain the other gradients too.

        ``least`` is how well they must stand for other arguments.
        """
        k = self.measured.case.wrt.index(name)
        found = self._ranked((h, found) for h, found in self._results if self._explains(k, found[k]))
        if not found and not self.trace.is_foreign:               # a record has tried them already
            tried = ((h, self._tried(h)) for h in general.stale(self.trace.tape, np.multiply))
            found = self._ranked((h, gradients) for h, gradients in tried
                                 if gradients and self._explains(k, gradients[k]))
        return self._confirmed(k, found, least)

    def scaled(self, name: str) -> Iterator[Hypothesis]:
        """One mistake and a constant factor."""
        k = self.measured.case.wrt.index(name)
        for hypothesis, found in self._different(k):
            factor = constant_factor(self.measured.gradients[k], found[k])
            if not factor or abs(factor - 1) <= CLOSE:
                continue
            there = self._factors_elsewhere(k, hypothesis)
            if all(one for one, _ in there):
                is_sign = abs(factor + 1) < CLOSE
                words = "has the wrong sign" if is_sign else \
                    f"is times {named(factor, readings(factor, self.sizes, there))}"
                yield hypothesis + Hypothesis("sign" if is_sign else "factor", f"all of it {words}")
                return

    def _factors_elsewhere(self, k: int, hypothesis: Hypothesis) -> list[tuple[float | None, Mapping[str, int]]]:
        """For other arguments: the constant factor that a mistake leaves to explain, None if none, and the sizes."""
        found: list[tuple[float | None, Mapping[str, int]]] = []
        for place, (other, mistakes_there) in enumerate(self._elsewhere):
            known = mistakes_there[without_numbers(hypothesis.text)]
            gradients = [gradient for same in known if (gradient := other._tried(same))]
            factors = (constant_factor(other.measured.gradients[k], gradient[k]) for gradient in gradients)
            if known or not place:                                # on other shapes a mistake may not exist
                found.append((next(filter(None, factors), None), other.sizes))
        return found

    def pairs(self, name: str) -> list[Hypothesis]:
        """Two mistakes at once."""
        k = self.measured.case.wrt.index(name)
        candidates = [hypothesis for hypothesis, _ in self._different(k)]
        limit = min(MAX_PAIRS, MAX_WORK // len(self.trace.tape.steps)) if self.trace.is_foreign else MAX_PAIRS
        both = islice((a + b for a, b in combinations(candidates, 2) if not a.overlaps(b)), limit)
        found = ((hypothesis, found) for hypothesis in both if (found := self._tried(hypothesis)))
        return self._confirmed(k, self._ranked(islice(((h, g) for h, g in found if self._explains(k, g[k])), 3)))

    def paths(self, name: str) -> list[Hypothesis]:
        """Each path into a variable with a wrong factor of its own; best first, as in `single`."""
        k = self.measured.case.wrt.index(name)
        wrong, hypotheses = list(self._wrong_factors(k)), []
        elsewhere = [({_paths(*one): list(one[1].values()) for one in other._wrong_factors(k)}, other.sizes)
                     for other, _ in self._elsewhere] if wrong else []
        for var, factors in wrong:
            there = [(by_paths.get(_paths(var, factors), []), sizes) for by_paths, sizes in elsewhere]
            if not there or there[0][0]:                          # so it is for other values of the same shapes
                hypotheses.append(self._about_paths(var, factors, [one for one in there if one[0]]))
        tried = ((hypothesis, self._gradients_of(hypothesis)) for hypothesis in hypotheses)
        return self._ranked((h, g) for h, g in tried if self._explains(k, g[k]))

    def intermediate(self, name: str) -> Iterator[Hypothesis]:
        """The gradient of a value on the way is returned for that of an argument, on a record."""
        k = self.measured.case.wrt.index(name)
        elsewhere = self._elsewhere[0][0] if self.trace.is_foreign and self._elsewhere else None
        for var, found in self._on_the_way() if self.trace.is_foreign else ():
            if self._explains(k, found) and (elsewhere is None or any(
                    other.name == var.name and elsewhere._explains(k, there)
                    for other, there in elsewhere._on_the_way())):
                yield Hypothesis("path missing", f"d{name} is the gradient of {var.name}, not of {name}: it is not "
                                 f"carried back from {var.name} to {name}")
                return

    def _on_the_way(self) -> Iterator[tuple[Var, Array]]:
        """Each value that is computed, and its right gradient."""
        outputs = [step.output for step in self.trace.tape.steps]
        gradients = self.trace.tape.gradients(self.trace.output, self.measured.dy, outputs)
        return zip(outputs, gradients, strict=True)

    def _confirmed(self, k: int, found: list[Hypothesis], least: int = REFUTED + 1) -> list[Hypothesis]:
        """Those hypotheses that stand for other arguments, too; only a number can be a size by chance."""
        standings = [self._standing(k, hypothesis) for hypothesis in found]
        return [hypothesis for hypothesis, standing in zip(found, standings, strict=True)
                if standing >= (least if hypothesis.kind in NUMBERS else REFUTED + 1)]

    def _standing(self, k: int, hypothesis: Hypothesis) -> int:
        """Whether a hypothesis explains the k-th gradient for other arguments, too.

        On other shapes a mistake may not exist. If it exists on none of them, it is possible, but not sure.
        """
        shapes = 0                                                # other shapes that confirm it
        for place, (other, mistakes_there) in enumerate(self._elsewhere):
            known = [mistakes_there[without_numbers(text)] for text in hypothesis.made_of or (hypothesis.text,)]
            if place and not all(known):
                continue
            tried = (other._tried(reduce(Hypothesis.__add__, same)) for same in product(*known))
            if not any(gradients and alike(other.measured.gradients[k], gradients[k]) for gradients in tried):
                return REFUTED
            shapes += place > 0
        return SURE if shapes or len(self._elsewhere) < 2 else POSSIBLE

    @cached_property
    def _elsewhere(self) -> list[tuple[Search, Mistakes]]:
        """The searches for other arguments, and the single mistakes there by their text.

        Numbers that agree by chance, such as two masks on few entries, differ there.
        """
        found = []
        for right in self._rights() if self._rights else ():
            if right.trace is not None and right.trace.is_foreign == self.trace.is_foreign:
                by_text: Mistakes = defaultdict(list)
                for hypothesis in mistakes(right.trace):
                    by_text[without_numbers(hypothesis.text)].append(hypothesis)
                found.append((Search(right.trace, right.measured, right.sizes), by_text))
        return found

    def _wrong_factors(self, k: int) -> Iterator[tuple[Var, dict[Use, float]]]:
        """A variable, and the wrong factors of the paths into it, with which its k-th gradient is the one found."""
        ours = self.measured.gradients[k]
        for var in self.trace.tape.variables():
            if var.constant or var.name != general.once(var.name) or len(self.trace.tape.uses(var)) > MOST_PATHS:
                continue
            uses = [(step, i) for step, i in self.trace.tape.uses(var) if step.output.name != var.name]
            rest = self._gradients_of(_only(uses, ()))[k] if uses else ours
            columns = {use: self._gradients_of(_only(uses, (use,)))[k] - rest for use in uses}
            columns = {use: column for use, column in columns.items() if np.abs(column).max() > 1e-12}
            if not columns or ours.size <= len(columns):          # so many unknowns fit any gradient
                continue
            matrix = np.stack([column.ravel() for column in columns.values()], 1)
            factors, *_ = np.linalg.lstsq(matrix, (ours - rest).ravel(), rcond=1e-9)
            is_all = np.ptp(factors) <= CLOSE and not np.abs(rest).max(initial=0) > 1e-12    # one factor for all
            if not is_all and explains(ours, rest + (matrix @ factors).reshape(rest.shape), self.right[k]):
                wrong = {use: factor for use, factor in zip(columns, factors, strict=True) if abs(factor - 1) > CLOSE}
                if wrong:
                    yield var, wrong

    def _about_paths(self, var: Var, wrong: Mapping[Use, float],
                     there: Sequence[tuple[list[float], Mapping[str, int]]]) -> Hypothesis:
        """Words about wrong factors; ``there`` holds those of the same paths for other arguments, and the sizes."""
        ways = {(step, i): way_of(step, i) for step, i in wrong}
        (step, i), factor = next(iter(wrong.items()))
        names = [readings(one, self.sizes, ((factors[place], sizes) for factors, sizes in there))
                 for place, one in enumerate(wrong.values())]
        kind = _kind_of_factor(factor, step.missing, names[0])
        whole = len(self.trace.tape.uses(var)) == 1
        text = " and ".join((f"d{var.name}" if whole else f"the part of d{var.name} that comes back {ways[use][0]}")
                            + (f" is times {named(factor, its)}" if abs(factor) > CLOSE else " is missing")
                            for (use, factor), its in zip(wrong.items(), names, strict=True))
        parts: Parts = {(step, i): lambda *read, part=step.parts[i], factor=factor: factor * part(*read)
                        for (step, i), factor in wrong.items()}
        return Hypothesis(kind, text, parts, advice=f"It must be {ways[step, i][1]}.", size=len(wrong))

    def _explains(self, k: int, found: Array) -> bool:
        return explains(self.measured.gradients[k], found, self.right[k])

    def _different(self, k: int) -> list[Tried]:
        """Single mistakes that change the k-th gradient."""
        return [(hypothesis, found) for hypothesis, found in self._results if not alike(found[k], self.right[k])]

    def _gradients_of(self, hypothesis: Hypothesis = NO_MISTAKE) -> list[Array]:
        with np.errstate(all="ignore"):
            return self.trace.gradients(self.measured.dy, self.measured.case.wrt, hypothesis)

    def _tried(self, hypothesis: Hypothesis) -> list[Array] | None:
        """The gradients that follow from a hypothesis; None if it gives none of the right shapes."""
        if not self.trace.is_foreign:
            return self._gradients_of(hypothesis)
        try:
            found = self._gradients_of(hypothesis)
        except (ValueError, IndexError):                          # the shapes do not fit
            return None
        return found if all(a.shape == b.shape for a, b in zip(found, self.right, strict=True)) else None

    def _ranked(self, results: Iterable[Tried]) -> list[Hypothesis]:
        def merit(result: Tried) -> tuple[int, int]:
            hypothesis, found = result
            return hypothesis.size, -sum(alike(a, b) for a, b in zip(self.measured.gradients, found, strict=True))
        return [hypothesis for hypothesis, _ in sorted(results, key=merit)]


def _paths(var: Var, factors: Mapping[Use, float]) -> tuple[str, ...]:
    """What names the same paths for other arguments."""
    return (var.name, *(step.output.name + str(i) for step, i in factors))


def _kind_of_factor(factor: float, missing: str, names: Sequence[str]) -> str:
    """The kind of mistake if a path has a wrong factor; ``missing`` is the kind if the path is missing."""
    for value, kind in ((0, missing), (2, "path twice"), (-1, "sign")):
        if abs(factor - value) < CLOSE:
            return kind
    return "averaged" if any(map(is_plain, names)) else "factor"


def _only(uses: Iterable[Use], kept: Collection[Use]) -> Hypothesis:
    """No gradient returns through these uses of a variable, except those in ``kept``."""
    return Hypothesis("", "", {(step, i): lambda *read, part=step.parts[i]: 0 * part(*read)
                               for step, i in uses if (step, i) not in kept})
