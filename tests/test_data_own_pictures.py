"""Own pictures: a folder with a folder for each class, in any format, mode and size; what is refused, and how."""

import os
import unicodedata
import warnings

import numpy as np
import pytest
from own_pictures import COLOURS, make, put
from PIL import Image

from npse import data
from npse.data import pictures
from npse.training import Config, load_data


@pytest.fixture
def photos(tmp_path):
    return make(tmp_path / "photos")


def load(path, *size):
    return data.load(str(path), *size)


class TestReading:
    def test_classes_and_labels(self, photos):
        loaded = load(photos)
        assert (loaded.name, loaded.classes, loaded.shape) == ("photos", ("cat", "dog", "owl"), (32, 32, 3))
        assert np.bincount(loaded.labels).tolist() == [8, 8, 8]
        assert np.bincount(loaded.test_labels).tolist() == [2, 2, 2]
        for images, labels in ((loaded.images, loaded.labels), (loaded.test_images, loaded.test_labels)):
            assert np.array_equal(images[:, 3, 5], np.array(list(COLOURS.values()))[labels])

    def test_the_held_out_pictures_are_those_of_the_same_names(self, photos, tmp_path):
        first = load(photos)
        photos.rename(tmp_path / "elsewhere")
        again = load(tmp_path / "elsewhere")
        assert again.digest() == first.digest()
        assert any("one in 5 pictures of each class is a test picture" in note for note in first.notes)

    def test_a_new_picture_moves_few_others(self, photos):
        before = held_out(photos)
        put(photos / "cat" / "new.png")
        assert len(before & held_out(photos)) >= len(before) - 1

    def test_the_images_are_not_sorted_by_class(self, photos):
        labels = load(photos).labels
        assert not np.array_equal(labels, np.sort(labels))         # the last ones may be held out for validation

    @pytest.mark.parametrize("size", [8, 48])
    def test_size(self, photos, size):
        assert load(photos, size).shape == (size, size, 3)
        assert load_data(Config(data=str(photos), image_size=size, crop=2)).image_size == size

    def test_a_crop_larger_than_the_images(self, photos):
        with pytest.raises(ValueError, match=r"crop must lie in 0..7, because the images of photos are 8 pix"):
            load_data(Config(data=str(photos), image_size=8, crop=8))

    @pytest.mark.parametrize(("name", "mode"), [
        ("a.jpg", "RGB"), ("a.JPEG", "CMYK"), ("a.webp", "RGBA"), ("a.gif", "P"), ("a.png", "LA"), ("a.bmp", "1"),
        ("a.tif", "I;16"), ("a.png", "I;16"), ("a.ppm", "RGB"), ("a.tiff", "F"), ("a.png", "RGBA"), ("a.ico", "RGB"),
        ("a.jp2", "RGB")])
    def test_formats_and_modes(self, photos, name, mode):
        image = Image.new("L" if mode in ("LA", "I;16", "1", "F") else "RGB", (70, 50), 255 if mode == "F" else "white")
        if mode == "F":
            image = Image.fromarray(np.ones((50, 70), np.float32))
        elif mode == "I;16":
            image = Image.fromarray(np.full((50, 70), 65535, np.uint16))
        else:
            image = image.convert(mode)
        for n in range(5):
            image.save(photos / "cat" / f"{n}{name}")
        with warnings.catch_warnings(action="error"):
            images = load(photos).images
        assert ((images > 250).all(axis=(1, 2, 3))).sum() >= 3      # white, as a viewer shows it

    def test_a_turned_picture_is_turned_back(self, photos):
        values = np.zeros((32, 32, 3), np.uint8)
        values[:16] = 255
        exif = Image.Exif()
        exif[0x0112] = 6                                           # to be turned by 90 degrees, clockwise
        for n in range(10):
            Image.fromarray(values).save(photos / "cat" / f"{n}.png", exif=exif)
        loaded = load(photos)
        assert np.array_equal(loaded.images[loaded.labels == 0][0], np.rot90(values, -1))

    def test_a_large_jpeg_gives_the_same_image_as_a_large_png(self, photos):
        ramp = np.tile(np.linspace(0, 255, 640).astype(np.uint8), (480, 1))
        for name in ("a.jpg", "a.png"):
            Image.fromarray(ramp).save(photos / name, quality=95)
        from npse.data.picture import read_picture

        small = [read_picture(photos / name).astype(int) for name in ("a.jpg", "a.png")]
        assert np.abs(small[0] - small[1]).max() <= 3


