"""What may stand in place of the two dense layers: one chapter for each structure.

Each takes the squeezed maps z (N, C) to a (N, C). A gate of npse/reference/activation.py takes a to the gates s.
"""

from npse.reference.excitations.channel_norm import *  # noqa: F403
from npse.reference.excitations.channel_rms import *  # noqa: F403
from npse.reference.excitations.eca import *  # noqa: F403
from npse.reference.excitations.grouped_dense import *  # noqa: F403
from npse.reference.excitations.per_channel import *  # noqa: F403
