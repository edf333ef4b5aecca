"""The learning rate over a run."""


def one_cycle(step: int, steps: int, peak: float, warmup: float = 0.2) -> float:
    """Rate at ``step`` of ``steps``: linear up to ``peak`` over the first ``warmup`` share, then linear down to zero.

    The rate would be exactly zero at step ``steps``, one after the last. Annealing to zero makes short runs good.
    A run that is resumed with more epochs takes, from there on, the rates of a run with so many ``steps``: that of a
    finished run jumps from zero back to the line and falls to zero at the new end.
    """
    rise = warmup * steps
    if step < rise:
        return peak * (step + 1) / (rise + 1)
    return peak * (steps - step) / (steps - rise)
