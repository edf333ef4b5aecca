"""Data sets that already lie somewhere are used as they are: by path, and through NPSE_DATA_DIR."""

import os
from pathlib import Path

import numpy as np
import pytest
from cifar10_copies import FORMS, archive, folder, make_small, python_files
from shares import some

from npse import data
from npse.data import cifar10
from npse.data.fetch import fetch
from npse.data.published import Published
from npse.data.registry import Entry

OFFICIAL = os.environ.get("NPSE_CIFAR10")


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setenv("NPSE_DATA_DIR", str(tmp_path / "home"))
    return make_small(monkeypatch)


@pytest.fixture
def places(small, tmp_path):
    """CIFAR-10 in all places where it may lie: its official folder, the parent of that, its archive."""
    parent = tmp_path / "data sets"
    parent.mkdir()
    return {"folder": folder(parent / "cifar-10-batches-py", python_files(small)), "parent": parent,
            "archive": archive(tmp_path / "cifar-10-python.tar.gz", python_files(small), "cifar-10-batches-py/")}


PLACES = ("folder", "parent", "archive")


def everything_in(path):
    return sorted(str(file) for file in path.rglob("*"))


@pytest.mark.parametrize("place", PLACES)
def test_by_path(places, tmp_path, place):
    before = everything_in(tmp_path)
    loaded = data.load(str(places[place]))
    assert (loaded.name, loaded.images.shape) == ("cifar10", (100, 32, 32, 3))
    assert (data.name_of(str(places[place])), data.epochs_of(str(places[place]))) == ("cifar10", 30)
    assert everything_in(tmp_path) == before                        # nothing was copied


@pytest.mark.parametrize("place", PLACES)
def test_by_the_variable(places, monkeypatch, place):
    monkeypatch.setenv("NPSE_DATA_DIR", str(places[place]))
    assert data.load("cifar10").images.shape == (100, 32, 32, 3)
    assert data.found() == ["shapes", "cifar10"]


def test_an_archive_in_the_data_folder_is_found(places, monkeypatch, tmp_path):
    (tmp_path / "downloads").mkdir()
    places["archive"].rename(tmp_path / "downloads" / places["archive"].name)
    monkeypatch.setenv("NPSE_DATA_DIR", str(tmp_path / "downloads"))
    assert data.load("cifar10").labels.shape == (100,)


def test_what_was_fetched_is_used_first(places, small, monkeypatch):
    monkeypatch.setenv("NPSE_DATA_DIR", str(places["parent"]))
    fetch("cifar10", places["archive"], lambda line: None)
    (places["folder"] / "data_batch_1").write_bytes(b"")
    assert data.load("cifar10").labels.shape == (100,)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_by_path(small, tmp_path, form):
    assert data.load(str(folder(tmp_path / "copy", FORMS[form](small)))).test_labels.shape == (20,)


def test_a_relative_path_and_the_home(places, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for path in ("data sets", "data sets/", "./data sets", "~/data sets"):
        assert data.located(path) == str(places["parent"])
        assert data.load(path).name == "cifar10"


def test_a_path_object(places):
    assert data.load(places["folder"]).name == "cifar10"


def test_a_name_is_not_taken_for_a_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shapes").mkdir()
    assert data.located("shapes") == data.name_of("shapes") == "shapes"
    assert data.located("./shapes") == str(tmp_path / "shapes")


@pytest.mark.parametrize(("path", "error", "match"), [
    ("nowhere/photos", FileNotFoundError, r"nowhere.photos does not exist; expected a data set"),
    ("notes.txt", ValueError, r"notes.txt is not a data set; expected the official tar.gz of one, or a folder"),
    ("photos.zip", ValueError, r"photos.zip is not a data set"),
    ("mnist", ValueError, r"unknown data set 'mnist'; .*known are: shapes, cifar10, .*; or the path of a"),
    ("", ValueError, "unknown data set ''"),
])
def test_what_is_no_data_set(monkeypatch, tmp_path, path, error, match):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "photos.zip").write_bytes(b"PK\3\4")
    for call in (data.load, data.name_of, data.epochs_of):
        with pytest.raises(error, match=match):
            call(path)


