"""Data sets, and the batches for training and evaluation. Images stay uint8 until a batch is made."""

from npse.data.batches import evaluation_batches, steps_per_epoch, training_batches
from npse.data.dataset import Dataset, pixel_statistics
from npse.data.folder import data_dir
from npse.data.registry import SETS, epochs_of, expect_known, found, load, located, name_of

__all__ = ["SETS", "Dataset", "data_dir", "epochs_of", "evaluation_batches", "expect_known", "found", "load", "located",
           "name_of", "pixel_statistics", "steps_per_epoch", "training_batches"]
