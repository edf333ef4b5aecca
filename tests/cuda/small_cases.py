"""The cases of the judge for the simulator, where a thread of the device costs a millisecond.

Cases whose maps are too wide for it have a tiny twin here: more channels than a block of the simulator takes at once
(`npse.cuda.runtime.grid_stride.WIDTH`), and sizes that leave remainders. Every other case runs as it is.
"""

from npse.gradcheck import CASES
from npse.gradcheck.cases import batch_norm, bn_scale_add_relu, gates, joins, map_gates, maps, pointwise

TWINS = {str(twin).replace("tiny", "wide"): twin for twin in (
    maps.conv2d_case("tiny, 3x3", (2, 5, 3, 5), (3, 3, 5, 6), 1, 1, wrt=()),
    maps.conv2d_case("tiny, 3x3, stride 2", (1, 6, 4, 5), (3, 3, 5, 6), 2, 1, wrt=()),
    maps.conv2d_case("tiny, 1x1, stride 2", (2, 5, 3, 6), (1, 1, 6, 5), 2, wrt=()),
    *(maps.grouped_conv2d_case(f"tiny, {what}", *case, wrt=()) for what, *case in (
        ("depthwise 3x3", (2, 4, 3, 5), (3, 3, 1, 5), 5, 1, 1), ("groups of 4", (1, 4, 3, 8), (3, 3, 4, 8), 2, 1, 1),
        ("depthwise 3x3, stride 2", (1, 5, 4, 6), (3, 3, 1, 6), 6, 2, 1),
        ("groups of 16", (1, 4, 5, 6), (3, 3, 3, 6), 2, 2, 1),
        ("dilation 4", (1, 6, 5, 3), (3, 3, 3, 2), 1, 1, 4, 4))),
    gates.scale_case("tiny", 2, 3, 4, 6, wrt=()),
    batch_norm.batch_norm_case("tiny", (2, 3, 4, 6), wrt=()),
    batch_norm.batch_norm_relu_case("tiny", (2, 3, 4, 6), wrt=()),
    batch_norm.batch_norm_inference_case("tiny", (2, 3, 4, 6), wrt=()),
    pointwise.scale_add_relu_case("tiny", 2, 3, 4, 6, wrt=()),
    joins.scale_add_case("tiny", 2, 3, 4, 6, wrt=()),
    joins.shake_case("tiny", 3, 3, 4, 6, wrt=()),
    bn_scale_add_relu.bn_scale_add_relu_case("tiny", (2, 3, 4, 6), 3, wrt=()),
    *(bn_scale_add_relu.moments_case(f"{what}, tiny", part, 2, 3, 4, 6)
      for part, what in enumerate(("mean", "var", "means"))),
    *(bn_scale_add_relu.conv2d_moments_case(f"{what}, 3x3, tiny", part, (3, 4, 3, 5), (3, 3, 5, 6), 1, 1)
      for part, what in enumerate(("y", "mean", "var", "means"))),
    *(bn_scale_add_relu.conv2d_batch_norm_inference_case("3x3, tiny", rectified, (3, 4, 3, 5), (3, 3, 5, 6), 1, 1, ())
      for rectified in (False, True)),
    *(case("tiny", 2, 3, 4, 6, wrt=()) for case in (
        map_gates.scale_pixels_case, map_gates.multiply_case, map_gates.shift_case, map_gates.outer_sum_case,
        map_gates.channel_pool_case, map_gates.simam_case, map_gates.axis_means_case, map_gates.scale_axes_case)),
    bn_scale_add_relu.conv2d_backward_x_add_case("3x3, tiny", (3, 4, 3, 5), (3, 3, 5, 6), (3, 4, 3, 6), 1, 1),
)} | {"bn_scale_add_relu [a vector of channels]":
     bn_scale_add_relu.bn_scale_add_relu_case("two chunks of channels", (2, 3, 2, 8), 4, wrt=())}

SMALL_CASES = tuple(TWINS.get(str(case), case) for case in CASES)
FIRST_CASES = tuple({case.ops: case for case in reversed(SMALL_CASES)}.values())      # one for each group of ops
