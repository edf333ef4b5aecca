"""Compare npse with PyTorch: run every mode in turn, each time in a fresh process, and take the ratios of the times."""

import importlib.util
import statistics
from collections import defaultdict

from npse.bench import step
from npse.bench.process import ask

# The usual ways to run PyTorch: with its defaults, in the layout for which its kernels are faster, and compiled.
TORCH_MODES = {
    "torch eager, NCHW": {"channels_last": False, "compiled": False},
    "torch eager, channels_last": {"channels_last": True, "compiled": False},
    "torch.compile, channels_last": {"channels_last": True, "compiled": True},
}
OURS = "npse"


def torch_modes(edition):
    """Return {name: options of `torch_peer.measure`}: PyTorch's modes on the processor, or on a GPU.

    On a GPU each mode runs twice, without TF32 and with it. With TF32, float32 convolutions and matrix products use
    tensor cores, which keep 10 bits of the mantissa.
    """
    if edition != "cuda":
        return TORCH_MODES
    return {f"{name}, tf32 {'on' if tf32 else 'off'}": {**options, "device": "cuda", "tf32": tf32}
            for tf32 in (False, True) for name, options in TORCH_MODES.items()}


def expect_torch():
    """Raise ImportError if PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise ImportError("the comparison needs PyTorch, but it is not installed; run: pip install torch==2.13.0")


def torch_step(**options):
    """Call `torch_peer.measure` and return its result. Run it in a fresh process: it imports PyTorch."""
    from npse.bench import torch_peer

    return torch_peer.measure(**options)


def versus_torch(model, batch_size, threads, edition, seconds, rounds, say=lambda line: None):
    """Time the same training step and evaluation in npse and in each of `torch_modes`.

    In each round every mode runs in a fresh process. Each round begins with another mode. A mode that fails is reported
    and left out from then on.

    Parameters
    ----------
    model, edition : str
    batch_size, threads : int
    seconds : float, the time for each measurement
    rounds : int
    say : function of a line, called after each mode

    Returns
    -------
    rows : list of dict
        ``round``, ``mode``, ``train`` and ``eval`` (``ms`` median, ``ms_min``, ``timed`` steps), ``peak_mb``.
    failures : dict of str to str, the error message of each mode that failed

    Raises
    ------
    ImportError
        PyTorch is not installed.
    ChildProcessError
        npse failed, or every mode of PyTorch failed.
    """
    expect_torch()
    work = {"model": model, "batch_size": batch_size, "threads": threads, "seconds": seconds}
    modes = torch_modes(edition)
    names, rows, failures = [OURS, *modes], [], {}
    for number in range(1, rounds + 1):
        for mode in names[number % len(names):] + names[:number % len(names)]:
            if mode in failures:
                continue
            try:
                row = (ask(step.measure, edition=edition, **work) if mode == OURS
                       else ask(torch_step, **modes[mode], **work))
            except ChildProcessError as error:
                if mode == OURS:
                    raise
                failures[mode] = str(error)
                say(f"round {number} of {rounds}: {mode} failed and is left out: {error}")
                continue
            rows.append(row | {"round": number, "mode": mode})
            say(f"round {number} of {rounds}: {mode} {row['train']['ms']:.1f} ms a training step")
    if len(failures) == len(modes):
        raise ChildProcessError(f"no mode of PyTorch ran: {'; '.join(failures.values())}")
    return [row for row in rows if row["mode"] not in failures], failures


def summary(rows):
    """Return the medians of each mode, and how many times as fast as PyTorch's best mode npse is.

    The best mode is the one with the smallest median over all rounds. A ratio is its time divided by that of npse in
    the same round. Above 1, npse is faster.

    Parameters
    ----------
    rows : list of dict, from `versus_torch`; every mode in the same rounds

    Returns
    -------
    dict
        ``modes``: {mode: {"train_ms", "eval_ms", "peak_mb"}}, medians. For training: ``train_best_torch``, a mode;
        ``train_ratios``, one for each round; ``train_ratio_best_torch``, their median. For evaluation the same three,
        with names that begin with ``eval``.
    """
    by_mode = defaultdict(dict)
    for row in rows:
        by_mode[row["mode"]][row["round"]] = row
    found = {"modes": {mode: {"train_ms": _median(row["train"]["ms"] for row in by_round.values()),
                              "eval_ms": _median(row["eval"]["ms"] for row in by_round.values()),
                              "peak_mb": _median(row["peak_mb"] for row in by_round.values())}
                       for mode, by_round in by_mode.items()}}
    for kind in ("train", "eval"):
        best = min((mode for mode in by_mode if mode != OURS), key=lambda mode: found["modes"][mode][f"{kind}_ms"])
        ratios = [by_mode[best][number][kind]["ms"] / ours[kind]["ms"] for number, ours in by_mode[OURS].items()]
        found |= {f"{kind}_best_torch": best, f"{kind}_ratios": ratios, f"{kind}_ratio_best_torch": _median(ratios)}
    return found


def _median(values):
    values = list(values)
    return None if None in values else statistics.median(values)
