"""CIFAR-10 from copies of every form, and the errors for wrong copies."""

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from cifar10_copies import FORMS, archive, folder, make_small, old_pickle, python_files, sheet_files

from npse import data
from npse.data import cifar10, copies
from npse.data.fetch import fetch


@pytest.fixture(autouse=True)
def _own_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("NPSE_DATA_DIR", str(tmp_path / "home"))


@pytest.fixture
def small_cifar10(monkeypatch):
    return make_small(monkeypatch)


class TestForms:
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("pack", [folder, archive])
    def test_every_form_gives_the_official_batches(self, small_cifar10, tmp_path, form, pack):
        assert cifar10.FILES.read(pack(tmp_path / "copy", FORMS[form](small_cifar10))) == small_cifar10

    @pytest.mark.parametrize(("form", "name"), [("python", "cifar-10-batches-py"), ("binary", "cifar-10-batches-bin")])
    def test_the_folder_that_contains_the_official_one_is_accepted(self, small_cifar10, tmp_path, form, name):
        folder(tmp_path / name, FORMS[form](small_cifar10))
        assert cifar10.FILES.read(tmp_path) == small_cifar10

    def test_loading(self, small_cifar10, tmp_path):
        fetch("cifar10", folder(tmp_path / "copy", python_files(small_cifar10)))
        loaded = data.load("cifar10")
        records = np.stack([np.frombuffer(b, np.uint8) for b in small_cifar10.values()]).reshape(-1, cifar10.RECORD)
        assert loaded.images.shape == (5 * cifar10.RECORDS, 32, 32, 3)
        assert loaded.test_images.shape == (cifar10.RECORDS, 32, 32, 3)
        assert np.array_equal(np.concatenate([loaded.labels, loaded.test_labels]), records[:, 0])
        planes = records[7, 1:].reshape(3, 32, 32)
        assert np.array_equal(loaded.images[7, 3, 5], planes[:, 3, 5])
        assert loaded.classes[3] == "cat"
        assert data.found() == ["shapes", "cifar10"]


