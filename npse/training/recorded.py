"""A training step that is recorded once and then started as a whole: a few calls of the host in place of hundreds.

The recorded kernels read and write the same memory each time. So a batch is copied to where the step reads it, and the
step ends with copies of its parameters, statistics and velocity to where it found them.
"""

import os

import numpy as np

from npse.backend import active, to_edition
from npse.training.step import step


def can_record():
    """Whether the active edition records, and NPSE_GRAPH=1 in the environment says that it shall.

    It must be asked for until a GPU has been seen to run a recorded step right: `pytest -m gpu` compares it.
    """
    return hasattr(active(), "record") and os.environ.get("NPSE_GRAPH") == "1"


class RecordedStep:
    """What `npse.training.step.step` does, for an edition that records; nobody else may step the network meanwhile.

    The first call makes its step like any other, and then records it. If that fails, every call is like the first.

    Parameters
    ----------
    network, optimizer, smoothing : as in `step`
    say : function, hears in a line why the step could not be recorded
    """

    def __init__(self, network, optimizer, smoothing, say=lambda line: None):
        self._network, self._optimizer, self._smoothing, self._say = network, optimizer, smoothing, say
        self._start = None

    def __call__(self, x, labels, lr):
        """Make one step with a batch of the size of the first; returns loss and logits, not yet looked at."""
        ops = active()
        given = x, to_edition(labels.astype(np.int32)), to_edition(np.asarray(lr, x.dtype))
        if self._start is None:
            self._given, self._results = given, None
            self._run()
            self._start = self._recorded()
        else:
            for new, place in zip(given, self._given, strict=True):
                ops.copy(new, place)
            self._start()
        return tuple(map(_copied, self._results))

    def _recorded(self):
        try:
            return active().record(self._run)
        except Exception as error:                                # whatever it is, there is another way
            self._say(f"LOOK  a step is started kernel by kernel, since it could not be recorded: {error}")
            return self._run

    def _run(self):
        """One step; parameters, statistics and velocity are then where they were before, its results where the first
        run left them."""
        network, optimizer, ops = self._network, self._optimizer, active()
        state, velocity = network.state(), dict(optimizer.velocity)
        try:
            results = step(network, optimizer, *self._given, self._smoothing)
            for places, new in ((state, network.state()), (velocity, optimizer.velocity)):
                for name, place in places.items():
                    ops.copy(new[name], place)
        finally:
            network.update(state)
            optimizer.velocity = velocity
        self._results = self._results or results
        for new, place in zip(results, self._results, strict=True):
            if new is not place:
                ops.copy(new, place)


def _copied(array):
    """A copy, which the next step does not write over."""
    copy = active().empty_like(array)
    active().copy(array, copy)
    return copy
