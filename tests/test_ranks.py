"""Shares of a batch and what several ranks do with them, without MPI: threads play the ranks."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from thread_ranks import with_ranks

import npse
from npse import data, models, reference
from npse.layers import BatchNorm, Conv2d, Dense, Dropout, Sequential
from npse.layers.flatten import Flatten
from npse.layers.shake import Shake
from npse.support import nvidia_driver
from npse.training import SGD, Step, TrainingJob, ranks
from npse.training.distributed import GradientBuckets, SharedStep, units
from npse.training.ranks import ALONE, RankLost, Ranks

ROOT = Path(npse.__file__).parents[1]


def numbered(rank, size):
    found = Ranks()
    found.rank, found.size = rank, size
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize(("batch", "parts"), [(12, 1), (12, 2), (15, 3)])
def test_every_image_of_a_batch_has_one_rank_and_parts_stay_parts(size, batch, parts):
    if batch // parts < size:
        with pytest.raises(ValueError, match=f"{size} ranks need at least {size} images"):
            numbered(0, size).rows(batch, parts)
        return
    rows = [numbered(rank, size).rows(batch, parts) for rank in range(size)]
    assert sorted(np.concatenate(rows)) == list(range(batch))
    each = batch // parts
    for mine in rows:
        assert [set(part // each) for part in np.split(mine, parts)] == [{k} for k in range(parts)]


def test_a_share_of_a_batch_has_the_images_of_the_whole_batch():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (20, 8, 8, 3), np.uint8), np.arange(20)
    mean, std = np.full(3, 0.5), np.full(3, 0.25)
    rows = np.array([1, 2, 5])
    for whole, part in zip(data.training_batches(images, labels, mean, std, 6, 1, 2),
                           data.training_batches(images, labels, mean, std, 6, 1, 2, rows=rows), strict=True):
        assert np.array_equal(whole[0][rows], part[0])
        assert np.array_equal(whole[1][rows], part[1])


def test_random_layers_draw_for_the_whole_batch():
    x = np.ones((6, 2, 3, 4))
    whole, part = Dropout(0.5, seed=3), Dropout(0.5, seed=3)
    part.part = 2, 5, 6
    for _ in range(2):
        assert np.array_equal(whole(x)[0][2:5], part(x[2:5])[0])
    whole, part = Shake(seed=3), Shake(seed=3)
    part.part = 2, 5, 6
    assert np.array_equal(whole.mix(x, 0 * x)[0][2:5], part.mix(x[2:5], 0 * x[2:5])[0])


def test_moments_of_parts_are_merged_to_those_of_the_whole():
    x = np.random.default_rng(0).normal(1e4, 1, (7, 3, 4, 5)).astype(np.float32)      # a mean that squares would lose
    parts = x[:2], x[2:3], x[3:]
    means, variances = (np.stack([reference.moments(part)[k] for part in parts]) for k in (0, 1))
    merged = reference.merged_moments(means, variances, np.array([part[..., 0].size for part in parts]))
    for found, expected in zip(merged, reference.moments(x), strict=False):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_units_are_the_layers_of_a_network_in_order():
    network = models.build("se_resnet8", seed=1)
    found = dict(units(network))
    assert list(found)[-1] == "fc"
    assert "layer1.0" in found
    assert "layer1" not in found
    assert "" in found                                            # the first convolution and its batch norm
    names = [slot.name for name, layer in found.items()
             for slot in layer.slots("parameters", f"{name}." if name else "")]
    assert names == [slot.name for slot in network.slots("parameters")]


def small(seed=0):
    rng = np.random.default_rng(seed)
    return Sequential({"stem": Sequential({"conv": Conv2d(3, 4, 3, rng=rng), "bn": BatchNorm(4)}), "drop": Dropout(0.3),
                       "flat": Flatten(), "fc": Dense(64, 3, rng=rng)}).astype(np.float64)


def stepped(network, make):
    """Make two steps of a batch of eight images; return the state and the losses."""
    rng = np.random.default_rng(1)
    x, labels = rng.normal(size=(8, 4, 4, 3)), rng.integers(0, 3, 8)
    step, rows = make(network)
    losses = [float(step.plain(x[rows], labels[rows], 0.1)[0]) for _ in range(2)]
    return network.state(), losses


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("bucket", [1, 10**9])
def test_a_shared_step_is_the_step(monkeypatch, size, parts, bucket):
    monkeypatch.setattr(GradientBuckets.__init__, "__defaults__", (bucket,))
    alone, losses = stepped(small(), lambda network: (Step(network, SGD(network), 0.1, parts=parts), slice(None)))

    def one(ranks):
        return stepped(small(), lambda network: (
            SharedStep(network, SGD(network), 0.1, parts=parts, ranks=ranks, batch=8, synchronized=True),
            ranks.rows(8, parts)))
    for state, found in with_ranks(size, one):
        assert found == pytest.approx(losses, rel=1e-12)
        for name, array in state.items():
            np.testing.assert_allclose(array, alone[name], rtol=1e-11, atol=1e-13, err_msg=name)


def test_signals_of_one_rank_reach_all_and_running_statistics_are_averaged():
    def one(ranks):
        network = small()
        step = SharedStep(network, SGD(network), 0.1, ranks=ranks, batch=7, synchronized=False,
                          signals=lambda: (ranks.rank == 1, False))
        rng = np.random.default_rng(1)
        x, labels = rng.normal(size=(7, 4, 4, 3)), rng.integers(0, 3, 7)
        step.plain(x[ranks.rows(7, 1)], labels[ranks.rows(7, 1)], 0.1)
        return step.totals, network.state()
    (totals, state), (others, other) = with_ranks(2, one)
    assert totals == others
    assert totals.signals == (True, False)
    assert totals.images == 7
    for name, array in state.items():
        assert np.array_equal(array, other[name]), name


def test_ranks_whose_weights_differ_take_those_of_the_first():
    def one(ranks):
        network = small(seed=ranks.rank)
        job = TrainingJob(None, None, None, network, SGD(network))
        before = job.equal_in(ranks)
        job.take_from_first(ranks)
        return before, job.equal_in(ranks), network.state()
    first, second = with_ranks(2, one)
    assert first[:2] == second[:2] == (False, True)
    for name, array in small(seed=0).state().items():
        assert np.array_equal(second[2][name], array), name


def test_a_step_that_lost_a_rank_changes_nothing():
    class Lost(Ranks):
        rank, size = 0, 2

        def finish_sums(self):
            raise RankLost("rank 1 gave no answer")
    network = small()
    before = network.state()
    step = SharedStep(network, SGD(network), 0.1, ranks=Lost(), batch=4, synchronized=False)
    with pytest.raises(RankLost):
        step.plain(np.ones((2, 4, 4, 3)), np.zeros(2, int), 0.1)
    assert all(np.array_equal(array, before[name]) for name, array in network.state().items())


def test_the_launcher_says_how_many_ranks_there_are(monkeypatch):
    for name in (*ranks.RANK_VARIABLES, *ranks.SIZE_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    assert ranks.launched() == (0, 1)
    assert ranks.world() is ALONE
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "2")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    assert ranks.launched() == (2, 4)
    pytest.importorskip("mpi4py")
    with pytest.raises(ValueError, match="the launcher started 4 processes, but mpi4py sees 1: it belongs to another"):
        ranks.world()                                             # this process is one of MPICH, and alone


@pytest.mark.parametrize("text", ["soon", "-1", "0", "nan"])
def test_a_wrong_patience_is_refused(monkeypatch, text):
    from npse.training import mpi

    monkeypatch.setenv(mpi.PATIENCE, text)
    with pytest.raises(ValueError, match="NPSE_MPI_PATIENCE must be a number of seconds above 0"):
        mpi.patience()


@pytest.mark.parametrize(("visible", "listed", "seen"), [
    (None, "GPU 0: A (UUID: x)\nGPU 1: B (UUID: y)\n", ["0", "1", "0"]),
    ("4,7", "", ["4", "7", "4"]),
    ("3", "", ["3", "3", "3"]),
])
def test_each_rank_sees_one_gpu(monkeypatch, visible, listed, seen):
    monkeypatch.setattr(nvidia_driver.subprocess, "run", lambda *words, **options: SimpleNamespace(stdout=listed))
    for number, expected in enumerate(seen):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        nvidia_driver.see_one_gpu(number)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == expected


def test_the_model_of_scaling_is_its_formula():
    from npse.bench.scaling import Model

    model = Model(fixed=2.0, image=0.5, messages=3, latency=0.1, bytes=1000, bytes_per_ms=500.0)
    assert model.step(1, 64) == 2 + 0.5 * 64
    assert model.step(4, 64) == pytest.approx(2 + 0.5 * 16 + 3 * 2 * 0.1 + 2 * 3 / 4 * 1000 / 500)
    assert model.efficiency(4, 64) == pytest.approx(model.step(1, 64) / 4 / model.step(4, 64))
    assert model.growing(4, 16) == pytest.approx(model.step(1, 16) / model.step(4, 64))


def test_ci_installs_what_the_tests_with_ranks_need():
    assert re.search(r'-e "\.\[mpi\]"', (ROOT / ".ci" / "run").read_text())
