"""``npse ablate``: train several networks with several seeds, and compare them with error bars."""

import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from npse.cli.command import names, was_typed
from npse.cli.console import say, show
from npse.cli.progress import compiling, sweep_reporter


def ablate(
    context: typer.Context,
    spec: Annotated[str | None, Argument(metavar="SPEC", help="a name of --list, or a TOML file: docs/experiments.md",
                                         autocompletion=names("npse.lab.spec:SHIPPED"))] = None,
    list_them: Annotated[bool, Option("--list", help="show the experiments that npse brings")] = False,
    out: Annotated[Path | None, Option(metavar="FOLDER", help="of the experiment; a run is in FOLDER/VARIANT-SEED",
                                       show_default="runs/SPEC")] = None,
    seeds: Annotated[str | None, Option(metavar="SEEDS", help="such as 0-4 or 0,2,5",
                                        show_default="those of the spec")] = None,
    only: Annotated[list[str] | None, Option(metavar="VARIANT", help="train this one; can be repeated")] = None,
    jobs: Annotated[int, Option(min=1, help="runs at the same time; they share the cores")] = 1,
    executor: Annotated[str, Option(help="local, or mpi: every process of MPI but the first trains one run at a time; "
                                    "docs/cluster.md")] = "local",
    dry_run: Annotated[bool, Option("--dry-run", help="say which runs and how long; write nothing")] = False,
    collect: Annotated[bool, Option("--collect", help="train nothing; make the table of what is finished")] = False,
    come_from: Annotated[list[Path] | None, Option("--from", metavar="FILE", help="take over the results.jsonl of "
                                                   "another machine or experiment; can be repeated")] = None,
    write: Annotated[Path | None, Option(metavar="FILE", help="also write the table between the markers of this "
                                         "Markdown file")] = None,
) -> None:
    """Train each variant of an experiment with each seed, and compare the variants with the baseline.

    A run that is finished is never trained again, and one that was stopped goes on, also after a crash. The folder
    gets results.jsonl, a line for each finished run, and from these lines the table: table.md, .csv, .json and .png.
    Exit code 1 if a run failed.

    mpiexec -n 9 npse ablate structures --executor mpi trains eight runs at the same time, on all machines of the job.
    A run that fails there is tried once more.
    """
    if executor not in ("local", "mpi"):
        raise ValueError(f"--executor must be local or mpi, but is {executor!r}")
    arguments = spec, list_them, out, seeds, only, dry_run, collect, come_from, write
    if executor == "local":
        _ablate(*arguments, Local(jobs))
        return
    from npse.lab.mpi import workers

    with workers() as ranks:
        if ranks is None:                                         # this process has trained, and there is no more to do
            return
        if was_typed(context, "jobs"):
            raise ValueError("--jobs is for --executor local; with mpi the number of processes decides")
        _ablate(*arguments, ranks)


