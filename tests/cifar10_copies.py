"""Copies of a small data set in place of CIFAR-10, in every form that npse reads."""

import hashlib
import io
import json
import pickle
import tarfile

import numpy as np
from PIL import Image

from npse.data import cifar10


def make_small(monkeypatch, records=20):
    """Make npse accept six batches of a few random records as the official ones; return {file name: bytes}."""
    rng = np.random.default_rng(0)
    batches = {}
    for name in cifar10.SHA256:
        content = rng.integers(0, 256, (records, cifar10.RECORD), np.uint8)
        content[:, 0] %= 10
        batches[name] = content.tobytes()
    monkeypatch.setattr(cifar10, "RECORDS", records)
    monkeypatch.setattr(cifar10, "SHA256", {name: hashlib.sha256(b).hexdigest() for name, b in batches.items()})
    return batches


def python_files(batches):
    """Return the batches as pickles of Python 2 and NumPy 1, with the labels first, like the official ones."""
    files = {}
    for name, content in batches.items():
        records = np.frombuffer(content, np.uint8).reshape(-1, cifar10.RECORD)
        batch = {b"labels": records[:, 0].tolist(), b"data": np.ascontiguousarray(records[:, 1:])}
        files[name.removesuffix(".bin")] = old_pickle(batch)
    return files


def old_pickle(content):
    return pickle.dumps(content, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def sheet_files(batches):
    """Return the batches in the form of the npm package."""
    files, labels = {}, []
    for name, content in batches.items():
        records = np.frombuffer(content, np.uint8).reshape(-1, cifar10.RECORD)
        pixels = records[:, 1:].reshape(-1, 3, 1024).transpose(0, 2, 1)
        png = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(png, "PNG")
        files[name.replace(".bin", ".png")] = png.getvalue()
        labels += records[:, 0].tolist()
    return files | {"train_lables.json": json.dumps(labels[:-cifar10.RECORDS]).encode(),
                    "test_lables.json": json.dumps(labels[-cifar10.RECORDS:]).encode()}


FORMS = {"python": python_files, "binary": dict, "sheets": sheet_files}


def folder(path, files):
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def archive(path, files, inside="anything/"):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(inside + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path
