"""CIFAR-100 from archives of its forms, with fine and coarse labels, and the errors for damaged ones.

The archives are made here, with a few random images; their hashes replace the official ones.
"""

import hashlib

import numpy as np
import pytest
from cifar10_copies import archive, folder, old_pickle

from npse import data
from npse.data import cifar100
from npse.data.fetch import fetch

SIZES = {"train": 30, "test": 12}
FILES = cifar100.FILES


def contents(images=None, fine=None):
    """Return the files of both forms, with random images, by name."""
    rng = np.random.default_rng(0)
    files = {}
    for part, count in (images or SIZES).items():
        pixels = rng.integers(0, 256, (count, 3072), np.uint8)
        labels = rng.integers(0, 100, count) if fine is None else np.full(count, fine)
        coarse = labels % 20
        files[part] = old_pickle({b"filenames": [b"a.png"] * count, b"batch_label": b"a part", b"data": pixels,
                                  b"fine_labels": labels.tolist(), b"coarse_labels": coarse.tolist()})
        files[f"{part}.bin"] = np.column_stack([coarse, labels, pixels]).astype(np.uint8).tobytes()
    return files


@pytest.fixture
def official(monkeypatch, tmp_path):
    """Small files in place of the official ones, in both forms, by name."""
    files = contents()
    monkeypatch.setenv("NPSE_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setattr(cifar100, "IMAGES", SIZES)
    monkeypatch.setattr(cifar100, "DIGESTS", {
        name: f"sha256:{hashlib.sha256(content).hexdigest()}" for name, content in files.items()})
    return files


def form(files, name):
    return {each: files[each] for each in FILES.forms[name]}


@pytest.mark.parametrize("pack", [folder, archive])
@pytest.mark.parametrize("name", FILES.forms)
def test_both_forms_give_the_same_images_and_labels(official, tmp_path, name, pack):
    path = pack(tmp_path / "copy", form(official, name))
    fine, records = data.load(str(path)), np.frombuffer(official["train.bin"], np.uint8).reshape(-1, 3074)
    assert (fine.name, fine.images.shape, fine.test_images.shape) == ("cifar100", (30, 32, 32, 3), (12, 32, 32, 3))
    assert np.array_equal(fine.labels, records[:, 1])
    assert np.array_equal(fine.images[7, 3, 5], records[7, 2:].reshape(3, 32, 32)[:, 3, 5])
    assert np.array_equal(data.pixel_statistics(fine.images), (fine.mean, fine.std))


@pytest.mark.parametrize("name", FILES.forms)
def test_the_name_chooses_the_labels(official, tmp_path, name):
    fetch("cifar100", folder(tmp_path / "copy", form(official, name)), lambda line: None)
    fine, coarse = data.load("cifar100"), data.load("cifar100-coarse")
    assert (len(fine.classes), len(coarse.classes)) == (100, 20)
    assert np.array_equal(coarse.labels, fine.labels % 20)
    assert np.array_equal(coarse.images, fine.images)
    assert data.found() == ["shapes", "cifar100", "cifar100-coarse"]


def test_the_names_of_the_classes_are_those_of_the_official_list():
    assert list(cifar100.FINE) == sorted(set(cifar100.FINE))
    assert list(cifar100.COARSE) == sorted(set(cifar100.COARSE))
    assert (cifar100.FINE[19], cifar100.FINE[71], cifar100.COARSE[14]) == ("cattle", "sea", "people")


def test_either_name_fetches_the_files_once(official, tmp_path):
    lines = []
    fetch("cifar100-coarse", archive(tmp_path / "copy.tar.gz", form(official, "python")), lines.append)
    fetch("cifar100", "nowhere", lines.append)
    assert lines == [f"CIFAR-100 is in {tmp_path / 'home' / 'cifar100'}, every file verified",
                     f"CIFAR-100 is in {tmp_path / 'home' / 'cifar100'} already"]


@pytest.mark.parametrize("pack", [folder, archive])
@pytest.mark.parametrize("name", FILES.forms)
class TestDamage:
    def test_a_missing_file_is_named(self, official, tmp_path, name, pack):
        train, test = FILES.forms[name]
        with pytest.raises(FileNotFoundError, match=f"copy lacks {test}; the other files of CIFAR-100 .{name} form."):
            FILES.read(pack(tmp_path / "copy", {train: official[train]}))

    def test_a_truncated_file_is_named(self, official, tmp_path, name, pack):
        _, test = FILES.forms[name]
        path = pack(tmp_path / "copy", form(official | {test: official[test][:-3000]}, name))
        with pytest.raises(ValueError, match=rf"{test} in .*copy (has 33888 bytes, expected 36888: it is truncated|"
                                             "cannot be read as a file of CIFAR-100: )"):
            FILES.read(path)

    def test_a_changed_byte_is_noticed(self, official, tmp_path, name, pack):
        train, _ = FILES.forms[name]
        content = bytearray(official[train])
        content[-9000] ^= 1
        with pytest.raises(ValueError, match=rf"{train} in .* has been changed, or is another file: its sha256 is"):
            FILES.read(pack(tmp_path / "copy", form(official | {train: bytes(content)}, name)))

    def test_a_wrong_class_number_is_named(self, official, tmp_path, name, pack):
        train, _ = FILES.forms[name]
        with pytest.raises(ValueError, match=rf"{train} in .* has the class number 107, expected 0..99 for the fine"):
            FILES.read(pack(tmp_path / "copy", form(contents(fine=107), name)))

    def test_another_number_of_images_is_named(self, official, tmp_path, name, pack):
        train, _ = FILES.forms[name]
        with pytest.raises(ValueError, match=rf"{train} in .* has (29 images|89146 bytes), expected (30|92220)"):
            FILES.read(pack(tmp_path / "copy", form(contents({"train": 29, "test": 12}), name)))


def test_a_truncated_archive_is_named(official, tmp_path):
    path = archive(tmp_path / "copy.tar.gz", form(official, "python"))
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(ValueError, match=r"copy.tar.gz cannot be read as a compressed tar archive"):
        FILES.read(path)


@pytest.mark.parametrize("batch", [{b"data": 1}, [1], {b"data": np.zeros((30, 3072)), b"coarse_labels": [0] * 30,
                                                       b"fine_labels": [0] * 30}])
def test_a_pickle_of_something_else(official, tmp_path, batch):
    with pytest.raises(ValueError, match=r"train in .* cannot be read as a file of CIFAR-100"):
        FILES.read(folder(tmp_path / "copy", {"train": old_pickle(batch), "test": official["test"]}))


def test_not_fetched(official):
    for name in ("cifar100", "cifar100-coarse"):
        with pytest.raises(FileNotFoundError, match=r"CIFAR-100 is not in .*; run: npse data fetch cifar100; or"):
            data.load(name)