class TestErrors:
    def test_nothing_at_the_path(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
            cifar10.FILES.read(tmp_path / "nowhere")

    def test_another_folder(self, tmp_path):
        with pytest.raises(ValueError, match=r"does not contain CIFAR-10: expected data_batch_1 .. test_b"):
            cifar10.FILES.read(tmp_path)

    @pytest.mark.parametrize("form", FORMS)
    def test_a_missing_batch_is_named(self, small_cifar10, tmp_path, form):
        files = FORMS[form](small_cifar10)
        lost = next(name for name in files if name.startswith("data_batch_4"))
        del files[lost]
        with pytest.raises(FileNotFoundError, match=f"lacks {lost};"):
            cifar10.FILES.read(folder(tmp_path / "copy", files))

    @pytest.mark.parametrize("form", FORMS)
    def test_a_truncated_batch_is_named(self, small_cifar10, tmp_path, form):
        files = FORMS[form](small_cifar10)
        short = next(name for name in files if name.startswith("data_batch_2"))
        files[short] = files[short][:-1000]
        with pytest.raises(ValueError, match=f"{short} in .*(truncated|cannot be read)"):
            cifar10.FILES.read(folder(tmp_path / "copy", files))

    @pytest.mark.parametrize("form", ["python", "binary"])
    def test_a_changed_byte_is_noticed(self, small_cifar10, tmp_path, form):
        files = FORMS[form](small_cifar10)
        name = next(name for name in files if name.startswith("test_batch"))
        middle = len(files[name]) // 2
        files[name] = files[name][:middle] + bytes([files[name][middle] ^ 1]) + files[name][middle + 1:]
        with pytest.raises(ValueError, match=f"{name} in .* has been changed.*sha256"):
            cifar10.FILES.read(folder(tmp_path / "copy", files))

    def test_changed_labels_are_noticed(self, small_cifar10, tmp_path):
        files = sheet_files(small_cifar10)
        files["train_lables.json"] = files["train_lables.json"].replace(b"1", b"2", 1)
        with pytest.raises(ValueError, match=r"data_batch_1.png in .* has been changed"):
            cifar10.FILES.read(folder(tmp_path / "copy", files))

    def test_a_truncated_archive(self, small_cifar10, tmp_path):
        path = archive(tmp_path / "copy.tar.gz", python_files(small_cifar10))
        path.write_bytes(path.read_bytes()[:200_000])
        with pytest.raises(ValueError, match=r"copy.tar.gz cannot be read as a compressed tar archive"):
            cifar10.FILES.read(path)

    def test_a_file_that_is_no_archive(self, tmp_path):
        (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff" * 1000)
        with pytest.raises(ValueError, match=r"photo.jpg cannot be read as a compressed tar archive"):
            cifar10.FILES.read(tmp_path / "photo.jpg")

    def test_a_huge_member_is_not_read(self, small_cifar10, tmp_path, monkeypatch):
        monkeypatch.setattr(copies, "LARGEST", 1000)
        with pytest.raises(ValueError, match="more than any file"):
            cifar10.FILES.read(archive(tmp_path / "copy.tar.gz", small_cifar10))

    @pytest.mark.parametrize("batch", [
        [1, 2],
        {b"labels": [1, 2]},
        {b"data": np.zeros((2, 3), np.uint8), b"labels": [1, 2]},
        {b"data": np.zeros((20, 3072), np.uint8), b"labels": ["cat"] * 20},
    ])
    def test_a_pickle_of_something_else(self, small_cifar10, tmp_path, batch):
        files = python_files(small_cifar10) | {"data_batch_3": old_pickle(batch)}
        with pytest.raises(ValueError, match=r"data_batch_3 in .* cannot be read as a file of CIFAR-10"):
            cifar10.FILES.read(folder(tmp_path / "copy", files))

    @pytest.mark.parametrize(("call", "name"), [
        ((os.system, ("touch harm",)), "system"),
        ((eval, ("1 + 1",)), "eval"),
        ((shutil.rmtree, ("harm",)), "shutil.rmtree"),
        ((np.load, ("harm",)), "numpy.load"),
    ])
    def test_a_pickle_that_would_run_a_program_is_refused(self, small_cifar10, tmp_path, monkeypatch, call, name):
        class Harm:
            def __reduce__(self):
                return call

        monkeypatch.chdir(tmp_path)
        files = python_files(small_cifar10) | {"data_batch_1": pickle.dumps({b"data": Harm()}, protocol=3)}
        with pytest.raises(ValueError, match=f"data_batch_1 in .* it asks for .*{name}.*; refused"):
            cifar10.FILES.read(folder(tmp_path / "copy", files))
        assert not Path("harm").exists()


class TestFolder:
    def test_not_fetched(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"is not in .*home; run: npse data fetch cifar10"):
            data.load("cifar10")
        assert data.found() == ["shapes"]

    def test_a_lost_file_is_named(self, fetched):
        (fetched / "data_batch_5.bin").unlink()
        with pytest.raises(FileNotFoundError, match=r"(?s)lacks data_batch_5.bin;.*data fetch cifar10"):
            data.load("cifar10")

    def test_a_truncated_file_is_named(self, fetched):
        file = fetched / "data_batch_2.bin"
        file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(ValueError, match=r"data_batch_2.bin in .* has 61459 bytes, expected 61460: it is tr"):
            data.load("cifar10")

    def test_a_changed_file_is_named(self, fetched):
        file = fetched / "test_batch.bin"
        file.write_bytes(b"\7" + file.read_bytes()[1:])
        with pytest.raises(ValueError, match=r"(?s)test_batch.bin in .* changed.*run: npse data fetch cifar10"):
            data.load("cifar10")

    def test_fetch_repairs_and_keeps_other_files(self, fetched, small_cifar10, tmp_path):
        (fetched / "data_batch_2.bin").write_bytes(b"")
        (fetched / "notes.txt").write_text("mine")
        fetch("cifar10", tmp_path / "copy")
        assert data.load("cifar10").labels.shape == (100,)
        assert (fetched / "notes.txt").read_text() == "mine"
        assert sorted(path.name for path in data.data_dir().iterdir()) == ["cifar10"]

    def test_fetch_leaves_whole_data_alone(self, fetched):
        lines = []
        fetch("cifar10", "nowhere", lines.append)
        assert lines == [f"CIFAR-10 is in {fetched} already"]

    def test_a_bad_source_changes_nothing(self, fetched, small_cifar10, tmp_path):
        (fetched / "data_batch_2.bin").unlink()
        bad = folder(tmp_path / "bad", small_cifar10 | {"data_batch_2.bin": b"short"})
        with pytest.raises(ValueError, match=r"data_batch_2.bin in"):
            fetch("cifar10", bad)
        assert len(list(fetched.iterdir())) == 5
        assert [path.name for path in data.data_dir().iterdir()] == ["cifar10"]

    def test_a_full_disk_leaves_nothing_behind(self, small_cifar10, tmp_path, monkeypatch):
        def full(path, content):
            raise OSError(28, "No space left on device", str(path))

        source = folder(tmp_path / "copy", small_cifar10)
        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            fetch("cifar10", source)
        assert list(data.data_dir().iterdir()) == []

    @pytest.mark.parametrize(("name", "match"), [("shapes", "built in"), ("mnist", "unknown data set 'mnist'")])
    def test_nothing_else_can_be_fetched(self, name, match):
        with pytest.raises(ValueError, match=match):
            fetch(name)


@pytest.fixture
def fetched(small_cifar10, tmp_path):
    """Return the folder of the data set, fetched from the folder tmp_path / "copy"."""
    return fetch("cifar10", folder(tmp_path / "copy", small_cifar10), lambda line: None)


@pytest.mark.skipif(not os.environ.get("NPSE_CIFAR10"), reason="NPSE_CIFAR10 names no folder with the official batches")
@pytest.mark.slow
def test_the_official_batches():
    fetch("cifar10", os.environ["NPSE_CIFAR10"])
    loaded = data.load("cifar10")
    assert loaded.images.shape == (50_000, 32, 32, 3)
    assert np.bincount(loaded.labels).tolist() == [5000] * 10
    assert loaded.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert np.array_equal(data.pixel_statistics(loaded.images), (loaded.mean, loaded.std))
