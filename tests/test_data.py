"""The embedded data set, the container of all data sets, and the batches."""

import dataclasses

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from npse import backend, data, reference
from npse.data import batches, shapes


@pytest.fixture(scope="module")
def drawn():
    return data.load("shapes")


class TestShapes:
    def test_bytes_are_the_pinned_ones(self, drawn):
        assert shapes.digest(drawn) == shapes.SHA256

    def test_sizes_and_balance(self, drawn):
        assert drawn.images.shape == (5000, 32, 32, 3)
        assert drawn.test_images.shape == (1000, 32, 32, 3)
        assert np.bincount(drawn.labels).tolist() == [500] * 10
        assert np.bincount(drawn.test_labels).tolist() == [100] * 10

    def test_no_picture_occurs_twice(self, drawn):
        both = np.concatenate([drawn.images, drawn.test_images]).reshape(6000, -1)
        assert len(np.unique(both, axis=0)) == 6000

    def test_statistics_are_those_of_the_pixels(self, drawn):
        pixels = drawn.test_images / 255
        mean, std = data.pixel_statistics(drawn.test_images)
        np.testing.assert_allclose(mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-6)
        np.testing.assert_allclose(std, pixels.std(axis=(0, 1, 2)), rtol=1e-6)
        assert np.array_equal(data.pixel_statistics(drawn.images), (drawn.mean, drawn.std))

    def test_a_linear_classifier_does_not_get_far(self, drawn):
        def rows(images):
            return ((images / np.float32(255) - drawn.mean) / drawn.std).reshape(len(images), -1)

        x, targets = rows(drawn.images), np.eye(10, dtype=np.float32)[drawn.labels] - np.float32(0.1)
        weights = np.linalg.solve(x.T @ x + 1e4 * np.eye(x.shape[1], dtype=np.float32), x.T @ targets)
        accuracy = ((rows(drawn.test_images) @ weights).argmax(axis=1) == drawn.test_labels).mean()
        assert 0.3 < accuracy < 0.6                              # about 0.45 is learned; chance is 0.1

    def test_a_crop_by_four_pixels_keeps_the_whole_object(self):
        outline = np.repeat(np.arange(5), 200)
        inside, _ = shapes._object(shapes._Random(0), outline, np.zeros(1000, int))
        assert inside[:, 8:-8, 8:-8].any(axis=(1, 2)).all()
        inside[:, 8:-8, 8:-8] = False                            # the masks have twice the resolution of the picture
        assert not inside.any()

    def test_texture_distinguishes_the_variants(self):
        outline, variant = np.full(200, shapes._TEXTURED), np.arange(200) % 2
        inside, even = shapes._object(shapes._Random(0), outline, variant)
        shares = (inside & even).sum(axis=(1, 2)) / inside.sum(axis=(1, 2))
        assert 0.25 < shares.min() < shares.max() < 0.75

    def test_seeds(self):
        images, labels = shapes.draw(30, seed=7)
        again, _ = shapes.draw(30, seed=7)
        other, _ = shapes.draw(30, seed=8)
        assert np.array_equal(images, again)
        assert not np.array_equal(images, other)
        assert labels.tolist() == [*range(10)] * 3

    def test_other_bytes_give_a_warning(self, monkeypatch):
        draw = shapes.draw
        monkeypatch.setattr(shapes, "draw", lambda count, seed: draw(20, seed))
        with pytest.warns(RuntimeWarning, match="has sha256 .* expected f6ad51e6"):
            data.load("shapes")

    @pytest.mark.parametrize(("hue", "colour"), [(0, (1, 0, 0)), (1 / 6, (1, 1, 0)), (1 / 3, (0, 1, 0)),
                                                 (2 / 3, (0, 0, 1)), (-1 / 6, (1, 0, 1)), (7 / 6, (1, 1, 0))])
    def test_hues(self, hue, colour):
        one = np.ones(1, np.float32)
        np.testing.assert_allclose(shapes._rgb(hue * one, one, one), [colour], atol=1e-6)


