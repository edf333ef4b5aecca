"""The process of a run of a sweep, on a few images, with a checkpoint after every step: python lab_worker.py JOB."""

import dataclasses

from npse import data
from npse.lab import worker
from npse.training import loop

loop.CHECKPOINT_SECONDS = 0.0                                     # kills often interrupt a save

whole = data.load("shapes")
few = dataclasses.replace(whole, images=whole.images[:160], labels=whole.labels[:160],
                          test_images=whole.test_images[:50], test_labels=whole.test_labels[:50])
data.load = lambda name, image_size: few
worker.main()
