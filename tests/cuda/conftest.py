"""A file is collected only in the kind of process that its mark names; see tests/cuda_processes.py."""

from cuda_processes import kind_of, this_process


def pytest_ignore_collect(collection_path, config):
    if collection_path.match("test_*.py"):
        return kind_of(collection_path) != this_process() or None
