"""Put the network of a finished run into the package, as one that comes with npse.

    python benchmarks/ship_network.py runs/mine se_resnet20-cifar10

The run must have the usual settings of its model, and its data must be here. It writes the folder
npse/models/trained_networks/NAME anew.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from npse.analysis.inspection import inspect_run
from npse.analysis.summary import FILE, GateSummary
from npse.models import trained
from npse.support.files import write_atomically
from npse.training import Config, RunFolder, checkpoint


def main(run, name):
    source = RunFolder(run)
    network, facts = source.load_network("last")
    config, record, row = source.config(), source.record(), source.metrics()[-1]
    if config.model_options() != Config(model=config.model).model_options():
        sys.exit(f"{run} was not trained with the usual settings of {config.model}")
    if not source.is_finished():
        sys.exit(f"{run} is not finished")
    folder = Path(trained.__file__).with_name("trained_networks") / name
    folder.mkdir(parents=True, exist_ok=True)
    record["command"] = " ".join(words(record.get("command", "")))
    checkpoint.save(folder / "last.safetensors", network.state(), {"epoch": facts["epoch"]})
    write_atomically(folder / "config.json", json.dumps(record, indent=2) + "\n")
    write_atomically(folder / "metrics.jsonl", source.metrics_file.read_text(encoding="utf-8"))
    write_atomically(folder / "card.md", card(name, config, record, row))
    GateSummary.of(inspect_run(run, say=print)).save(folder / FILE)


def words(command):
    """Yield the words of a command without the folder that it wrote."""
    skip = False
    for word in command.split():
        if not skip and word != "--out":
            yield word
        skip = word == "--out"


def card(name, config, record, row):
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items()
                         if package in ("python", "numpy", "numba"))
    return f"""# {name}

{config.model}, trained on CIFAR-10. **{row["accuracy"]:.1%} of the 10 000 test images are right** after
epoch {row["epoch"]}, the last; one view of each image, one run.

| | |
|---|---|
| command | `{record["command"]}` |
| seed | {config.seed} |
| commit | {record["commit"]} |
| versions | {versions} |
| classes | {", ".join(record["classes"])} |
| images | 32 x 32 pixels, colours; mean {figures(record["mean"])}; deviation {figures(record["std"])} |
| licence | that of npse. CIFAR-10 is by A. Krizhevsky, 2009; no image of it is in this package. |

Made for learning: to see gates that were learned, and to try a picture. It knows ten classes and
calls every picture one of them. Its mistakes on pictures that are unlike CIFAR-10 are not known.
"""


def figures(numbers):
    return ", ".join(f"{number:.3f}" for number in numbers)


if __name__ == "__main__":
    main(*sys.argv[1:])
