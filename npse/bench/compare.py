"""Compare npse with peers: run every mode in turn, each time in a fresh process, and take the ratios of the times."""

import importlib.util
import statistics
from collections import defaultdict

from npse.bench import step
from npse.bench.process import ask
from npse.support.names import suggest

# The usual ways to run PyTorch: with its defaults, in the layout for which its kernels are faster, and compiled.
TORCH_MODES = {
    "torch eager, NCHW": {"channels_last": False, "compiled": False},
    "torch eager, channels_last": {"channels_last": True, "compiled": False},
    "torch.compile, channels_last": {"channels_last": True, "compiled": True},
}
# On a GPU, compiled with PyTorch's mode reduce-overhead.
TORCH_GRAPHS = {"torch.compile with CUDA graphs, channels_last": {"channels_last": True, "compiled": True,
                                                                  "graphs": True}}
# Each peer, and the packages that it needs.
PEERS = {"torch": ("torch==2.13.0",), "openvino": ("openvino", "onnx"), "onnxruntime": ("onnxruntime", "onnx")}
OURS = "npse"


def torch_modes(edition):
    """Return {name: options of `torch_peer.measure`}: PyTorch's modes on the processor, or on a GPU.

    On a GPU each mode runs twice, without TF32 and with it, and one more mode records CUDA graphs. With TF32, float32
    convolutions and matrix products use tensor cores, which keep 10 bits of the mantissa.
    """
    if edition != "cuda":
        return TORCH_MODES
    return {f"{name}, tf32 {'on' if tf32 else 'off'}": {**options, "device": "cuda", "tf32": tf32}
            for tf32 in (False, True) for name, options in (TORCH_MODES | TORCH_GRAPHS).items()}


def peers_of(text, edition):
    """Return the names of peers in a text such as "torch,openvino".

    Raises
    ------
    ValueError
        A name is unknown, or such a peer does not run on a GPU.
    ImportError
        A package of a peer is not installed.
    """
    peers = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for peer in peers:
        if peer not in PEERS:
            raise ValueError(f"unknown peer {peer!r}; {suggest(peer, PEERS)}")
        if edition == "cuda" and peer != "torch":
            raise ValueError(f"{peer} runs on the processor, and the comparison is about a GPU; choose the cpu edition")
        needed = PEERS[peer]
        if any(importlib.util.find_spec(package.partition("=")[0]) is None for package in needed):
            raise ImportError(f"the comparison with {peer} needs packages that are not installed; "
                              f"run: pip install {' '.join(needed)}")
    return peers


def modes_of(peers, edition):
    """Return {mode: (function of a fresh process, its options)} of all modes of the peers."""
    modes = {}
    for peer in peers:
        modes |= ({name: (torch_step, options) for name, options in torch_modes(edition).items()} if peer == "torch"
                  else {peer: (runtime_step, {"runtime": peer})})
    return modes


def torch_step(**options):
    """Call `torch_peer.measure` and return its result. Run it in a fresh process: it imports PyTorch."""
    from npse.bench import torch_peer

    return torch_peer.measure(**options)


def runtime_step(**options):
    """Call `runtime_peer.measure` and return its result. Run it in a fresh process: it imports the runtime."""
    from npse.bench import runtime_peer

    return runtime_peer.measure(**options)


def versus(peers, model, batch_size, threads, edition, seconds, rounds, say=lambda line: None):
    """Time the same training step and evaluation in npse and in each mode of the peers.

    In each round every mode runs in a fresh process. Each round begins with another mode. A mode that fails is reported
    and left out from then on. OpenVINO and onnxruntime evaluate only.

    Parameters
    ----------
    peers : list of str, from `peers_of`
    model, edition : str
    batch_size, threads : int
    seconds : float, the time for each measurement
    rounds : int
    say : function of a line, called after each mode

    Returns
    -------
    rows : list of dict
        ``round``, ``mode``, ``train`` and ``eval`` (``ms`` median, ``ms_min``, ``timed`` steps), ``peak_mb``. Where a
        mode does not train, ``train`` and ``peak_mb`` are None.
    failures : dict of str to str, the error message of each mode that failed

    Raises
    ------
    ChildProcessError
        npse failed, or every mode of the peers failed.
    """
    work = {"model": model, "batch_size": batch_size, "threads": threads, "seconds": seconds}
    modes = {OURS: (step.measure, {"edition": edition}), **modes_of(peers, edition)}
    names, rows, failures = list(modes), [], {}
    for number in range(1, rounds + 1):
        for mode in names[number % len(names):] + names[:number % len(names)]:
            if mode in failures:
                continue
            function, options = modes[mode]
            try:
                row = ask(function, **options, **work)
            except ChildProcessError as error:
                if mode == OURS:
                    raise
                failures[mode] = str(error)
                say(f"round {number} of {rounds}: {mode} failed and is left out: {error}")
                continue
            rows.append(row | {"round": number, "mode": mode})
            say(f"round {number} of {rounds}: {mode} {_said(row)}")
    if len(failures) == len(modes) - 1:
        raise ChildProcessError(f"no mode of {', '.join(peers)} ran: {'; '.join(failures.values())}")
    return [row for row in rows if row["mode"] not in failures], failures


def _said(row):
    if row["train"]:
        return f"{row['train']['ms']:.1f} ms a training step"
    return f"{row['eval']['ms']:.1f} ms an evaluation"


def summary(rows):
    """Return the medians of each mode, and how many times as fast as the best mode of the peers npse is.

    The best mode is the one with the smallest median over all rounds. A ratio is its time divided by that of npse in
    the same round. Above 1, npse is faster.

    Parameters
    ----------
    rows : list of dict, from `versus`; every mode in the same rounds

    Returns
    -------
    dict
        ``modes``: {mode: {"train_ms", "eval_ms", "peak_mb"}}, medians. For training: ``train_best``, a mode;
        ``train_ratios``, one for each round; ``train_ratio``, their median. For evaluation the same three, with names
        that begin with ``eval``. Those for training are missing if no peer trains.
    """
    by_mode = defaultdict(dict)
    for row in rows:
        by_mode[row["mode"]][row["round"]] = row
    found = {"modes": {mode: {"train_ms": _median(row["train"] and row["train"]["ms"] for row in by_round.values()),
                              "eval_ms": _median(row["eval"]["ms"] for row in by_round.values()),
                              "peak_mb": _median(row["peak_mb"] for row in by_round.values())}
                       for mode, by_round in by_mode.items()}}
    for kind in ("train", "eval"):
        times = {mode: row[f"{kind}_ms"] for mode, row in found["modes"].items() if mode != OURS and row[f"{kind}_ms"]}
        if times:
            best = min(times, key=times.__getitem__)
            ratios = [by_mode[best][number][kind]["ms"] / ours[kind]["ms"] for number, ours in by_mode[OURS].items()]
            found |= {f"{kind}_best": best, f"{kind}_ratios": ratios, f"{kind}_ratio": _median(ratios)}
    return found


def _median(values):
    values = list(values)
    return None if None in values else statistics.median(values)
