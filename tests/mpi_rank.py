"""`npse train` on 48 small images, with a planted event: python mpi_rank.py EVENT OPTION ...

EVENT is JSON: {"float64": true} trains in float64; {"rank": 1, "step": 3, "do": "kill"} does so in that rank, before
that step; {"save": true} saves after each step; {"versions": true} makes rank 1 claim another version of NumPy;
{"data": true} gives rank 1 another image.
"""

import dataclasses
import json
import os
import resource
import signal
import sys

import numpy as np

import npse.training
from npse import cli, data
from npse.cli import run as cli_run
from npse.support import environment
from npse.training import loop
from npse.training.ranks import launched
from npse.training.step import Step

event, rank = json.loads(sys.argv.pop(1)), launched()[0]
whole = data.load("shapes")
few = dataclasses.replace(whole, images=whole.images[:48, ::4, ::4].copy(), labels=whole.labels[:48],
                          test_images=whole.test_images[:24, ::4, ::4].copy(), test_labels=whole.test_labels[:24])
if event.get("data") and rank == 1:
    few.images[0, 0, 0, 0] ^= 1
if event.get("versions") and rank == 1:
    true_versions = environment.versions
    environment.versions = lambda: true_versions() | {"numpy": "1.0"}
if event.get("save"):
    loop.CHECKPOINT_SECONDS = 0.0
prepare, plain, steps = npse.training.prepare, Step.plain, [0]


def wide(config):
    """Return a job in float64."""
    job = prepare(config)
    network = job.network.astype(np.float64)
    for name in ("mean", "std"):                                  # a batch has their dtype; users' data is float32
        object.__setattr__(job.dataset, name, getattr(job.dataset, name).astype(np.float64))
    return dataclasses.replace(job, optimizer=config.optimizer_for(network))


def eventful(self, *arguments, **options):
    """Make a step; before that, do what is planted."""
    steps[0] += 1
    if (rank, steps[0]) == (event.get("rank"), event.get("step")):
        what = event["do"]
        if what == "fail":
            raise MemoryError("this is planted")
        if what == "disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        else:
            os.kill(os.getpid(), {"kill": signal.SIGKILL, "hang": signal.SIGSTOP, "interrupt": signal.SIGINT}[what])
    return plain(self, *arguments, **options)


def report(job, folder, views):
    """Stand in for the page and the pictures, which take seconds."""
    print(f"test accuracy {views['none'].accuracy:.2%}")


data.load = lambda name, image_size: few
if event.get("float64"):
    npse.training.prepare = wide
Step.plain, cli_run._report = eventful, report
sys.argv[0] = "npse"
cli.main()
