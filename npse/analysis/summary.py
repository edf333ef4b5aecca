"""What an inspection found about gates, without its images: small enough to be kept beside the weights of a network."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from npse.analysis import statistics
from npse.analysis.inspection import Inspection
from npse.analysis.interventions import Effect, Effects
from npse.models import trained
from npse.support.files import write_atomically
from npse.types import Array

FILE = "gates.safetensors"


@dataclass(frozen=True)
class GateSummary:
    """The gates of a network by class, and the accuracy with other gates.

    Pictures that need no images take it in the place of an `npse.analysis.inspection.Inspection`.

    Attributes
    ----------
    title : str
    classes : list of str
    images : int
        How many were looked at.
    means, deviations : dict of str to array (K, C)
        Of the gates of each block, in each class.
    effects : Effects or None
    """

    title: str
    classes: list[str]
    images: int
    means: dict[str, Array]
    deviations: dict[str, Array]
    effects: Effects | None

    @classmethod
    def of(cls, found: Inspection) -> "GateSummary":
        """Return the summary of an inspection."""
        pairs = {name: found.by_class(name) for name in found.blocks}
        means, deviations = ({name: pair[k].astype(np.float32) for name, pair in pairs.items()} for k in range(2))
        return cls(found.title, list(found.classes), len(found.images), means, deviations, found.effects)

    @classmethod
    def load(cls, path: Path) -> "GateSummary":
        """Read a summary from a file that `save` wrote.

        Raises
        ------
        ValueError
            It is not such a file.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                facts = json.loads(file.metadata()["summary"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}           # noqa: SIM118, not a dict
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} does not hold a summary of gates ({error})") from error
        means, deviations = ({name: arrays[f"{name} {what}"] for name in facts["blocks"]}
                             for what in ("mean", "deviation"))
        effects = facts["effects"] and Effects(facts["effects"]["images"], facts["effects"]["accuracy"], {
            block: {kind: Effect(**numbers) for kind, numbers in kinds.items()}
            for block, kinds in facts["effects"]["by_block"].items()})
        return cls(facts["title"], facts["classes"], facts["images"], means, deviations, effects)

    def save(self, path: Path) -> None:
        """Write the summary to a file."""
        from safetensors.numpy import save as encode

        facts = {"title": self.title, "classes": self.classes, "images": self.images, "blocks": list(self.means),
                 "effects": self.effects and asdict(self.effects)}
        arrays = {f"{name} {what}": np.ascontiguousarray(array) for what, kept in
                  (("mean", self.means), ("deviation", self.deviations)) for name, array in kept.items()}
        write_atomically(path, encode(arrays, metadata={"summary": json.dumps(facts)}))

    @property
    def shown(self) -> list[str]:
        """The blocks that pictures show: the last of each stage."""
        return statistics.last_of_each_stage(list(self.means))

    def by_class(self, name: str) -> tuple[Array, Array]:
        """Return the mean and the deviation of the gates of a block in each class, (K, C)."""
        return self.means[name], self.deviations[name]


def gates_of(name: str = trained.USUAL) -> GateSummary:
    """Return the summary of a trained network that comes with npse, on the test images of its data."""
    return GateSummary.load(trained.folder(name) / FILE)
