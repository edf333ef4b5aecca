"""A run that version 0.1.0 wrote and that was interrupted in its second epoch can still be resumed and loaded.

Written by the code of commit 5b1bf10c82: shapes cut down to 32 and 10 images, batches of 8, a network of 4, 8 and 16
channels. Two more files hold the logits of 0.1.0 for the 10 images: with the best weights, and with the last weights
after 0.1.0 had resumed the run itself.
"""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from npse import backend, data, models
from npse.training import RunFolder, predict, prepare, run

KEPT = Path(__file__).parent / "data" / "run_0_1_0"


class Silent:
    """A reporter that ignores everything."""

    def say(self, line):
        pass

    began = stepped = epoch_done = lambda self, *news: None


@pytest.fixture
def folder(monkeypatch, few_shapes, tmp_path):
    """Return a copy of the folder; its data and its network are made available."""
    few = dataclasses.replace(few_shapes, images=few_shapes.images[:32], labels=few_shapes.labels[:32],
                              test_images=few_shapes.test_images[:10], test_labels=few_shapes.test_labels[:10])
    monkeypatch.setattr(data, "load", lambda *_: few)
    monkeypatch.setattr(models, "build", lambda name, **options: models.resnet(8, widths=(4, 8, 16), **options))
    return RunFolder(shutil.copytree(KEPT, tmp_path / "run"))


def logits(job):
    return predict(job.network, job.split.eval_images, job.dataset.mean, job.dataset.std)


def test_its_weights_give_the_logits_that_they_gave_then(folder):
    job = prepare(folder.config())
    assert folder.restore(job.network, "best")["epoch"] == 1
    np.testing.assert_allclose(logits(job), np.load(KEPT / "logits_best.npy"), rtol=1e-4, atol=1e-5)


def test_it_is_resumed_to_the_end_that_it_had_then(folder):
    job = prepare(folder.config())
    assert job.config.optimizer == "muon"
    with backend.using_edition("reference"):
        run(job, folder, Silent(), resume=True)
    assert [row["epoch"] for row in folder.metrics()] == [1, 2]
    assert folder.metrics()[1]["train_loss"] == pytest.approx(2.285890221595764, rel=1e-4)
    np.testing.assert_allclose(logits(job), np.load(KEPT / "logits_last.npy"), rtol=1e-3, atol=1e-4)
