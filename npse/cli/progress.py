"""The progress of a run: a bar on a terminal, else plain lines that a program can read."""

import contextlib
import math
import sys
import time

from npse.cli.console import console, status

LEAST_BAR = 4                    # columns of the bar if there is little room


@contextlib.contextmanager
def compiling():
    """Within the ``with`` block provide a function say(done, of) that shows the progress of compilation on stderr."""
    began, told = time.monotonic(), -math.inf
    with status() as line_on_terminal:

        def say(done, of):
            nonlocal told
            passed = time.monotonic() - began
            left = f", about {passed * (of - done) / done:.0f} s left" if done else ""
            line = f"compiling kernels for this machine, once: {done} of {of}{left}"
            line_on_terminal.update(line)
            if not sys.stderr.isatty() and time.monotonic() - told > Lines.every:
                told = time.monotonic()
                print(f"npse: {line}", file=sys.stderr, flush=True)

        yield say


def reporter(speaks=True):
    """Return the reporter that suits standard output; or one that tells nothing."""
    if not speaks:
        return Silent()
    return Bar() if sys.stdout.isatty() else Lines()


def sweep_reporter():
    """Return the reporter of a sweep that suits standard output."""
    return SweepBar() if sys.stdout.isatty() else SweepLines()


class _OnLines:
    """A reporter that prints lines, such as a program can read."""

    def __enter__(self):
        self.shown = time.monotonic()
        return self

    def __exit__(self, *exception):
        return None

    def say(self, line):
        """Print a line."""
        print(line, flush=True)


class _OnABar:
    """A reporter that shows a bar of rich, made of these columns."""

    def __init__(self, *columns, **options):
        from rich.progress import BarColumn, Progress, TextColumn

        self.bar = Progress(TextColumn("{task.description}"), BarColumn(), *columns,
                            TextColumn("{task.fields[figures]}"), console=console(), **options)

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *exception):
        self.bar.stop()

    def say(self, line):
        """Print a line above the bar, folded between words."""
        self.bar.console.print(line)


class Silent(_OnLines):
    """A reporter that tells nothing."""

    def say(self, line):
        """Take a line."""

    def began(self, epochs, steps, progress):
        """Take the length of the run."""

    def stepped(self, progress, batch):
        """Take a step."""

    def epoch_done(self, row):
        """Take an epoch."""


class SweepLines(_OnLines):
    """Prints what a sweep says, and every half minute a line about how far it is."""

    every = 30.0

    def show(self, standing):
        """Take how far the sweep is."""
        if time.monotonic() - self.shown > self.every:
            self.shown = time.monotonic()
            left = "" if standing.left is None else f" eta_seconds={standing.left:.0f}"
            running = ",".join(f"{name}:{done}/{of}" for name, (done, of) in standing.under_way.items())
            self.say(f"finished={standing.finished}/{standing.runs} failed={standing.failed} "
                     f"epochs={standing.trained}/{standing.epochs}{left} running={running}")


class SweepBar(_OnABar):
    """Shows a bar of all epochs of a sweep, with as much of time left and runs under way as fits."""

    def __init__(self):
        super().__init__(refresh_per_second=2)
        self.task = self.bar.add_task("", total=1, figures="")

    def show(self, standing):
        """Take how far the sweep is."""
        failed = f", {standing.failed} failed" if standing.failed else ""
        runs = f"{standing.finished}/{standing.runs} runs{failed}"
        figures = [] if standing.left is None else [f"{_hours(standing.left)} left"]
        figures += [f"{name} {done}/{of}" for name, (done, of) in standing.under_way.items()]
        room = self.bar.console.width - len(f"{runs} {' ' * LEAST_BAR} ")
        self.bar.update(self.task, description=runs, completed=standing.trained, total=standing.epochs,
                        figures=fitting(figures or [""], room))