def test_a_truncated_archive_is_named(places):
    places["archive"].write_bytes(places["archive"].read_bytes()[:150_000])
    with pytest.raises(ValueError, match=r"cifar-10-python.tar.gz cannot be read as a compressed tar archive"):
        data.load(str(places["archive"]))


def test_a_lost_file_is_named_with_its_remedy(places):
    (places["folder"] / "data_batch_3").unlink()
    with pytest.raises(FileNotFoundError, match=r"(?s)lacks data_batch_3; the other .*npse data fetch cifar10; or, if"):
        data.load(str(places["parent"]))


def test_a_folder_with_two_data_sets(places):
    folder(places["parent"] / "cifar-100-python", {"train": b"", "test": b""})
    with pytest.raises(ValueError, match="data sets holds CIFAR-10 and CIFAR-100; name the folder of one of"):
        data.load(str(places["parent"]))


def test_nothing_is_fetched_into_an_archive(places, monkeypatch):
    monkeypatch.setenv("NPSE_DATA_DIR", str(places["archive"]))
    with pytest.raises(NotADirectoryError, match=r"NPSE_DATA_DIR is the file .*gz, which is used as it is; to fetch"):
        fetch("cifar10", places["folder"])


def test_only_own_pictures_have_another_size(places):
    with pytest.raises(ValueError, match="image_size is for own pictures; the images of cifar10 have 32x32 pixels"):
        data.load(str(places["folder"]), 64)
    assert data.load(str(places["folder"]), 32).name == "cifar10"


def test_the_table_states_what_is_loaded(places, few_shapes):
    for loaded in (few_shapes, data.load(places["folder"])):
        entry = data.SETS[loaded.name]
        assert (loaded.name, loaded.shape) == (entry.name, (entry.image_size, entry.image_size, entry.channels))
        assert len(loaded.classes) == entry.classes


def test_a_new_data_set_is_a_class_and_a_line(monkeypatch, tmp_path):
    class Dots(Published):
        name, title, forms, downloads = "dots", "Dots", {"raw": ("dots.bin",)}, ()

        def fault(self, name, content):
            return None if len(content) == 8 * 8 * 3 * 4 else f"has {len(content)} bytes, expected {8 * 8 * 3 * 4}"

    def dataset(files):
        images = np.frombuffer(files["dots.bin"], np.uint8).reshape(4, 8, 8, 3)
        labels = np.array([0, 1, 0, 1])
        return data.Dataset("dots", images, labels, images, labels, ("a", "b"), *data.pixel_statistics(images))

    monkeypatch.setitem(data.SETS, "dots", Entry("dots", "dots", 8, 3, 2, 5, dataset, Dots()))
    folder(tmp_path / "copy", {"dots.bin": bytes(range(256)) * 3})
    assert data.load(str(tmp_path / "copy")).name == "dots"
    fetch("dots", tmp_path / "copy", lambda line: None)
    assert (data.load("dots").shape, data.epochs_of("dots"), data.found()) == ((8, 8, 3), 5, ["shapes", "dots"])
    with pytest.raises(ValueError, match="did you mean dots"):
        data.load("dotz")


@pytest.mark.skipif(not OFFICIAL, reason="NPSE_CIFAR10 names no folder with the official batches")
@pytest.mark.parametrize("place", some(["folder", "parent"], 2))
def test_the_official_batches(monkeypatch, place):
    monkeypatch.undo()
    path = Path(OFFICIAL) if place == "folder" else Path(OFFICIAL).parent
    loaded = data.load(str(path))
    assert np.bincount(loaded.labels).tolist() == [5000] * 10
    monkeypatch.setenv("NPSE_DATA_DIR", str(path))
    assert data.load("cifar10").digest() == loaded.digest()
    assert cifar10.FILES.place() == path
