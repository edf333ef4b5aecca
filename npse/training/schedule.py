"""The learning rate over a run."""


def one_cycle(step: int, steps: int, peak: float, warmup: float = 0.2) -> float:
    """Return the rate at ``step`` of ``steps``: it rises in a line to ``peak``, then falls in a line to zero.

    The rise takes the share ``warmup`` of all steps. The rate reaches zero at step ``steps``, one after the last. Short
    runs end with a better accuracy if the rate falls to zero. A run that is resumed with more epochs has a new
    ``steps``, and from there on the rates of a run of that length. If it was finished, its rate jumps from zero up to
    the new line, and falls to zero at the new end.
    """
    rise = warmup * steps
    if step < rise:
        return peak * (step + 1) / (rise + 1)
    return peak * (steps - step) / (steps - rise)
