"""What may stand in place of the two dense layers: one chapter for each structure.

Most take the squeezed maps z (N, C) to a (N, C). A gate of npse/reference/activation.py takes a to the gates s.
`simam` and `coordinate` work on whole maps, as the ops of npse/reference/map_gates.py do.
"""

from npse.reference.excitations.channel_norm import *  # noqa: F403
from npse.reference.excitations.channel_rms import *  # noqa: F403
from npse.reference.excitations.coordinate import *  # noqa: F403
from npse.reference.excitations.eca import *  # noqa: F403
from npse.reference.excitations.grouped_dense import *  # noqa: F403
from npse.reference.excitations.per_channel import *  # noqa: F403
from npse.reference.excitations.simam import *  # noqa: F403
