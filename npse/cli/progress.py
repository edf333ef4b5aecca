"""How a run shows itself: a progress bar on a terminal, plain lines that a program can read elsewhere."""

import contextlib
import sys
import time

KERNELS = 98                     # that a training step and an evaluation compile, what they call included


def reporter():
    """Return the reporter that suits standard output."""
    return Bar() if sys.stdout.isatty() else Lines()


class Lines:
    """One line every ten seconds and one after each epoch, ``key=value`` throughout."""

    every = 10.0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None

    def say(self, line):
        """Print a line."""
        print(line, flush=True)

    def began(self, epochs, steps, progress):
        """Hear how long the run is and where it stands."""
        self.epochs, self.steps = epochs, steps
        self.pace = Pace(epochs * steps - progress.epoch * steps - progress.step)
        self.shown = 0.0

    def stepped(self, progress, batch):
        """Hear of one more step."""
        self.pace.tick(batch)
        if (progress.step == 1 and self.shown == 0.0) or time.monotonic() - self.shown > self.every:
            self.shown = time.monotonic()
            pace = (f" images_per_second={self.pace.rate():.0f} eta_seconds={self.pace.left():.0f}"
                    if self.pace.known else "")
            self.say(f"epoch={progress.epoch + 1}/{self.epochs} step={progress.step}/{self.steps} "
                     f"loss={progress.loss_sum / progress.seen:.4f} "
                     f"accuracy={progress.correct / progress.seen:.4f}{pace}")

    def epoch_done(self, row):
        """Hear of an epoch and its evaluation."""
        self.say(epoch_line(row, self.epochs))


class Bar:
    """A bar with loss, accuracy, images/s and the time that is left; a line stays for each epoch."""

    def __init__(self):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                            TextColumn("{task.fields[figures]}"))

    def __enter__(self):
        self.bar.start()
        with contextlib.ExitStack() as stack:
            if compiler := sys.modules.get("npse.cpu.compile"):   # the edition that compiles is in use
                stack.enter_context(compiler.telling(self.compiling))
            self._leave = stack.pop_all().close
        return self

    def __exit__(self, *exception):
        self._leave()
        self.bar.stop()

    def compiling(self, count, name):
        """Hear of one more kernel being compiled."""
        self.bar.update(self.task, figures=f"compiling {count} of ~{max(count, KERNELS)}, once")       # fits 80 columns

    def say(self, line):
        """Print a line above the bar."""
        self.bar.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def began(self, epochs, steps, progress):
        """Hear how long the run is and where it stands."""
        self.epochs = epochs
        self.task = self.bar.add_task("", total=steps, completed=progress.step, figures="warming up")
        self.pace = Pace(epochs * steps - progress.epoch * steps - progress.step)

    def stepped(self, progress, batch):
        """Hear of one more step."""
        self.pace.tick(batch)
        pace = ""
        if self.pace.known:
            minutes, seconds = divmod(round(self.pace.left()), 60)
            pace = f"  {self.pace.rate():.0f} images/s  {minutes}:{seconds:02d} left"
        self.bar.update(self.task, description=f"epoch {progress.epoch + 1}/{self.epochs}", completed=progress.step,
                        figures=f"loss {progress.loss_sum / progress.seen:.3f}  "
                                f"accuracy {progress.correct / progress.seen:.1%}{pace}")

    def epoch_done(self, row):
        """Hear of an epoch and its evaluation."""
        self.say(epoch_line(row, self.epochs))
        if row["epoch"] < self.epochs:
            self.bar.update(self.task, completed=0)


def epoch_line(row, epochs):
    """Return the line that stays for an epoch."""
    return (f"epoch={row['epoch']}/{epochs} train_loss={row['train_loss']:.4f} "
            f"train_accuracy={row['train_accuracy']:.4f} loss={row['loss']:.4f} accuracy={row['accuracy']:.4f} "
            f"evaluated_on={row['evaluated_on']} images_per_second={row['images_per_second']:.0f} "
            f"seconds={row['seconds']:.1f}")


class Pace:
    """Images a second and seconds left, from the steps after the first, which compiles; evaluation time is included."""

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
        """Whether there was a step to measure yet."""
        return self.steps > 0

    def rate(self):
        """Images a second."""
        return self.images / (time.monotonic() - self.start)

    def left(self):
        """Seconds until the last step, at the pace so far."""
        return self.remaining * (time.monotonic() - self.start) / self.steps
