"""The cases of the judge for the simulator, which runs every thread in Python.

The widest convolutions would take a minute each. They have a tiny twin here: more channels than a block of the
simulator takes at once (`npse.cuda.runtime.grid_stride.WIDTH`), and sizes that leave remainders. Every other case runs
as it is.
"""

from npse.gradcheck import CASES
from npse.gradcheck.cases import bn_scale_add_relu, maps

TWINS = {str(twin).replace("tiny", "wide"): twin for twin in (
    maps.conv2d_case("tiny, 3x3", (2, 5, 3, 5), (3, 3, 5, 6), 1, 1, wrt=()),
    maps.conv2d_case("tiny, 3x3, stride 2", (1, 6, 4, 5), (3, 3, 5, 6), 2, 1, wrt=()),
    *(bn_scale_add_relu.conv2d_moments_case(f"{what}, 3x3, tiny", part, (3, 4, 3, 5), (3, 3, 5, 6), 1, 1)
      for part, what in enumerate(("y", "mean", "var", "means"))),
    *(bn_scale_add_relu.conv2d_batch_norm_inference_case("3x3, tiny", rectified, (3, 4, 3, 5), (3, 3, 5, 6), 1, 1, ())
      for rectified in (False, True)),
    *(bn_scale_add_relu.conv2d_se_add_relu_inference_case(f"3x3, tiny{more}", (3, 4, 3, 5), (3, 3, 5, 6), (3, 4, 3, 6),
                                                          *gates, 1, 1)
      for more, *gates in (("", 4, False), (", biases", 3, True), (", no gates", 0, False))),
    bn_scale_add_relu.conv2d_backward_x_add_case("3x3, tiny", (3, 4, 3, 5), (3, 3, 5, 6), (3, 4, 3, 6), 1, 1),
)}
SMALL_CASES = tuple(TWINS.get(str(case), case) for case in CASES)
