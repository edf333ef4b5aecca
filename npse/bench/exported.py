"""An exported ONNX model in onnxruntime, beside the run that it was made of: logits and times of both."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from npse import backend
from npse.bench import timing
from npse.bench.runtime_peer import onnxruntime
from npse.training import RunFolder

TOLERANCE = 1e-5                 # of the largest logit


def has_onnxruntime():
    """Whether the package onnxruntime is installed."""
    return find_spec("onnxruntime") is not None


class Exported:
    """The network of a run, and the ONNX model in ``file``; ``weights`` is "last" or "best"."""

    def __init__(self, run, file, weights="last"):
        self._folder, self._weights = RunFolder(run), weights
        _, self._mean, self._std = self._folder.pixels()
        self._network = self._folder.load_network(weights)[0].eval().to_device()
        self._content = Path(file).read_bytes()
        ops = backend.active()
        self.threads = ops.get_threads() if hasattr(ops, "get_threads") else 1

    def difference(self, count=4):
        """Return the largest difference of the logits of both, divided by the largest logit."""
        ours, theirs = (evaluate() for evaluate in self._both(count))
        return float(np.abs(ours - theirs).max() / np.abs(ours).max())

    def rounding(self, count=4):
        """Return likewise how far npse's logits in float32 are from those in float64."""
        x = self._images(count)
        precise = self._folder.load_network(self._weights)[0].eval().astype(np.float64).to_device()
        ours, exact = (backend.to_host(network.predict(self._normalized(x.astype(dtype))))
                       for network, dtype in ((self._network, np.float32), (precise, np.float64)))
        return float(np.abs(ours - exact).max() / np.abs(exact).max())

    def milliseconds(self, count, rounds=5, seconds=0.3):
        """Return the median time of a batch of so many images in npse and in onnxruntime, in milliseconds.

        Both are measured in turn, so that other work on the machine slows both down.
        """
        both = self._both(count)
        taken = [[] for _ in both]
        for _ in range(rounds):
            for times, evaluate in zip(taken, both, strict=True):
                times += timing.times(evaluate, seconds)
        return tuple(timing.figures(times)["ms"] for times in taken)

    def _both(self, count):
        """Return the functions that compute the logits of a batch of random images: of npse and of onnxruntime."""
        x = self._images(count)
        normalized = self._normalized(x)
        theirs, _ = onnxruntime(self._content, np.ascontiguousarray(x.transpose(0, 3, 1, 2)), self.threads)
        return lambda: backend.to_host(self._network.predict(normalized)), theirs

    def _images(self, count):
        """Return random pixels in 0..1, float32 (N, H, W, C)."""
        return np.random.default_rng(0).uniform(size=(count, *self._folder.image_shape())).astype(np.float32)

    def _normalized(self, x):
        return backend.to_edition((x - self._mean) / self._std)
