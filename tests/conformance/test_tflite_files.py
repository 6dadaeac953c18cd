# SPDX-License-Identifier: Apache-2.0
"""The models of others, compiled: the shares that we promise, and not one byte that differs from LiteRT's reference kernels."""

from __future__ import annotations

from pathlib import Path

import pytest
from litert_oracle import check, difference
from numpy import array, float32, int8
from tflite_files import entries, judge

SMALL = [  # a dozen that together use most operators, both types, several inputs and outputs, files without batch
    "c67f1c6e_hello_world", "ee939863_sine_float", "97bf3d6e_mnist_arduino_q", "34da478e_model_with_multiple_outputs",
    "f6d0f42d_CNN_cardIAc", "b268eb1e_split_concat", "56096f84_single_strided_slice", "31bb1432_topo_sort_interleaved",
    "dc8eabbf_resulting_architecture", "69267a8e_micro_speech_custom_ud", "171e10d6_two_inputs_concatenation",
    "4f386fe7_padv2_inf_max_pool_2d",
]  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_a_small_file_is_computed_as_litert_does(name: str, shared_data: Path) -> None:
    """Truths: LiteRT and C on this computer."""
    (entry,) = [e for e in entries(shared_data) if Path(e.name).name.startswith(name)]
    verdict = check(entry.path)
    assert verdict.outcome == "identical", verdict.reason


@pytest.mark.slow
def test_every_file_of_the_manifest(shared_data: Path) -> None:
    """Truths: LiteRT, C on this computer, and for a fixed tenth C on the emulated core. About 6 minutes on 2 cores."""
    results = judge(entries(shared_data))
    print(results.table())
    assert not results.failures(), "\n".join(f"{e.name}: {v.outcome}, {v.reason}" for e, v in results.failures())
    networks, all_networks = results.share(networks=True)
    singles, all_singles = results.share(networks=False)
    assert all_networks >= 100 and all_singles >= 70
    assert networks >= 0.95 * all_networks, results.table()
    assert singles >= 0.90 * all_singles, results.table()
    exact, judged = results.exact(int8=True)
    assert exact == judged >= 100
    assert sum(v.emulated for _, v in results.rows) >= 15
    assert all(v.reason for _, v in results.rows if v.outcome == "refused")


def test_the_comparison_can_fail() -> None:
    """One byte, and 2e-5 of the largest output, are differences."""
    assert difference(array([1, 2], int8), array([[1, 3]], int8)) == "1 of 2 differ, by 1"
    assert difference(array([1.0, 1e-3], float32), array([1.0, 1e-3 + 2e-5], float32)).endswith("of the largest output")
    assert difference(array([1.0, 2e-6], float32), array([1.0, 1e-6], float32)) == ""
