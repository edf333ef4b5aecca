"""The files of a run.

    config.json         settings, versions, cores, commit       last.safetensors   newest state, to resume from
    metrics.jsonl       one line for each epoch                 best.safetensors   weights of the best epoch
    views.json          final accuracy, averaged over views     curves.png  confusion.png  gates.png
    report.html         curves, mistakes, gates, cost

Every file is checked when it is read, and an error names the file. No file is overwritten before it was read and
checked.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from npse import data
from npse.layers import Layer
from npse.support.files import write_atomically
from npse.support.names import suggest
from npse.training import checkpoint, metrics, records, run_config
from npse.training.config import Config
from npse.training.metric_accumulator import Progress
from npse.training.optimizer import Optimizer
from npse.training.parts import build_network, load_data
from npse.types import Array

VELOCITY, SLOW = "optimiser.velocity.", "lookahead."              # names of the arrays in last.safetensors
REMEDY = "restore that file or start a new run"


class RunFolder:
    """Reads and writes the files of one run.

    Parameters
    ----------
    path : str or Path
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file, self.metrics_file = self.path / "config.json", self.path / "metrics.jsonl"
        self.last, self.best = self.path / "last.safetensors", self.path / "best.safetensors"
        self.views_file = self.path / "views.json"

    def create(self, config: Config, dataset: data.Dataset, environment: dict[str, Any]) -> None:
        """Make the folder of a new run, with its settings and with what its weights need when the data is not there.

        Errors as for `make`.
        """
        self.make(config, {"classes": dataset.classes, "mean": dataset.mean.tolist(), "std": dataset.std.tolist(),
                           "image_shape": dataset.shape, "data_sha256": dataset.digest()}, environment)

    def make(self, config: Config, pixels: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Make the folder of a new run, with facts about its images: classes, mean, std and image_shape.

        FileExistsError if the folder is not empty, NotADirectoryError if it is a file; it stays as it is. If two runs
        begin in one folder at the same time, one of them gets it.
        """
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(f"{self.path} is a file")
        made = not self.path.exists()
        if not made and any(self.path.iterdir()):
            raise FileExistsError(f"{self.path} exists and is not empty")
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self.metrics_file.touch(exist_ok=False)               # the run that makes this file owns the folder
        except FileExistsError:
            raise FileExistsError(f"{self.path} is in use by another run that has just begun") from None
        try:
            self._write_config(config.as_dict() | dict(pixels) | dict(environment))
        except BaseException:
            self.metrics_file.unlink()
            if made:
                self.path.rmdir()
            raise

    def config(self) -> Config:
        """Return the `Config` of the run; FileNotFoundError or ValueError if this is not the folder of a run."""
        return self._read(run_config.config_of)

    def record(self) -> dict[str, Any]:
        """Return all that config.json holds: settings, and facts about data and machine. Errors as for `config`."""
        record: dict[str, Any] = self._read(dict)
        return record

    def is_imported(self) -> bool:
        """Whether the weights come from a file of another program, so that there is no training to go on with."""
        return "imported" in self.record()

    def is_finished(self) -> bool:
        """Whether the last epoch of the run is evaluated, recorded and saved."""
        epochs, rows = self.config().epochs, self.metrics()
        return bool(rows) and rows[-1]["epoch"] == epochs and self._load_checked(self.last)[1]["epoch"] == epochs

    def pixels(self) -> tuple[list[str], Array, Array]:
        """Return the classes, and mean and std (C,) float32 for pixels in 0..1, of the data that the run trains on."""
        return self._read(run_config.pixels_of)

    def image_shape(self) -> tuple[int, int, int]:
        """Return the shape (S, S, C) of the images that the run trains on."""
        return self._read(run_config.image_shape_of)

    def expect_data(self, dataset: data.Dataset) -> None:
        """Check that a data set is the one that the run was begun with; ValueError if it is another or has changed."""
        classes, mean, std = self.pixels()
        digest = self._read(lambda kept: kept.get("data_sha256", dataset.digest()))       # runs of 0.1.0 have none
        if tuple(classes) != dataset.classes:
            differs = f"classes: {records.short(list(dataset.classes))}, in place of {records.short(classes)}"
        elif self.image_shape() != dataset.shape:
            differs = f"images: {dataset.shape}, in place of {self.image_shape()}"
        elif digest != dataset.digest() or not (np.array_equal(mean, dataset.mean)
                                                and np.array_equal(std, dataset.std)):
            differs = "images or labels"
        else:
            return
        raise ValueError(f"{self.config_file} is about other data than {dataset.name} is now, with other {differs}; "
                         "restore the data or that file, or start a new run")

    def load_data(self) -> data.Dataset:
        """Load the data set of the run. Of an imported run, its classes are those of the network.

        Raises
        ------
        FileNotFoundError, ValueError
            It is not here, or is not the one that the run was begun with; this is not the folder of a run.
        """
        imported = self.is_imported()
        if imported and "data_sha256" not in self.record():
            raise FileNotFoundError(f"{self.path} was imported without data; import its file again, into another "
                                    "folder, and name the data")
        try:
            dataset = load_data(self.config())
        except (FileNotFoundError, ValueError) as error:
            error.add_note(f"see {self.config_file}")
            raise
        if imported:
            dataset = dataset.for_network(*self.pixels())
        self.expect_data(dataset)
        return dataset

    def raise_epochs(self, epochs: int, progress: Progress) -> int | None:
        """Write a larger number of epochs into config.json; its entry ``raised`` keeps the old number.

        Return the old number, or None if ``epochs`` is not larger.
        """
        before = self.config().epochs
        if epochs <= before:
            return None
        now = {"epochs": before, "at_epoch": progress.epoch, "at_step": progress.step}
        raised = [*self._read(run_config.history_of), now]
        self._write_config(self._read(dict) | {"epochs": epochs, "raised": raised})
        return before

    def save_last(self, network: Layer, optimizer: Optimizer, progress: Progress, config: Config) -> None:
        """Save the state to resume from, and the settings, so that resuming can notice changed settings."""
        velocity = {VELOCITY + name: v for name, v in optimizer.velocity.items()}
        slow = {SLOW + name: w for name, w in optimizer.lookahead.slow.items()} if optimizer.lookahead else {}
        checkpoint.save(self.last, network.state() | velocity | slow, vars(progress) | {"settings": config.as_dict()})

    def restore_last(self, network: Layer, optimizer: Optimizer, config: Config, steps: int, batch: int) -> Progress:
        """Load the newest state into the network and the optimizer; return the `Progress` that was saved with it.

        ValueError if it is not the state of a run with these settings, with ``steps`` steps in an epoch and ``batch``
        images in a batch.
        """
        arrays, facts = checkpoint.load(self.last)
        velocity, slow = ({name.removeprefix(prefix): array for name, array in arrays.items()
                           if name.startswith(prefix)} for prefix in (VELOCITY, SLOW))
        self._load(network, arrays, self.last)
        for name in sorted(optimizer.velocity.keys() ^ velocity.keys()):
            which = "lacks the velocity of" if name in optimizer.velocity else "has a velocity without a weight,"
            raise ValueError(f"{self.last} {which} {name}: it is not the state of this run; {REMEDY}")
        try:
            progress = Progress.from_facts(facts)
            if "settings" in facts:                               # checkpoints of version 0.1.0 have none
                _expect_settings(config, facts["settings"])
            progress.expect_within(config.epochs, steps, batch)
            optimizer.load(velocity)
            if optimizer.lookahead:
                optimizer.lookahead.load(slow)
        except ValueError as error:
            raise ValueError(f"{self.last} does not fit the settings in {self.config_file}: {error}; "
                             "restore the file that was changed, or start a new run") from error
        return progress

    def save_best(self, network: Layer, facts: Mapping[str, Any]) -> None:
        """Save the weights of the best epoch so far."""
        checkpoint.save(self.best, network.state(), facts)

    def best_epoch(self) -> int:
        """Return the epoch of the best weights so far; ValueError if their file is damaged."""
        return self._load_checked(self.best)[1]["epoch"]

    def restore(self, network: Layer, which: str) -> dict[str, Any]:
        """Load the weights of the "last" or the "best" epoch into the network; return the facts saved with them."""
        path = {"last": self.last, "best": self.best}[which]
        arrays, facts = self._load_checked(path)
        self._load(network, arrays, path)
        return facts

    def load_network(self, weights: str = "last") -> tuple[Layer, dict[str, Any]]:
        """Build the network of the run and load its "last" or "best" weights.

        Returns
        -------
        network : Layer
        facts : dict
            What was saved with the weights, such as ``epoch``.

        Raises
        ------
        ValueError
            ``weights`` is neither "last" nor "best", or a file of the run is damaged.
        FileNotFoundError
            This is not the folder of a run, or it has no such weights yet.
        """
        if weights not in ("last", "best"):
            raise ValueError(f"unknown weights {weights!r}; {suggest(weights, ('last', 'best'))}")
        config, (classes, _, _) = self.config(), self.pixels()
        try:
            network = build_network(config, len(classes), self.image_shape())
        except ValueError as error:
            error.add_note(f"see {self.config_file}")
            raise
        return network, self.restore(network, weights)

    def metrics(self) -> list[dict[str, Any]]:
        """Return one dict for each epoch on record, see `npse.training.metrics.read`."""
        return metrics.read(self.metrics_file)

    def save_views(self, tta: str, evaluated_on: str, accuracy: float) -> None:
        """Save the accuracy after the last epoch on the "test" or "validation" images, averaged over views."""
        write_atomically(self.views_file, json.dumps({"epoch": self.config().epochs, "tta": tta,
                                                      "evaluated_on": evaluated_on, "accuracy": accuracy}) + "\n")

    def views_accuracy(self, tta: str, evaluated_on: str) -> float | None:
        """Return the accuracy that `save_views` saved for these views, these images and the last epoch.

        None if there is none; ValueError if the file is damaged.
        """
        if not self.views_file.exists():
            return None
        try:
            found = records.parse(self.views_file.read_bytes())
            records.expect(found, {"epoch": int, "tta": str, "evaluated_on": str, "accuracy": float})
        except ValueError as error:
            raise ValueError(f"{self.views_file} cannot be read ({error}); remove it, then it is made again") from error
        wanted = self.config().epochs, tta, evaluated_on
        accuracy: float = found["accuracy"]
        return accuracy if (found["epoch"], found["tta"], found["evaluated_on"]) == wanted else None

    def _load_checked(self, path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return arrays and facts of a checkpoint; ValueError if the facts have no epoch."""
        arrays, facts = checkpoint.load(path)
        try:
            records.expect(facts, {"epoch": int})
        except ValueError as error:
            raise ValueError(f"{path}: its metadata cannot be used: {error}; {checkpoint.REMEDY}") from error
        return arrays, facts

    def _read(self, take: Callable[[Any], Any]) -> Any:
        """Return ``take(content of config.json)``; its ValueErrors are raised again with the name of the file."""
        if not self.config_file.exists():
            raise FileNotFoundError(f"{self.path} is not the folder of a run: it has no config.json")
        content = self.config_file.read_bytes()
        try:
            return take(records.parse(content))
        except ValueError as error:
            raise ValueError(f"{self.config_file} cannot be read ({error}); {REMEDY}") from error

    def _write_config(self, content: Mapping[str, Any]) -> None:
        write_atomically(self.config_file, json.dumps(content, indent=2) + "\n")

    def _load(self, network: Layer, arrays: Mapping[str, Array], path: Path) -> None:
        try:
            network.load({name: array for name, array in arrays.items()
                          if not name.startswith((VELOCITY, SLOW))})
        except ValueError as error:
            raise ValueError(f"{path} does not belong to the model in its config.json: {error}") from error


def _expect_settings(config: Config, settings: Mapping[str, Any]) -> None:
    """Raise ValueError if a run that was trained with these settings cannot be resumed with those of ``config``."""
    for name, value in config.contradicts(Config.from_dict(settings)).items():
        raise ValueError(f"it was trained with {name} {value}, not {getattr(config, name)}")
