"""What a run leaves on disk.

    config.json         settings, versions, cores, commit       last.safetensors   newest state, to resume from
    metrics.jsonl       one line an epoch                       best.safetensors   weights of the best epoch
    curves.png  confusion.png  gates.png
"""

import json
import os
from pathlib import Path

import numpy as np

from npse.files import write_atomically
from npse.training import checkpoint
from npse.training.config import Config

VELOCITY = "optimiser.velocity."


class RunFolder:
    """The files of one run, read and written.

    Parameters
    ----------
    path : str or Path
    """

    def __init__(self, path):
        self.path = Path(path)
        self.config_file, self.metrics_file = self.path / "config.json", self.path / "metrics.jsonl"
        self.last, self.best = self.path / "last.safetensors", self.path / "best.safetensors"

    def create(self, config, dataset, environment):
        """Make the folder of a new run, with its settings and what is needed to use its weights without the data.

        ValueError if the folder holds something already, or is a file.
        """
        if self.path.is_file():
            raise ValueError(f"{self.path} is a file; name a folder with --out")
        if self.path.exists() and any(self.path.iterdir()):
            raise ValueError(f"{self.path} exists and is not empty; add --resume to continue that run, "
                             "or name another folder with --out")
        self.path.mkdir(parents=True, exist_ok=True)
        pixels = {"classes": dataset.classes, "mean": dataset.mean.tolist(), "std": dataset.std.tolist()}
        write_atomically(self.config_file, json.dumps(config.as_dict() | pixels | environment, indent=2) + "\n")

    def config(self):
        """Return the `Config` of the run; FileNotFoundError or ValueError if this is no run folder."""
        return self._read(Config.from_dict)

    def pixels(self):
        """Return (classes, mean, std) of the data the run was trained on."""
        return self._read(lambda kept: (kept["classes"], np.float32(kept["mean"]), np.float32(kept["std"])))

    def _read(self, take):
        if not self.config_file.is_file():
            raise FileNotFoundError(f"{self.path} is not the folder of a run: it has no config.json")
        try:
            return take(json.loads(self.config_file.read_text()))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{self.config_file} cannot be read ({reason}); restore it or start a new run") from error

    def save_last(self, network, optimiser, progress):
        """Save all that resuming needs."""
        velocity = {VELOCITY + name: v for name, v in optimiser.velocity.items()}
        checkpoint.save(self.last, network.state() | velocity, progress)

    def restore_last(self, network, optimiser):
        """Put the newest state into the network and the optimiser; return the progress it was saved with."""
        arrays, progress = checkpoint.load(self.last)
        self._load(network, arrays, self.last)
        missing = [name for name in optimiser.velocity if VELOCITY + name not in arrays]
        if missing:
            raise ValueError(f"{self.last} holds weights but not the velocity of {missing[0]}: it is not the state "
                             "that a run is resumed from; restore that file or start a new run")
        optimiser.velocity = {name: arrays[VELOCITY + name] for name in optimiser.velocity}
        return progress

    def save_best(self, network, facts):
        """Save the weights of the best epoch so far."""
        checkpoint.save(self.best, network.state(), facts)

    def restore(self, network, which):
        """Put the weights of the "last" or the "best" epoch into the network; return the facts saved with them."""
        path = {"last": self.last, "best": self.best}[which]
        arrays, facts = checkpoint.load(path)
        self._load(network, arrays, path)
        return facts

    def metrics(self):
        """Return one dict for each epoch on record; a line torn by a crash is left out."""
        rows = []
        for line in self.metrics_file.read_text().splitlines() if self.metrics_file.exists() else ():
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def append_metrics(self, row):
        """Add the line of an epoch and see it on disk."""
        with open(self.metrics_file, "a") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def keep_metrics_before(self, epoch):
        """Forget lines of ``epoch`` and later: a resumed run writes them again."""
        kept = [row for row in self.metrics() if row["epoch"] <= epoch]
        write_atomically(self.metrics_file, "".join(json.dumps(row) + "\n" for row in kept))

    @staticmethod
    def _load(network, arrays, path):
        try:
            network.load({name: array for name, array in arrays.items() if not name.startswith(VELOCITY)})
        except ValueError as error:
            raise ValueError(f"{path} does not belong to the model in its config.json: {error}") from error