class TestDataset:
    @pytest.mark.parametrize(("change", "error", "match"), [
        ({"images": np.zeros((4, 32, 32, 3))}, TypeError, "images must be an array of uint8, but is float64"),
        ({"images": [1, 2]}, TypeError, "images must be an array of uint8, but is list"),
        ({"images": np.zeros((4, 3, 32, 32), np.uint8)}, ValueError, r"shape \(N, S, S, 3\) or .*, but has \(4, 3,"),
        ({"images": np.zeros((4, 32, 32), np.uint8)}, ValueError, r"but has \(4, 32, 32\)"),
        ({"labels": np.zeros(4, np.int32)}, TypeError, "labels must be an array of int64, but is int32"),
        ({"labels": np.zeros(5, np.int64)}, ValueError, r"labels must have shape \(4\), but has \(5,\)"),
        ({"test_labels": np.array([0, 2])}, ValueError, r"test_labels must lie in 0..1, but reach 0..2"),
        ({"labels": np.array([0, -1, 0, 1])}, ValueError, r"labels must lie in 0..1, but reach -1..1"),
        ({"test_images": np.zeros((0, 32, 32, 3), np.uint8), "test_labels": np.zeros(0, np.int64)}, ValueError,
         "test_images is empty"),
        ({"mean": np.zeros(3)}, TypeError, "mean must be an array of float32, but is float64"),
        ({"std": np.zeros(3, np.float32)}, ValueError, "std above 0"),
        ({"mean": np.full(3, np.nan, np.float32)}, ValueError, "mean must be finite"),
    ])
    def test_errors_name_what_is_wrong(self, change, error, match):
        with pytest.raises(error, match=match):
            dataclasses.replace(tiny(), **change)

    def test_is_frozen(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            tiny().labels = None

    def test_repr_is_short(self):
        assert repr(tiny()) == "Dataset('tiny': 4 training and 2 test images, 2 classes)"

    def test_unknown_name(self):
        with pytest.raises(ValueError, match="unknown data set 'mnist'; known are: shapes, cifar10"):
            data.load("mnist")

    def test_folder(self, monkeypatch, tmp_path):
        monkeypatch.setenv("NPSE_DATA_DIR", str(tmp_path))
        assert data.data_dir() == tmp_path
        monkeypatch.delenv("NPSE_DATA_DIR")
        assert data.data_dir().name == "data"
        assert data.data_dir().parent.name == "npse"


def tiny():
    return data.Dataset("tiny", np.zeros((4, 32, 32, 3), np.uint8), np.array([0, 1, 0, 1]),
                        np.zeros((2, 32, 32, 3), np.uint8), np.array([0, 1]), ("a", "b"),
                        np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32))


class Recorder:
    """An edition that records the arguments of `augment`."""

    def __init__(self):
        self.calls = []

    def augment(self, *arguments):
        self.calls.append(arguments)
        return reference.augment(*arguments)


