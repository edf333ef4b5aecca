"""An ONNX model in onnxruntime beside the network of npse that it was made of: logits and times of both."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from npse import backend
from npse.bench import timing
from npse.interop.onnx_file import INPUT
from npse.layers import Layer
from npse.training import RunFolder
from npse.types import Array

TOLERANCE = 1e-5                 # of the largest logit


def has_onnxruntime() -> bool:
    """Whether the package onnxruntime is installed."""
    return find_spec("onnxruntime") is not None


class Peer:
    """An ONNX model in onnxruntime, beside the network of a run.

    Parameters
    ----------
    run : str or Path
        The folder of the run.
    model : Path
        The ONNX file.
    weights : str
        "last" or "best".

    Raises
    ------
    ImportError
        The package onnxruntime is not installed.
    """

    def __init__(self, run: str | Path, model: Path, weights: str = "last") -> None:
        if not has_onnxruntime():
            raise ImportError("the package onnxruntime is not installed; run: pip install 'npse[interop]'")
        import onnxruntime

        folder = self._folder = RunFolder(run)
        self._weights = weights
        _, self.mean, self.std = folder.pixels()
        self.image_shape = folder.image_shape()
        self.network: Layer = folder.load_network(weights)[0].eval().to_device()
        self.threads = _threads()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 3                            # errors alone
        self._session: Any = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def images(self, count: int) -> Array:
        """Return random pixels in 0..1, float32 (N, H, W, C)."""
        return np.random.default_rng(0).uniform(size=(count, *self.image_shape)).astype(np.float32)

    def difference(self, count: int = 4) -> float:
        """Return the largest difference of the logits of both, divided by the largest logit."""
        x = self.images(count)
        ours = backend.to_host(self.network.predict(self._normalized(x)))
        theirs = self._run(_channels_first(x))
        return float(np.abs(ours - theirs).max() / np.abs(ours).max())

    def rounding(self, count: int = 4) -> float:
        """Return likewise how far npse's logits in float32 are from those in float64."""
        x = self.images(count)
        ours = backend.to_host(self.network.predict(self._normalized(x)))
        precise = self._folder.load_network(self._weights)[0].eval().astype(np.float64).to_device()
        exact = backend.to_host(precise.predict(self._normalized(x.astype(np.float64))))
        return float(np.abs(ours - exact).max() / np.abs(exact).max())

    def milliseconds(self, count: int, rounds: int = 5, seconds: float = 0.3) -> tuple[float, float]:
        """Return the median time of a batch of so many images in npse and in onnxruntime, in milliseconds.

        Both are measured in turn, so that other work on the machine slows both down.
        """
        x = self.images(count)
        normalized, first = self._normalized(x), _channels_first(x)
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(rounds):
            ours += timing.times(lambda: backend.to_host(self.network.predict(normalized)), seconds)
            theirs += timing.times(lambda: self._run(first), seconds)
        return timing.figures(ours)["ms"], timing.figures(theirs)["ms"]

    def _normalized(self, x: Array) -> Array:
        return backend.to_edition((x - self.mean) / self.std)

    def _run(self, x: Array) -> Array:
        logits: Array = self._session.run(None, {INPUT: x})[0]
        return logits


def _channels_first(x: Array) -> Array:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def _threads() -> int:
    ops = backend.active()
    return int(ops.get_threads()) if hasattr(ops, "get_threads") else 1
