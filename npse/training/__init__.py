"""Training: settings, schedule, optimizer, loop, checkpoints, evaluation and the run folder."""

from npse.training.config import Config
from npse.training.evaluation import Evaluation, evaluate, predict
from npse.training.job import TrainingJob, prepare
from npse.training.loop import Interrupted, run
from npse.training.optimizer import SGD, Muon, Optimizer
from npse.training.parameter_groups import ParameterGroup
from npse.training.parts import build_network, load_data
from npse.training.reporter import Reporter
from npse.training.run_folder import RunFolder
from npse.training.schedule import one_cycle
from npse.training.step import Step

__all__ = [
           "SGD",
           "Config",
           "Evaluation",
           "Interrupted",
           "Muon",
           "Optimizer",
           "ParameterGroup",
           "Reporter",
           "RunFolder",
           "Step",
           "TrainingJob",
           "build_network",
           "evaluate",
           "load_data",
           "one_cycle",
           "predict",
           "prepare",
           "run",
]