def _hours(seconds):
    """Return seconds as hours:minutes:seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


class Lines(_OnLines):
    """Prints a line of ``key=value`` pairs every ten seconds and after each epoch."""

    every = 10.0

    def began(self, epochs, steps, progress):
        """Take the length of the run and its progress, before the first step."""
        self.epochs, self.steps = epochs, steps
        self.pace = Pace(epochs * steps - progress.epoch * steps - progress.step)
        self.shown = 0.0

    def stepped(self, progress, batch):
        """Report a step, after it, with the number of its images."""
        self.pace.tick(batch)
        if (progress.step == 1 and self.shown == 0.0) or time.monotonic() - self.shown > self.every:
            self.shown = time.monotonic()
            pace = (f" images_per_second={self.pace.rate():.0f} eta_seconds={self.pace.left():.0f}"
                    if self.pace.known else "")
            self.say(f"epoch={progress.epoch + 1}/{self.epochs} step={progress.step}/{self.steps} "
                     f"loss={progress.loss_sum / progress.seen:.4f} "
                     f"accuracy={progress.correct / progress.seen:.4f}{pace}")

    def epoch_done(self, row):
        """Report an epoch, after its evaluation, with its row of metrics.jsonl."""
        self.say(epoch_line(row, self.epochs))


class Bar(_OnABar):
    """Shows a bar with as many of loss, accuracy, time left and images/s as fit, and a line for each finished epoch."""

    def __init__(self):
        from rich.progress import MofNCompleteColumn

        super().__init__(MofNCompleteColumn())

    def began(self, epochs, steps, progress):
        """Take the length of the run and its progress, before the first step."""
        self.epochs, self.steps = epochs, steps
        self.task = self.bar.add_task("", total=steps, completed=progress.step, figures="warming up")
        self.pace = Pace(epochs * steps - progress.epoch * steps - progress.step)

    def stepped(self, progress, batch):
        """Report a step, after it, with the number of its images."""
        self.pace.tick(batch)
        figures = [f"loss {progress.loss_sum / progress.seen:.3f}", f"accuracy {progress.correct / progress.seen:.1%}"]
        if self.pace.known:
            minutes, seconds = divmod(round(self.pace.left()), 60)
            figures += [f"{minutes}:{seconds:02d} left", f"{self.pace.rate():.0f} images/s"]
        epoch = f"epoch {progress.epoch + 1}/{self.epochs}"
        room = self.bar.console.width - len(f"{epoch} {' ' * LEAST_BAR} {self.steps}/{self.steps} ")
        self.bar.update(self.task, description=epoch, completed=progress.step, figures=fitting(figures, room))

    def epoch_done(self, row):
        """Report an epoch, after its evaluation, with its row of metrics.jsonl."""
        self.say(epoch_line(row, self.epochs))
        if row["epoch"] < self.epochs:
            self.bar.update(self.task, completed=0)


def fitting(figures, room):
    """Return the first figures in one line, as many as fit into ``room`` columns; at least one."""
    line = figures[0]
    for figure in figures[1:]:
        if len(f"{line}  {figure}") > room:
            break
        line = f"{line}  {figure}"
    return line


def epoch_line(row, epochs):
    """Return the line about a finished epoch."""
    return (f"epoch={row['epoch']}/{epochs} train_loss={row['train_loss']:.4f} "
            f"train_accuracy={row['train_accuracy']:.4f} loss={row['loss']:.4f} accuracy={row['accuracy']:.4f} "
            f"evaluated_on={row['evaluated_on']} images_per_second={row['images_per_second']:.0f} "
            f"seconds={row['seconds']:.1f}")


class Pace:
    """Images per second and seconds left, from the steps after the first, which compiles; evaluation is included."""

    def __init__(self, steps):
        self.remaining, self.steps, self.images, self.start = steps, 0, 0, None

    def tick(self, batch):
        """Count one step."""
        self.remaining -= 1
        if self.start is None:
            self.start = time.monotonic()
        else:
            self.steps, self.images = self.steps + 1, self.images + batch

    @property
    def known(self):
        """Whether a step has been measured yet."""
        return self.steps > 0

    def rate(self):
        """Return the images per second."""
        return self.images / (time.monotonic() - self.start)

    def left(self):
        """Return the seconds until the last step, at the rate so far."""
        return self.remaining * (time.monotonic() - self.start) / self.steps