def held_out(path):
    return set(pictures._parts(path, [])["test"]["cat"])


class TestNames:
    def test_nested_folders_belong_to_their_class(self, photos):
        put(photos / "cat" / "holiday" / "2024" / "0.png")
        assert counts(load(photos)) == [11, 10, 10]

    def test_hidden_files_and_folders_are_left_out(self, photos):
        (photos / "cat" / ".DS_Store").write_bytes(b"x")
        (photos / "cat" / "._1.png").write_bytes(b"x")
        put(photos / ".thumbnails" / "0.png")
        put(photos / "__MACOSX" / "0.png")
        put(photos / "dog" / ".cache" / "0.png")
        loaded = load(photos)
        assert counts(loaded) == [10, 10, 10]
        assert not any("left out" in note for note in loaded.notes)

    def test_other_files_are_left_out_and_counted(self, photos):
        (photos / "labels.csv").touch()
        (photos / "cat" / "a.txt").touch()
        (photos / "cat" / "b.TXT").touch()
        (photos / "dog" / "README").touch()
        note, _ = load(photos).notes
        assert note == f"files left out of {photos}: 2 x .txt, 1 x .csv, 1 x README"

    @pytest.mark.parametrize("name", ["Straße", "数字", "a b", "naïve", "ünï-cödé (2)", "x" * 100])
    def test_any_name(self, photos, name):
        (photos / "cat").rename(photos / name)
        assert name in load(photos).classes

    def test_a_name_has_one_form(self, photos):
        (photos / "cat").rename(photos / unicodedata.normalize("NFD", "été"))
        assert load(photos).classes[-1] == unicodedata.normalize("NFC", "été")

    @pytest.mark.skipif(os.name == "nt", reason="such names cannot exist")
    def test_a_name_that_cannot_be_printed_is_refused(self, photos):
        (photos / "cat").rename(photos / "a\nb")
        with pytest.raises(ValueError, match=r"has characters that cannot be printed; rename it"):
            load(photos)

    @pytest.mark.skipif(os.name == "nt", reason="links need a permission")
    def test_links(self, photos, tmp_path):
        put(tmp_path / "other" / "1.png")
        (photos / "cat" / "linked.png").symlink_to(tmp_path / "other" / "1.png")
        (photos / "dog" / "linked").symlink_to(tmp_path / "other")
        assert counts(load(photos)) == [11, 11, 10]
        (photos / "owl" / "up").symlink_to(photos)
        with pytest.raises(ValueError, match=r"owl.up is a link to a folder that contains it; remove the link"):
            load(photos)

    @pytest.mark.skipif(os.name == "nt", reason="links need a permission")
    def test_a_link_to_nothing_is_named(self, photos):
        (photos / "cat" / "gone.png").symlink_to(photos / "nowhere.png")
        with pytest.raises(ValueError, match=r"1 of 31 pictures in .* cannot be read; .*: cat.gone.png \(No such file"):
            load(photos)


def counts(dataset):
    return np.bincount(np.concatenate([dataset.labels, dataset.test_labels])).tolist()


