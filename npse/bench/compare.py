"""npse against PyTorch: every mode in fresh processes, in turn, and the ratios of what they took."""

import importlib.util
import statistics
from collections import defaultdict

from npse.bench import step
from npse.bench.process import ask

# How people run PyTorch: as it comes, in the layout that its kernels prefer, and compiled.
TORCH_MODES = {
    "torch eager, NCHW": {"channels_last": False, "compiled": False},
    "torch eager, channels_last": {"channels_last": True, "compiled": False},
    "torch.compile, channels_last": {"channels_last": True, "compiled": True},
}
OURS = "npse"


def torch_modes(edition):
    """Return {name: options of `torch_peer.measure`}: PyTorch's modes on the processor, or on a GPU.

    On a GPU each runs twice: tf32 lets float32 convolutions and products use tensor cores, with 10 bits of mantissa.
    """
    if edition != "cuda":
        return TORCH_MODES
    return {f"{name}, tf32 {'on' if tf32 else 'off'}": {**options, "device": "cuda", "tf32": tf32}
            for tf32 in (False, True) for name, options in TORCH_MODES.items()}


def expect_torch():
    """Raise ImportError if PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise ImportError("PyTorch, the peer to compare with, is not installed; run: pip install torch==2.13.0")


def torch_step(**options):
    """Call `torch_peer.measure` and return its result. Run it in a fresh process: it imports PyTorch."""
    from npse.bench import torch_peer

    return torch_peer.measure(**options)


def versus_torch(model, batch_size, threads, edition, seconds, rounds, say=lambda line: None):
    """Time the same training step and evaluation in npse and in each of `torch_modes`.

    In each round every contestant gets a fresh process; who begins changes from round to round. One that fails is
    reported and left out from then on.

    Returns
    -------
    rows : list of dict
        ``round``, ``mode``, ``train`` and ``eval`` (``ms`` median, ``ms_min``, ``timed`` steps), ``peak_mb``.
    failures : dict of str to str, what went wrong, by mode

    Raises
    ------
    ChildProcessError
        npse failed, or every mode of PyTorch did.
    """
    expect_torch()
    work = {"model": model, "batch_size": batch_size, "threads": threads, "seconds": seconds}
    modes = torch_modes(edition)
    contestants, rows, failures = [OURS, *modes], [], {}
    for number in range(1, rounds + 1):
        for mode in contestants[number % len(contestants):] + contestants[:number % len(contestants)]:
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
    """Return medians by mode and, for ``train`` and ``eval``, how many times faster npse is than PyTorch's best mode.

    The best mode is the one with the least median over all rounds. Its time over that of npse, round by round, gives
    the ratios; above 1, npse is faster.

    Parameters
    ----------
    rows : list of dict, from `versus_torch`; every mode in the same rounds

    Returns
    -------
    dict
        ``modes``: {mode: {"train_ms", "eval_ms", "peak_mb"}}, medians; and with ``train`` and ``eval`` in place of *:
        ``*_best_torch``, a mode; ``*_ratios``, round by round; ``*_ratio_best_torch``, their median.
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
