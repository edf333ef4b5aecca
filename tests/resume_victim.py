"""A small real run in its own process, which a test kills: python resume_victim.py FOLDER."""

import dataclasses
import sys

from npse import backend, data
from npse.cli.progress import Lines
from npse.training import Config, RunFolder, loop, prepare, run

loop.CHECKPOINT_SECONDS = 0.0                                     # save after every step: kills often interrupt a save

whole = data.load("shapes")
few = dataclasses.replace(whole, images=whole.images[:160], labels=whole.labels[:160],
                          test_images=whole.test_images[:50], test_labels=whole.test_labels[:50])
data.load = lambda name, image_size: few

job = prepare(Config(batch_size=32, epochs=4))
folder = RunFolder(sys.argv[1])
resume = folder.path.exists() and folder.config_file.exists()
if not resume:
    folder.create(job.config, few, {})
backend.use("auto")
run(job, folder, Lines(), resume=resume)
print("finished", flush=True)