class TestParts:
    @pytest.fixture
    def parts(self, photos):
        for part in ("train", "test"):
            for name, colour in COLOURS.items():
                put(photos / part / name / f"{part}.png", colour)
        for name in COLOURS:
            for file in (photos / name).iterdir():
                file.rename(photos / "train" / name / file.name)
            (photos / name).rmdir()
        return photos

    def test_train_and_test(self, parts):
        loaded = load(parts)
        assert np.bincount(loaded.labels).tolist() == [11] * 3
        assert sorted(loaded.test_labels) == [0, 1, 2]
        assert loaded.val_images is None
        assert loaded.notes == ()

    def test_val_in_place_of_test(self, parts):
        (parts / "test").rename(parts / "val")
        loaded = load(parts)
        assert sorted(loaded.test_labels) == [0, 1, 2]
        assert loaded.val_images is None

    def test_all_three(self, parts):
        for name, colour in COLOURS.items():
            put(parts / "val" / name / "a.png", colour)
        loaded = load(parts)
        assert loaded.val_images.shape == (3, 32, 32, 3)
        from npse.training.job import Split

        split = Split.from_dataset(loaded, 0)
        assert (split.evaluated_on, len(split.images), len(split.eval_images)) == ("validation", 33, 3)
        with pytest.raises(ValueError, match="validation must be 0, because photos has 3 images for val"):
            Split.from_dataset(loaded, 2)

    def test_train_alone_is_divided(self, parts):
        for file in sorted((parts / "test").rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
        (parts / "test").rmdir()
        assert np.bincount(load(parts).test_labels).tolist() == [2, 2, 2]

    def test_a_class_may_be_called_train(self, photos):
        (photos / "owl").rename(photos / "train")
        assert load(photos).classes == ("cat", "dog", "train")

    def test_parts_with_other_folders(self, parts):
        put(parts / "extra" / "a.png")
        with pytest.raises(ValueError, match=r"photos holds test, train and also extra; expected train, test"):
            load(parts)

    def test_parts_with_other_classes(self, parts):
        put(parts / "test" / "fox" / "a.png")
        with pytest.raises(ValueError, match="the classes of train and test differ in fox; expected a folder for each"):
            load(parts)


class TestRefused:
    def test_all_broken_pictures_are_named(self, photos):
        (photos / "cat" / "empty.png").touch()
        (photos / "dog" / "text.jpg").write_text("<html>404</html>")
        whole = (photos / "owl" / "1.png").read_bytes()
        (photos / "owl" / "cut.png").write_bytes(whole[:-30])
        Image.fromarray(np.array([[0, 2.5]], np.float32)).save(photos / "owl" / "float.tif")
        with pytest.raises(ValueError, match="4 of 34 pictures") as caught:
            load(photos)
        message = str(caught.value)
        assert "\n" not in message
        assert message.index("cat/empty.png (it is empty), dog/text.jpg (its format is unknown), owl/cut.png (") > 0
        assert "owl/float.tif (its values range from 0 to 2.5" in message

    def test_a_postscript_file_is_not_run(self, photos):
        from npse.data.picture import read

        Image.new("RGB", (9, 9)).save(photos / "cat" / "a.eps")
        assert "1 x .eps" in load(photos).notes[0]
        with pytest.raises(ValueError, match="PostScript program, which is not run"):
            read(photos / "cat" / "a.eps")
        (photos / "cat" / "a.eps").rename(photos / "cat" / "a.png")
        with pytest.raises(ValueError, match=r"1 of 31 pictures .* cat.a.png \(it is a PostScript program"):
            load(photos)

    def test_a_class_without_pictures(self, photos):
        (photos / "fox").mkdir()
        (photos / "elk").mkdir()
        (photos / "elk" / "a.heic").touch()
        with pytest.raises(ValueError, match=r"no picture is in the folders elk, fox; .*\(files left out: 1 x .heic\)"):
            load(photos)

    def test_folders_without_any_picture(self, tmp_path):
        for k in range(8):
            (tmp_path / str(k)).mkdir()
            (tmp_path / str(k) / f"a.{k}").touch()
        with pytest.raises(ValueError, match=r"has 8 folders, but no pictures in them; .* 1 x .5 and 2 other kinds\)"):
            load(tmp_path)

    @pytest.mark.parametrize(("kept", "match"), [(1, "has 1 folder of pictures"), (0, "has no folders of pictures")])
    def test_fewer_than_two_classes(self, photos, kept, match):
        for name in [*COLOURS][kept:]:
            for file in (photos / name).iterdir():
                file.rename(photos / f"{name}{file.name}")
            (photos / name).rmdir()
        with pytest.raises(ValueError, match=f"photos {match}; expected a folder for each of at least two classes"):
            load(photos)

    def test_a_class_with_one_picture(self, photos):
        for n in range(9):
            (photos / "cat" / f"{n}.png").unlink()
        with pytest.raises(ValueError, match=r"each class needs at least two pictures, .* but cat has one"):
            load(photos)

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(ValueError, match="has no folders of pictures; expected a folder for each of at"):
            load(tmp_path)
