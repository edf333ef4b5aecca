"""The process of one run: ``python -m npse.lab.worker JOB`` trains, and prints one line of JSON.

It stops, and saves, when its standard input ends: the process that started it closed it, or is gone.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from npse import backend
from npse.lab.sweep import expect_same
from npse.support import environment
from npse.support.files import locked
from npse.training import Config, Interrupted, RunFolder, evaluate, prepare, run
from npse.training.metric_accumulator import Progress

PATIENCE = 60.0                  # seconds that a killed sweep's process may take to end


def train(folder: Path, config: Config, threads: int, stop: Callable[[], bool] = lambda: False) -> None:
    """Train a run in its folder: from the start, or from its last checkpoint if the folder holds this run.

    If its settings name views, the last network is evaluated with them.

    Parameters
    ----------
    folder : Path
    config : Config
    threads : int
        Of the cpu edition.
    stop : callable
        When it returns True, the run is saved and `Interrupted` is raised.

    Raises
    ------
    ValueError
        The folder holds another run, or its files are damaged.
    FileExistsError
        The folder holds something else.
    BlockingIOError
        Another process trains this run.
    Other errors as for `npse.training.run`.
    """
    ran_on = backend.use_with(config.edition, threads if backend.choose(config.edition)[0] == "cpu" else None)
    place = RunFolder(folder)
    job, resume = prepare(config), place.config_file.exists()
    if resume:
        expect_same(place, config)
    elif stop():
        raise Interrupted
    else:
        _clear(place)
        place.create(config, job.dataset, environment.record() | {"ran_on": ran_on})
    _wait_until_free(folder)
    with locked(folder):
        run(job, place, Log(folder / "log.txt"), resume=resume, stop=stop)
        if config.tta != "none":
            split, dataset = job.split, job.dataset
            held = evaluate(job.network, split.eval_images, split.eval_labels, dataset.mean, dataset.std,
                            tta=config.tta)
            place.save_views(config.tta, split.evaluated_on, held.accuracy)


class Log:
    """A reporter of a run that writes what the run says to a file. Epochs are in metrics.jsonl."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def say(self, line: str) -> None:
        """Add a line to the file."""
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def began(self, epochs: int, steps: int, progress: Progress) -> None:
        """Take the length of the run and its progress."""

    def stepped(self, progress: Progress, batch: int) -> None:
        """Take a step."""

    def epoch_done(self, row: Mapping[str, Any]) -> None:
        """Take an epoch."""


def _clear(place: RunFolder) -> None:
    """Remove what is left of a run that was killed while its folder was made; anything else stays."""
    left = [*place.path.glob(f".{place.config_file.name}.*"), place.metrics_file]
    if place.path.is_dir() and {*place.path.iterdir()} <= {*left} and not place.metrics():
        for path in left:
            path.unlink(missing_ok=True)


def _wait_until_free(folder: Path) -> None:
    """Wait until the process of a sweep that was killed has ended; BlockingIOError if it takes too long."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with locked(folder):
                return
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def main() -> None:
    """Train the run that the command line describes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)                  # Ctrl-C is for the sweep, which closes the input
    job, stop = json.loads(sys.argv[1]), threading.Event()
    threading.Thread(target=_wait_for_the_end_of_input, args=(stop,), daemon=True).start()
    try:
        train(Path(job["folder"]), Config.from_dict(job["settings"]), job["threads"], stop.is_set)
        answer: dict[str, Any] = {"stopped": False}
    except Interrupted:
        answer = {"stopped": True}
    except Exception as error:
        traceback.print_exc()
        answer = {"error": "; ".join([str(error) or type(error).__name__, *getattr(error, "__notes__", ())])}
    print(json.dumps(answer), flush=True)


def _wait_for_the_end_of_input(stop: threading.Event) -> None:
    while os.read(0, 1):                                          # sys.stdin would hold a lock at the end
        pass
    stop.set()


if __name__ == "__main__":
    main()
