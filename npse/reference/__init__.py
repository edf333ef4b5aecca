"""The book: every op of npse in plain NumPy, each backward under its forward.

This edition is the contract: another edition may lack an op, but never differs in name, argument, result or convention.

`OPS` lists the names of the ops. Each op is declared once, by `contract.op`, in its chapter. A chapter is a module.
"""

from npse.reference.activation import *  # noqa: F403
from npse.reference.augment import *  # noqa: F403
from npse.reference.batch_norm import *  # noqa: F403
from npse.reference.bn_scale_add_relu import *  # noqa: F403
from npse.reference.channels import *  # noqa: F403
from npse.reference.contract import TABLE
from npse.reference.conv import *  # noqa: F403
from npse.reference.dense import *  # noqa: F403
from npse.reference.dropout import *  # noqa: F403
from npse.reference.excitations import *  # noqa: F403
from npse.reference.fused import *  # noqa: F403
from npse.reference.grouped_conv import *  # noqa: F403
from npse.reference.loss import *  # noqa: F403
from npse.reference.map_gates import *  # noqa: F403
from npse.reference.muon import *  # noqa: F403
from npse.reference.old_names import answers_to_old_names
from npse.reference.pool import *  # noqa: F403
from npse.reference.residual import *  # noqa: F403
from npse.reference.se import *  # noqa: F403
from npse.reference.self_gated import *  # noqa: F403
from npse.reference.sgd import *  # noqa: F403
from npse.reference.shake import *  # noqa: F403
from npse.reference.shared_batch_norm import *  # noqa: F403
from npse.reference.squeezes import *  # noqa: F403
from npse.reference.staged import *  # noqa: F403
from npse.reference.whitening import *  # noqa: F403

OPS = tuple(TABLE)

__all__ = [*OPS, "OPS"]
__getattr__ = answers_to_old_names(__name__)
