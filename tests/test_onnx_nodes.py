"""ONNX's node tests, which nobody here wrote, against the ops of every edition that runs here.

A case is right, or it is in the list of what npse does not offer, with the reason. A case that a new version of ONNX
brings fails until it is one of the two. The tests are slow tests, because .ci/run installs the extra dev, which brings
onnx, before the slow tests and after the others; and because onnx needs half a minute to make its cases.
"""

import numpy as np
import pytest
from onnx_nodes import ADAPTERS, cases, judged

from npse import backend
from npse.support.wrapped import Overlay

pytestmark = pytest.mark.slow

NOT_OFFERED = {
    "Add": {
        "integers": "add_int8 add_int16 add_uint8 add_uint16 add_uint32 add_uint64",
        "shapes that are not one, nor one along the last axis": """
            operator_add_size1_singleton_broadcast operator_add_size1_broadcast operator_addconstant""",
    },
    "AveragePool": {
        "other than two axes of pixels": """
            averagepool_1d_default averagepool_3d_default averagepool_3d_dilations_small
            averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_True
            averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_False
            averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True
            averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_False
            AvgPool3d_stride1_pad0_gpu_input AvgPool3d_stride AvgPool3d""",
        "a padding of windows that differs by side": "averagepool_2d_same_upper averagepool_2d_same_lower",
        "a padding of more than half a window": "averagepool_2d_pads",
        "a dilation of windows": "averagepool_2d_dilations",
    },
    "Conv": {
        "more than two axes of pixels": """
            Conv3d_stride_padding Conv3d Conv3d_no_bias Conv3d_dilated_strided Conv3d_dilated
            Conv3d_groups Conv3d_stride""",
    },
    "ConvTranspose": {
        "more than two axes of pixels": "convtranspose_3d",
        "a stride that differs by axis": """
            convtranspose_output_shape convtranspose_pad convtranspose_kernel_shape convtranspose_pads
            ConvTranspose2d_no_bias ConvTranspose2d""",
    },
    "Dropout": {
        "random numbers of another generator": "training_dropout_default training_dropout",
    },
    "Gemm": {
        "factors alpha and beta": "gemm_alpha gemm_beta gemm_all_attributes",
    },
    "HardSigmoid": {
        "a slope other than 1/6": "hardsigmoid_example hardsigmoid hardsigmoid_default",
    },
    "MatMul": {
        "products of other than two matrices": """
            matmul_3d matmul_4d matmul_bcast matmul_1d_3d matmul_4d_1d matmul_1d_1d""",
    },
    "MaxPool": {
        "integers": "maxpool_2d_uint8",
        "other than two axes of pixels": """
            maxpool_1d_default maxpool_3d_default maxpool_3d_dilations maxpool_3d_dilations_use_ref_impl
            maxpool_3d_dilations_use_ref_impl_large MaxPool1d_stride_padding_dilation
            MaxPool3d_stride_padding MaxPool3d_stride MaxPool1d_stride MaxPool1d MaxPool3d
            operator_maxpool""",
        "a padding of windows that differs by side": "maxpool_2d_same_upper maxpool_2d_same_lower",
        "a padding of more than half a window": "maxpool_2d_pads",
        "a dilation of windows": "maxpool_2d_dilations MaxPool2d_stride_padding_dilation",
    },
    "Mul": {
        "integers": "mul_int8 mul_int16 mul_uint8 mul_uint16 mul_uint32 mul_uint64",
    },
    "SoftmaxCrossEntropyLoss": {
        "a sum of losses, or each loss": """
            sce_none sce_none_log_prob sce_sum sce_sum_log_prob sce_NCd1d2d3d4d5_none_no_weight
            sce_NCd1d2d3d4d5_none_no_weight_log_prob""",
        "weights of classes": """
            sce_none_weights sce_none_weights_log_prob sce_mean_weight sce_mean_weight_log_prob
            sce_mean_weight_ii sce_mean_weight_ii_log_prob sce_mean_weight_ii_3d
            sce_mean_weight_ii_3d_log_prob sce_mean_weight_ii_4d sce_mean_weight_ii_4d_log_prob
            sce_NCd1d2d3d4d5_mean_weight sce_NCd1d2d3d4d5_mean_weight_log_prob
            sce_NCd1_mean_weight_negative_ii sce_NCd1_mean_weight_negative_ii_log_prob
            sce_NCd1d2d3_sum_weight_high_ii sce_NCd1d2d3_sum_weight_high_ii_log_prob""",
        "labels to ignore": """
            sce_mean_no_weight_ii sce_mean_no_weight_ii_log_prob sce_mean_no_weight_ii_3d
            sce_mean_no_weight_ii_3d_log_prob sce_mean_no_weight_ii_4d sce_mean_no_weight_ii_4d_log_prob
            sce_NCd1d2d3_none_no_weight_negative_ii sce_NCd1d2d3_none_no_weight_negative_ii_log_prob""",
    },
    "Split": {
        "empty arrays": "split_zero_size_splits_opset13 split_zero_size_splits_opset18",
    },
}


def listed(op):
    return {f"test_{name}": reason for reason, names in NOT_OFFERED.get(op, {}).items() for name in names.split()}


@pytest.mark.parametrize("op", ADAPTERS)
@pytest.mark.parametrize("edition", backend.available())
def test_every_case_is_right_or_listed(edition, op):
    _, wrong, not_offered = judged(backend.with_numpy_results(edition), op)
    assert not wrong
    known = {node.name for node in cases()[op]}
    assert known
    assert not_offered == {name: reason for name, reason in listed(op).items() if name in known}


@pytest.mark.parametrize(("op", "name", "mistake"), [
    ("Relu", "relu", lambda x: np.maximum(x, 0.01).astype(x.dtype)),
    ("GlobalAveragePool", "global_average_pool", lambda x: x.sum(axis=(1, 2), dtype=x.dtype)),
    ("Softmax", "softmax", lambda x: np.tanh(x)),
])
def test_a_wrong_op_is_seen(op, name, mistake):
    right, wrong, _ = judged(Overlay(backend.edition("reference"), **{name: mistake}), op)
    assert wrong
    assert not right
