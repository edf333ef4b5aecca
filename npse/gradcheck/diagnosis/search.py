"""The search over a tape: which mistake, or which two, gives the gradient that was found?"""

from itertools import combinations, islice

import numpy as np

from npse.gradcheck.diagnosis.kinds import alike
from npse.gradcheck.diagnosis.sizes import CLOSE, is_size, named
from npse.gradcheck.diagnosis.tape import Hypothesis

PAIRS = 4000         # two mistakes at once: as many combinations as a second or two can try


class Search:
    """What can be said about one wrong gradient of a traced op.

    Parameters
    ----------
    trace : Trace
    dy : array
    wrt : tuple of str
    gradients : tuple of arrays, all that was found, in the order of ``wrt``
    name : str, the one to be explained
    sizes : dict, see `npse.gradcheck.diagnosis.sizes.sizes_of`
    """

    def __init__(self, trace, dy, wrt, gradients, name, sizes):
        self.trace, self.dy, self.wrt, self.gradients, self.sizes = trace, dy, wrt, gradients, sizes
        self.k = wrt.index(name)
        self.ours, self.right = gradients[self.k], self.gradients_of()[self.k]
        self.results = []                                # (hypothesis, its gradient), of all that make a difference
        for hypothesis in self._singles():
            found = self.gradients_of(hypothesis)[self.k]
            if not alike(found, self.right):
                self.results.append((hypothesis, found))

    def gradients_of(self, *hypothesis):
        with np.errstate(all="ignore"):
            return self.trace.gradients(self.dy, self.wrt, *hypothesis)

    def single(self):
        """Hypotheses that explain the gradient, best first: those that explain the other gradients too."""
        return self._ranked(h for h, found in self.results if alike(self.ours, found))

    def scaled(self):
        """One mistake and a constant factor."""
        def explained():
            for hypothesis, found in self.results:
                factor = _factor(self.ours, found)
                if factor and abs(factor - 1) > CLOSE and alike(self.ours, factor * found):
                    words = "has the wrong sign" if abs(factor + 1) < CLOSE else f"is times {named(factor, self.sizes)}"
                    yield hypothesis + Hypothesis("sign" if abs(factor + 1) < CLOSE else "factor",
                                                  f"all of it {words}")
        return list(islice(explained(), 1))

    def pairs(self):
        """Two mistakes at once."""
        hypotheses = [h for h, _ in self.results]
        both = (a + b for a, b in combinations(hypotheses, 2) if not a.overlaps(b))
        return self._ranked(islice((h for h in islice(both, PAIRS)
                                    if alike(self.ours, self.gradients_of(h)[self.k])), 3))

    def paths(self):
        """Every path into some variable, each with a factor of its own."""
        for var in self.trace.tape.variables():
            uses = self.trace.tape.uses(var)
            if len(uses) < 2:
                continue
            rest = self.gradients_of(_only(uses, ()))[self.k]
            columns = [self.gradients_of(_only(uses, (use,)))[self.k] - rest for use in uses]
            uses, columns = zip(*((u, c) for u, c in zip(uses, columns, strict=True) if np.abs(c).max() > 1e-12),
                                strict=True) if any(np.abs(c).max() > 1e-12 for c in columns) else ((), ())
            if len(uses) < 2:
                continue
            matrix = np.stack([c.ravel() for c in columns], 1)
            factors, *_ = np.linalg.lstsq(matrix, (self.ours - rest).ravel(), rcond=1e-9)
            if np.ptp(factors) > CLOSE and alike(self.ours, rest + sum(f * c for f, c in zip(factors, columns,
                                                                                             strict=True))):
                wrong = [(f, *use) for f, use in zip(factors, uses, strict=True) if abs(f - 1) > CLOSE]
                yield self._about_paths(var, wrong)

    def _about_paths(self, var, wrong):
        factor, step, i = wrong[0]
        way, formula = step.ways[i] if step.ways else (f"through {step.output.name}",
                                                       f"its part from {step.output.name}")
        kind = step.missing if abs(factor) < CLOSE else "path twice" if abs(factor - 2) < CLOSE else \
            "sign" if abs(factor + 1) < CLOSE else "averaged" if is_size(factor, self.sizes) else "factor"
        text = " and ".join(f"the part of d{var.name} that comes back {s.ways[j][0] if s.ways else way} "
                            f"is times {named(f, self.sizes)}" for f, s, j in wrong)
        return Hypothesis(kind, text, advice=f"It must be {formula}.", size=len(wrong))

    def _ranked(self, hypotheses):
        def merit(hypothesis):
            found = self.gradients_of(hypothesis)
            return hypothesis.size, -sum(alike(np.asarray(o), f) for o, f in zip(self.gradients, found, strict=True))
        return sorted(hypotheses, key=merit)

    def _singles(self):
        tape = self.trace.tape
        for var in tape.variables():
            uses = [(step, i) for step, i in tape.uses(var)]
            if len(uses) > 1:
                yield from self._wrong_paths(var, uses)
        once = [(step, i) for step in tape.steps for i, var in enumerate(step.inputs) if len(tape.uses(var)) == 1]
        for step, i in once:
            name = step.inputs[i].name
            if step.output.name != name:                              # else axes of size 1 were put in or taken out
                yield _scaled_part((step, i), -1, "sign", f"d{name} has the wrong sign")
        for step in tape.steps:
            yield from step.faults(step)
        for step, i in once:
            var = step.inputs[i]
            if step.output.name != var.name:
                yield _scaled_part((step, i), 0, step.missing, f"d{var.name} is cut off: nothing comes back to "
                                   f"{var.name} from {step.output.name}")

    def _wrong_paths(self, var, uses):
        for use in uses:
            step, i = use
            way, formula = step.ways[i] if step.ways else (f"through {step.output.name}", f"what {step.output.name} "
                                                           "hands back")
            others = [(s.ways[j] if s.ways else ("", f"what {s.output.name} hands back"))[1] for s, j in uses
                      if (s, j) != use]
            kept = " + ".join(formula.split(", ")[0] for formula in others)
            text = f"d{var.name} is {kept} only: {var.name} also reaches {self.trace.output.name} {way}"
            if step.missing == "constant statistics":
                text = (f"d{var.name} treats {way.removeprefix('through ')} as a constant: {var.name} also reaches "
                        f"{self.trace.output.name} {way}")
            yield _scaled_part(use, 0, step.missing, text, f"Add {formula}.")
            yield _scaled_part(use, 2, "path twice", f"d{var.name} has the part that comes back {way} twice",
                               f"Add {formula} once.")
            yield _scaled_part(use, -1, "sign", f"d{var.name} has the part that comes back {way} with the wrong sign",
                               f"Add {formula}.")


def _scaled_part(use, factor, kind, text, advice=""):
    step, i = use
    return Hypothesis(kind, text, {use: lambda *read: factor * step.parts[i](*read)}, advice=advice)


def _only(uses, kept):
    """Nothing comes back by these uses of a variable, but for those that are kept."""
    return Hypothesis("", "", {(step, i): lambda *read, part=step.parts[i]: 0 * part(*read)
                               for step, i in uses if (step, i) not in kept})


def _factor(ours, found):
    square = np.square(found).sum()
    return (ours * found).sum() / square if np.isfinite(square) and square else 0
