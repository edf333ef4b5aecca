"""Training with every array on the (simulated) device: the losses of the book, and checkpoints that change sides."""

import numpy as np
import pytest

from npse import backend
from npse.analysis.observation import observe
from npse.data import Dataset
from npse.layers import Dense, Sequential, Whitening, identity_shortcut
from npse.layers.flatten import Flatten
from npse.models import resnet
from npse.training import SGD, Config, Interrupted, RunFolder, TrainingJob, run
from npse.training.job import Split
from npse.training.step import Step

pytestmark = [pytest.mark.simulator, pytest.mark.slow]
CONFIG = Config(model="se_resnet8", epochs=2, batch_size=2, lr=0.05)
KEYS = ("train_loss", "train_accuracy", "loss", "accuracy")


class Silent:
    """A reporter that keeps the losses it hears of."""

    def __init__(self):
        self.steps, self.rows = [], []

    def say(self, line):
        pass

    def began(self, epochs, steps, progress):
        pass

    def stepped(self, progress, batch):
        self.steps.append(progress.loss_sum)

    def epoch_done(self, row):
        self.rows.append(row)


@pytest.fixture(scope="module")
def few():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (4, 8, 8, 3), np.uint8), np.array([0, 2, 0, 1])
    return Dataset("few", images[:2], labels[:2], images[2:], labels[2:], classes=("a", "b", "c"),
                   mean=np.full(3, 0.5, np.float32), std=np.full(3, 0.25, np.float32))


def start(edition, dataset, folder, resume=False, stop=lambda: False):
    """Train the smallest network in an edition; returns the reporter and the network."""
    network = resnet(8, classes=3, widths=(4, 4, 4), input_gradient=False)
    job = TrainingJob(CONFIG, dataset, Split.from_dataset(dataset, 0), network, SGD(network))
    folder = RunFolder(folder)
    if not resume:
        folder.create(CONFIG, dataset, {})
    report = Silent()
    with backend.using_edition(edition):
        run(job, folder, report, resume=resume, stop=stop)
    return report, network


@pytest.fixture(scope="module")
def by_the_book(few, tmp_path_factory):
    return start("reference", few, tmp_path_factory.mktemp("book") / "run")


def assert_same(report, network, by_the_book):
    expected, book_network = by_the_book
    for row, wanted in zip(report.rows, expected.rows[-len(report.rows):], strict=True):
        np.testing.assert_allclose([row[key] for key in KEYS], [wanted[key] for key in KEYS], rtol=1e-5)
    for name, array in network.state().items():
        np.testing.assert_allclose(backend.to_host(array), book_network.state()[name], rtol=1e-4, atol=1e-5)


def test_a_run_on_the_device_is_that_of_the_book(few, by_the_book, tmp_path):
    report, network = start("cuda", few, tmp_path / "run")
    assert_same(report, network, by_the_book)
    assert all(hasattr(array, "copy_to_host") for array in network.state().values())
    with backend.using_edition("cuda"):
        gates = observe(network, few.test_images, few.mean, few.std).gates
    assert len(gates) == 3
    assert all(isinstance(s, np.ndarray) and s.shape == (len(few.test_images), 4) for s in gates.values())


@pytest.mark.parametrize(("first", "second"), [("cuda", "reference"), ("reference", "cuda")])
def test_a_run_begun_in_one_edition_goes_on_in_another(first, second, few, by_the_book, tmp_path):
    with pytest.raises(Interrupted):
        start(first, few, tmp_path / "run", stop=lambda: True)
    report, network = start(second, few, tmp_path / "run", resume=True)
    assert [row["epoch"] for row in report.rows] == [1, 2]
    assert_same(report, network, by_the_book)


def test_a_shortcut_without_weights_keeps_its_filter_where_it_is_used():
    rng = np.random.default_rng(0)
    shortcut, x, dy = identity_shortcut(2, 3, 2), rng.standard_normal((1, 4, 4, 2)), rng.standard_normal((1, 2, 2, 3))
    for edition in ("reference", "cuda", "reference"):
        with backend.using_edition(edition):
            y, backward = shortcut(backend.to_edition(x))
            dx, _ = backward(backend.to_edition(dy))
        assert isinstance(y, np.ndarray) == (edition == "reference")
        np.testing.assert_array_equal(backend.to_host(y)[..., :2], x[:, ::2, ::2])
        assert not backend.to_host(y)[..., 2].any()
        np.testing.assert_array_equal(backend.to_host(dx)[:, ::2, ::2], dy[..., :2])


def test_a_whitening_layer_and_a_step_in_parts_are_those_of_the_book():
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((4, 4, 5, 3)).astype(np.float32), np.array([0, 2, 1, 0])
    results = []
    for edition, parts in (("reference", 1), ("cuda", 2)):
        with backend.using_edition(edition):
            whiten, start = Whitening(3), np.random.default_rng(1)
            whiten.fit(backend.to_edition(x))
            network = Sequential({"whiten": whiten, "flat": Flatten(), "fc": Dense(288, 3, rng=start)}).to_device()
            optimizer = SGD(network)
            optimizer.to_device()
            loss, logits = Step(network, optimizer, 0.1, parts=parts).plain(backend.to_edition(x), labels, 0.1)
            results.append([backend.to_host(a) for a in (loss, logits, *network.state().values())])
    for book, device in zip(*results, strict=True):
        np.testing.assert_allclose(device, book, rtol=1e-4, atol=1e-5)
