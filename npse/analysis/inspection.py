"""An inspection: all that can be said about the gates of a network and of a set of images, in one object."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from npse import data
from npse.analysis import interventions, statistics
from npse.analysis.observation import Observation, observe
from npse.layers.excitation import ENDS
from npse.layers.gate_visitor import gated_layers, without_gates
from npse.layers.layer import Layer
from npse.training import RunFolder
from npse.types import Array

SMALL = 0.02                     # gates as near to constants as this part of their mean count as constants


@dataclass(frozen=True, repr=False)
class Inspection:
    """What a network does with images, and what its gates do. At the end of a cell, a notebook shows it as a page.

    Attributes
    ----------
    title : str
    classes : sequence of str
    images : uint8 array (N, H, W, 3)
    labels : integer array (N,)
    observation : Observation
        Logits and gates.
    blocks : dict of str to BlockStatistics
        Empty for a network without gates.
    effects : Effects or None
        The accuracy with other gates; None if it was not asked for, or if there are no gates or no two images.
    remarks : list of str
        What is worth a look, and what could not be seen, in sentences.
    rows : list of dict
        The rows of metrics.jsonl that have histograms of the gates.
    """

    title: str
    classes: Sequence[str]
    images: Array
    labels: Array
    observation: Observation
    blocks: dict[str, statistics.BlockStatistics]
    effects: interventions.Effects | None
    remarks: list[str]
    rows: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def shown(self) -> list[str]:
        """The blocks that pictures show: the last of each stage."""
        return statistics.last_of_each_stage(list(self.blocks))

    def by_class(self, name: str) -> tuple[Array, Array]:
        """Return the mean and the deviation of the gates of a block in each class, (K, C)."""
        return statistics.by_class(self.observation.gates[name], self.labels, len(self.classes))

    def __repr__(self) -> str:
        return f"Inspection({self.title!r}: {len(self.images)} images, {len(self.blocks)} blocks with gates)"

    def _repr_html_(self) -> str:
        from npse.analysis import sections

        return sections.notebook(self)


def inspect_run(path: str | Path, weights: str = "last", *, effects: bool = True, sample: int | None = None,
                say: Callable[[str], None] = lambda line: None) -> Inspection:
    """Inspect the network of a run on the test images of its data.

    Parameters
    ----------
    path : str or Path
        The folder of the run.
    weights : str
        "last" or "best".
    effects, sample, say : see `inspect`

    Raises
    ------
    FileNotFoundError, ValueError
        This is not the folder of a run, a file of it is damaged, its data set is not here or is another one, or
        ``weights`` or ``sample`` is wrong.
    """
    folder = RunFolder(path)
    network, facts = folder.load_network(weights)
    return inspect(network, folder.load_data(), title_of(folder, weights, facts["epoch"]), folder.metrics(),
                   effects=effects, sample=sample, say=say)


def title_of(folder: RunFolder, weights: str, epoch: int) -> str:
    """Return what names a run, and which of its weights, above pictures and tables."""
    config = folder.config()
    return f"{config.model} on {data.name_of(config.data)}, seed {config.seed}, {weights} weights (epoch {epoch})"


def inspect(network: Layer, dataset: data.Dataset, title: str = "", rows: Sequence[Mapping[str, Any]] = (), *,
            effects: bool = True, sample: int | None = None, say: Callable[[str], None] = lambda line: None
            ) -> Inspection:
    """Inspect a network on the test images of a data set.

    Parameters
    ----------
    network : Layer
    dataset : Dataset
    title : str
    rows : sequence of rows of metrics.jsonl
        Those with histograms of the gates are shown.
    effects : bool
        Whether to measure the accuracy with other gates. It takes a pass over the sample for each intervention in each
        block.
    sample : int, optional
        How many images; see `npse.analysis.interventions.intervene`.
    say : function of a line
        Called as the work goes on.
    """
    images, labels = dataset.test_images, dataset.test_labels
    say(f"looking at {len(images)} images")
    observation = observe(network, images, dataset.mean, dataset.std)
    ends = {name: ENDS.get(getattr(layer, "gate", ""), (None, None)) for name, layer in gated_layers(network)}
    blocks = {name: statistics.describe(s, labels, ends[name]) for name, s in observation.gates.items()}
    found = None
    if effects and blocks and len(images) > 1:
        found = interventions.intervene(network, images, labels, dataset.mean, dataset.std, observation, sample=sample,
                                        say=say)
    return Inspection(title, dataset.classes, images, labels, observation, blocks, found,
                      remarks(observation, blocks, ends, network),
                      [row for row in rows if set(blocks) <= set(row.get("gates", ())) and blocks])


def remarks(observation: Observation, blocks: Mapping[str, statistics.BlockStatistics],
            ends: Mapping[str, tuple[float | None, float | None]], network: Layer) -> list[str]:
    """Return sentences: warnings about saturated and about constant gates, and what the numbers do not show."""
    found = []
    nearly = f"for {statistics.NEARLY_ALL:.0%} of the images or more"
    for word, side in (("low", 0), ("high", 1)):
        for end in dict.fromkeys(ends[name][side] for name in blocks):
            stuck = {name: getattr(block, word) for name, block in blocks.items() if ends[name][side] == end}
            if any(stuck.values()):
                found.append(f"Saturated: gates are within {statistics.NEAR:.0%} of the {word} end of their range, "
                             f"{end:g}, {nearly}, in {_listed(stuck, blocks)}.")
    constant = [name for name, block in blocks.items() if block.from_channel_constant < SMALL]
    if constant:
        found.append(f"Constant: the gates of {', '.join(constant)} differ by less than {SMALL:.0%} of their mean from "
                     "one number for each channel, which could be part of the weights before them.")
    for kind in dict.fromkeys(observation.kinds.values()):
        if kind != "channel":
            names = [name for name, other in observation.kinds.items() if other == kind]
            found.append(f"{', '.join(names)}: a gate for each {kind}. Its numbers and pictures are averages over the "
                         "pixels of an image; interventions replace the gates themselves.")
    hidden = without_gates(network)
    if hidden:
        found.append(f"{', '.join(name for name, _ in hidden)}: {type(hidden[0][1]).__name__} has no gates that can be "
                     "seen: it adds to its maps, or scales them within one op.")
    elif not blocks:
        found.append("This network has no gates.")
    return found


def _listed(stuck: Mapping[str, int], blocks: Mapping[str, statistics.BlockStatistics]) -> str:
    return ", ".join(f"{number} of {blocks[name].channels} channels of {name}" for name, number in stuck.items()
                     if number)
