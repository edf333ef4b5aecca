"""The numbers of cores and threads: affinity, a container's quota of processor time, NUMBA_NUM_THREADS."""

import os
import subprocess
import sys

import pytest

from npse import backend
from npse.support import environment

VERSION_1 = "9:name=systemd:/\n4:memory:/elsewhere\n2:cpu,cpuacct:{}\n0::/\n"


@pytest.fixture
def container(monkeypatch, tmp_path):
    """Give this process a control group, with the text of /proc/self/cgroup and files of limits, and eight cores."""
    def container(membership, **limits):
        for name, limit in limits.items():
            folder = tmp_path / "cgroup" / name.strip("/")
            folder.mkdir(parents=True, exist_ok=True)
            files = {"cpu.max": limit} if isinstance(limit, str) else {
                "cpu.cfs_quota_us": limit[0], "cpu.cfs_period_us": limit[1]}
            for file, content in files.items():
                (folder / file).write_text(f"{content}\n")
        (tmp_path / "membership").write_text(membership)
        monkeypatch.setattr(environment, "CONTROL_GROUPS", tmp_path / "cgroup")
        monkeypatch.setattr(environment, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    return container


@pytest.mark.parametrize(("membership", "limits", "quota", "cores"), [
    ("0::/\n", {"/": "100000 100000"}, 1, 1),
    ("0::/\n", {"/": "150000 100000"}, 1.5, 2),
    ("0::/\n", {"/": "25000 100000"}, 0.25, 1),
    ("0::/\n", {"/": "6400000 100000"}, 64, 8),
    ("0::/\n", {"/": "max 100000"}, None, 8),
    ("0::/\n", {}, None, 8),
    ("0::/a/b/c\n", {"/a": "200000 100000", "/a/b": "max 100000", "/a/b/c": "300000 100000"}, 2, 2),
    ("0::/a/b\n", {"/a/b": "300000 100000", "/a/b/c": "100000 100000", "/z": "100000 100000"}, 3, 3),
    ("0::/docker/0123\n", {"/": "400000 100000"}, 4, 4),          # the host's path, which is not visible
    ("0::/../../a\n", {"/": "200000 100000"}, 2, 2),
    ("0::/a\n", {"/unified/a": "200000 100000"}, 2, 2),
    (VERSION_1.format("/a"), {"/cpu,cpuacct/a": (250000, 100000)}, 2.5, 3),
    (VERSION_1.format("/a"), {"/cpu": (50000, 25000)}, 2, 2),
    (VERSION_1.format("/"), {"/cpu": (-1, 100000)}, None, 8),
    (VERSION_1.format("/"), {"/cpu": (100000, 0)}, None, 8),
    (VERSION_1.format("/"), {"/memory/elsewhere": (100000, 100000)}, None, 8),
    ("0::/\n", {"/": "nonsense"}, None, 8),
    ("0::/\n", {"/": ""}, None, 8),
])
def test_a_quota_limits_the_cores(container, membership, limits, quota, cores):
    container(membership, **limits)
    assert environment.quota() == quota
    assert environment.cores() == cores
    assert environment.record()["cores"] == cores


def test_without_control_groups_the_affinity_counts(container, monkeypatch, tmp_path):
    container("0::/\n")
    monkeypatch.setattr(environment, "MEMBERSHIP", tmp_path / "none")
    assert (environment.quota(), environment.cores()) == (None, 8)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert environment.cores() == 1


def test_threads_are_those_of_the_variable_else_the_cores(container, monkeypatch):
    container("0::/\n", **{"/": "200000 100000"})
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    assert environment.threads() == 2
    monkeypatch.setenv("NUMBA_NUM_THREADS", "5")
    assert environment.threads() == 5


@pytest.mark.parametrize("value", ["0", "-1", "abc", "100000", "1.5", "", " ", "²"])
def test_a_wrong_value_of_the_variable_is_one_line_and_info_still_works(monkeypatch, npse, value):
    pytest.importorskip("numba")
    line = (f"the environment variable NUMBA_NUM_THREADS must be an integer from 1 to 1024, but is {value!r}; "
            "unset it to use one thread for each core")
    monkeypatch.setenv("NUMBA_NUM_THREADS", value)
    with pytest.raises(ValueError, match="NUMBA_NUM_THREADS") as refused:
        backend.edition("cpu")
    assert str(refused.value) == line
    for words in (["train"], ["check"], ["check", "--edition", "cpu"]):
        assert npse(*words) == (2, "", f"npse: {line}\n")
    code, out, err = npse("info")
    assert (code, err) == (0, "")
    assert line in out


def test_the_blas_library_uses_the_quota_within_a_block(container):
    import numpy as np
    from threadpoolctl import ThreadpoolController

    np.ones((2, 2)) @ np.ones((2, 2))
    pools = ThreadpoolController().select(user_api="blas")

    def threads():
        return {pool.num_threads for pool in pools.lib_controllers}
    with pools.limit(limits=2):
        container("0::/\n")
        with environment.blas_within_quota():
            assert threads() == {2}
        container("0::/\n", **{"/": "100000 100000"})
        with environment.blas_within_quota():
            assert threads() == {1}
        container("0::/\n", **{"/": "800000 100000"})
        with environment.blas_within_quota():
            assert threads() == {2}                               # never more than there were
        assert threads() == {2}


def test_the_cpu_edition_starts_with_a_thread_for_each_core(tmp_path):
    pytest.importorskip("numba")
    code = ("from npse.support import environment; environment.quota = lambda: 1; "
            "import npse.cpu; print(npse.cpu.get_threads())")
    variables = {name: value for name, value in os.environ.items() if name != "NUMBA_NUM_THREADS"}
    for setting, threads in ({}, "1"), ({"NUMBA_NUM_THREADS": "3"}, "3"):
        ran = subprocess.run([sys.executable, "-c", code], env=variables | setting, capture_output=True, text=True)
        assert ran.stdout.strip() == threads, ran.stderr