class Local:
    """Trains runs in processes on this machine."""

    retries = 0

    def __init__(self, jobs):
        self.jobs = jobs

    @property
    def threads(self):
        """The threads of each of the runs at the same time."""
        from npse.support import environment

        return max(1, environment.threads() // self.jobs)

    def begin(self, runs):
        """Make ready to train so many runs; then `attempt` trains one, `stop` and `kill` end those under way."""
        from npse.lab.process import Processes

        self.jobs = min(self.jobs, runs)
        self.attempt = Processes(self.threads)
        self.stop, self.kill = self.attempt.stop, self.attempt.kill

    def executor(self):
        """Return a context that provides an executor."""
        return ThreadPoolExecutor(self.jobs)


def _ablate(spec, list_them, out, seeds, only, dry_run, collect, come_from, write, place):
    """Do the work of the command; ``place`` is where runs are trained, such as `Local`."""
    from npse.lab import output
    from npse.lab.results import Results
    from npse.lab.spec import load, parse_seeds
    from npse.lab.sweep import collect_finished, plan
    from npse.support.files import locked
    from npse.support.markdown import page_with

    if list_them:
        _list()
        return
    if spec is None:
        raise ValueError("expected the name of an experiment or a TOML file; npse ablate --list shows the names")
    experiment = load(spec)
    chosen = experiment.seeds if seeds is None else parse_seeds(seeds)
    out = out or Path("runs") / experiment.name
    runs, wanted = plan(experiment, chosen, out), plan(experiment, chosen, out, only or ())
    page = page_with(write, _markers(experiment))
    output.expect_ours(out)
    results = Results(out / "results.jsonl")
    for path in come_from or ():
        results.take(path, [run.config for run in runs])
    unfinished = set(collect_finished(runs, results, say))
    missing = [run for run in wanted if run in unfinished]
    say(f"{len(wanted) - len(missing)} of {len(wanted)} runs are finished")
    if dry_run:
        _forecast(wanted, missing, results, place)
        return
    if collect:
        missing = []
    _compile(missing)
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        results.path.touch()
        results.save()
        code = _train(missing, results, place) if missing else 0
        _conclude(experiment, chosen, results, out, write, page)
    raise typer.Exit(code)


def _list():
    """Print the experiments that npse brings."""
    from npse.lab.spec import SHIPPED, load

    specs = map(load, SHIPPED)
    show(("<name", "variants", "seeds", "<question"),
         [(spec.name, str(len(spec.variants)), str(len(spec.seeds)), spec.question) for spec in specs])


def _forecast(wanted, missing, results, place):
    """Print how many runs are missing, and the hours that they will take."""
    from npse.lab import estimate

    threads, jobs, variants = place.threads, place.jobs, dict.fromkeys(run.variant for run in wanted)
    show(("<variant", "runs", "to train"),
         [(name, str(sum(run.variant == name for run in wanted)), str(sum(run.variant == name for run in missing)))
          for name in variants])
    seconds = estimate.seconds(missing, results, threads, say) / jobs
    say(f"{len(missing)} runs to train, {jobs} at the same time with {threads} threads each: about "
        f"{estimate.in_words(seconds)}; nothing was written")


def _train(missing, results, place):
    """Train runs; return the exit code: 0, 1 if one failed, 130 if they were stopped."""
    from npse.lab.sweep import Sweep
    from npse.training import Interrupted

    place.begin(len(missing))
    with sweep_reporter() as progress:
        sweep = Sweep(missing, results, progress, place.retries)
        with _stopping(place, progress) as stop, place.executor() as executor:
            try:
                sweep.train(executor, place.attempt, stop)
            except Interrupted:
                say("stopped and saved; the same command goes on")
                return 130
            except BaseException:
                place.kill()
                raise
    for name, reason in sweep.failures.items():
        say(f"{name} failed: {reason}")
    return 1 if sweep.failures else 0


def _compile(runs):
    """Load the data of the runs, for one message if they are not there, and compile their kernels for all processes."""
    from npse import backend
    from npse.training import load_data

    configs = list({run.variant: run.config for run in runs}.values())
    loaded = {(config.data, config.image_size): load_data(config) for config in configs}
    if {backend.choose(config.edition)[0] for config in configs} != {"cpu"}:
        return
    from npse.cli.precompile import training, warm_up

    with compiling() as tell, backend.using_edition("cpu"):
        warm_up(*(partial(training, config, shape=found.shape, classes=len(found.classes)) for config in configs
                  for found in [loaded[config.data, config.image_size]]), say=tell)


@contextlib.contextmanager
def _stopping(place, progress):
    """Within the ``with`` block the first Ctrl-C (or SIGTERM) makes all runs save and end; the second ends them now.

    Provides a function that says whether they were asked to stop.
    """
    asked = []

    def ask(number, frame):
        if asked:
            place.kill()
            return
        asked.append(number)
        progress.say("saving the runs; press Ctrl-C again to stop without saving")
        place.stop()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _markers(experiment):
    """Return the lines between which a page holds the table of an experiment."""
    return (f"<!-- npse ablate {experiment.name}: begin -->", f"<!-- npse ablate {experiment.name}: end -->")


def _conclude(experiment, seeds, results, out, write, page):
    """Print the table of an experiment, and write it."""
    from npse.lab import output, table
    from npse.support.files import write_atomically
    from npse.support.markdown import between_markers

    made = table.make(experiment, seeds, results)
    columns = table.titles(made)
    spare = [title.lstrip("<") for title in (columns[-1], "mult.-adds", "parameters")]
    show(columns, table.cells(made), f"{experiment.title}: {experiment.question}", table.notes(made), spare)
    written = output.write(made, out)
    if write is not None:
        write_atomically(write, between_markers(page, output.markdown(made).rstrip(), _markers(experiment)))
        written.append(write)
    say("wrote " + ", ".join(map(str, written)))