class TestBatches:
    count = 130
    mean, std = np.array([0.4, 0.5, 0.6], np.float32), np.array([0.2, 0.25, 0.3], np.float32)
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)
    numbers = np.arange(count)                                   # in place of labels: they identify the images

    def epoch(self, batch_size=32, seed=3, epoch=5, start=0):
        return list(data.training_batches(self.images, self.numbers, self.mean, self.std, batch_size, seed, epoch,
                                          start))

    def test_an_epoch_has_every_image_once_except_the_rest(self):
        shown = np.concatenate([numbers for _, numbers in self.epoch()])
        assert len(shown) == 128
        assert len(set(shown)) == 128
        assert not np.array_equal(np.sort(shown), shown)

    def test_crops_move_no_further_than_they_may(self):
        for crop in (0, 2):
            recorder = Recorder()
            with backend.using_edition(recorder):
                list(data.training_batches(self.images, self.numbers, self.mean, self.std, 32, 3, 5, crop=crop))
            for _, top, left, _, _, _, padding in recorder.calls:
                assert padding == crop
                assert {*top, *left} == set(range(2 * crop + 1))

    def test_jitter_changes_each_image_by_two_numbers_and_moves_no_crop(self):
        plain, changed = (next(data.training_batches(self.images, self.numbers, self.mean, self.std, 32, 3, 5,
                                                     jitter=jitter))[0] for jitter in (0.0, 0.2))
        assert changed.dtype == np.float32
        lines = np.array([np.polyfit(x.ravel(), y.ravel(), 1) for x, y in zip(plain, changed, strict=True)])
        contrast, brightness = lines[:, 0] - 1, lines[:, 1]
        for x, y, line in zip(plain, changed, lines, strict=True):
            np.testing.assert_allclose(np.polyval(line, x), y, atol=1e-5)
        for change in (contrast, brightness):
            assert 0.1 < np.abs(change).max() <= 0.2
            assert change.min() < 0 < change.max()
        assert np.abs(np.corrcoef(contrast, brightness)[0, 1]) < 0.6

    def test_batches_are_float32_of_the_right_images(self):
        for x, numbers in self.epoch():
            assert x.dtype == np.float32
            assert x.shape == (32, 32, 32, 3)
            middle = reference.normalize(self.images[numbers], self.mean, self.std)[:, 12:20, 12:20]
            for picture, part in zip(x, middle, strict=True):    # every crop contains the middle, perhaps mirrored
                windows = sliding_window_view(picture, (8, 8), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
                assert any((windows == p).all(axis=(2, 3, 4)).any() for p in (part, part[:, ::-1]))

    @pytest.mark.parametrize("start", [0, 1, 3, 4])
    def test_an_epoch_can_be_started_at_any_step(self, start):
        whole, rest = self.epoch()[start:], self.epoch(start=start)
        assert len(whole) == len(rest) == 4 - start
        for (x, numbers), (other_x, other_numbers) in zip(whole, rest, strict=True):
            assert np.array_equal(x, other_x)
            assert np.array_equal(numbers, other_numbers)

    def test_two_epochs_have_both_mirror_images_of_every_image(self):
        sides = []
        for epoch in (4, 5, 6):
            recorder = Recorder()
            with backend.using_edition(recorder):
                numbers = np.concatenate([numbers for _, numbers in self.epoch(batch_size=13, epoch=epoch)])
            sides.append(np.concatenate([call[3] for call in recorder.calls])[np.argsort(numbers)])
        assert np.array_equal(sides[0], ~sides[1])
        assert np.array_equal(sides[0], sides[2])
        assert 0.3 < sides[0].mean() < 0.7

    def test_seed_and_epoch_change_order_and_crops(self):
        first = self.epoch()[0]
        for other in (self.epoch(seed=4)[0], self.epoch(epoch=6)[0]):
            assert not np.array_equal(first[1], other[1])

    def test_crops_and_flips_take_all_their_values(self):
        recorder = Recorder()
        with backend.using_edition(recorder):
            self.epoch()
        _, top, left, flip, *_ = (np.concatenate(values) if values[0].ndim == 1 else None
                                  for values in zip(*(call[:4] for call in recorder.calls), strict=True))
        assert set(top) == set(left) == set(range(9))
        assert not np.array_equal(top, left)
        assert 0.3 < flip.mean() < 0.7

    def test_no_two_positions_share_a_stream(self):
        generators = [np.random.default_rng(3), *(batches._generator(3, *position) for position in
                                                  ((0,), (1,), (0, 0), (0, 1), (1, 0), (1, 1)))]
        assert len({rng.random() for rng in generators}) == len(generators)

    def test_fewer_images_than_a_batch(self):
        (x, numbers), = self.epoch(batch_size=200)
        assert sorted(numbers) == [*range(self.count)]
        assert len(x) == self.count

    @pytest.mark.parametrize(("count", "size", "steps"), [(130, 32, 4), (128, 32, 4), (31, 32, 1), (1, 1, 1)])
    def test_steps(self, count, size, steps):
        assert data.steps_per_epoch(count, size) == steps

    @pytest.mark.parametrize(("count", "size"), [(0, 32), (10, 0), (10, -1)])
    def test_nothing_to_make_batches_of(self, count, size):
        match = f"{count} images and the batch size is {size}"
        with pytest.raises(ValueError, match=match):
            data.steps_per_epoch(count, size)
        with pytest.raises(ValueError, match=match):
            next(data.evaluation_batches(self.images[:count], self.mean, self.std, size))

    def test_labels_must_match(self):
        with pytest.raises(ValueError, match="130 images and 4 labels"):
            next(data.training_batches(self.images, self.numbers[:4], self.mean, self.std, 32, 0, 0))

    def test_evaluation_has_all_images_in_order(self):
        parts = list(data.evaluation_batches(self.images, self.mean, self.std, 50))
        assert [len(part) for part in parts] == [50, 50, 30]
        assert np.array_equal(np.concatenate(parts), reference.normalize(self.images, self.mean, self.std))
