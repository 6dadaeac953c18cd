# SPDX-License-Identifier: Apache-2.0
"""Figures that puce must reproduce or beat, from published work: the mission's base network, and MLPerf Tiny's ResNet8."""

from __future__ import annotations

from pathlib import Path

import pytest

import puce
from puce import zoo
from puce.analysis import Analysis


@pytest.fixture(scope="module")
def base() -> Analysis:
    return puce.analyze(zoo.build("base", (32, 32, 3), 10), board="stm32l4r9i-disco")


@pytest.mark.slow
def test_the_base_network_is_counted_as_cube_ai_counts(base: Analysis) -> None:
    assert base.parameters == 1_344_042
    assert base.macs == 32_609_280
    assert base.macc == pytest.approx(32_997_984, rel=0.005)


@pytest.mark.slow
def test_the_base_network_takes_no_more_than_cube_ai(base: Analysis) -> None:
    assert base.memory is not None
    assert base.weight_bytes <= 5_372_584 * 1.001
    assert base.memory.ram.activations < 143_468


@pytest.mark.slow
def test_the_base_network_does_not_fit_and_is_told_why(base: Analysis) -> None:
    assert base.fit is not None and not base.ok
    (reason,) = base.fit.reasons
    assert reason.startswith("flash: 5.1") and "dense_1 (39.1 % of the weights) and dense_2 (39.1 % of the weights)" in reason
    assert base.fit.advice[0] == "This is float32: int8 weights are 4 times smaller (`puce quantize`)."
    assert any(a.startswith("Global average pooling instead of the flatten before dense_1 saves") for a in base.fit.advice)


@pytest.fixture(scope="module")
def resnet8(shared_data: Path) -> Analysis:
    return puce.analyze(shared_data / "mlperf_tiny" / "pretrainedResnet.h5", board="nucleo-l4r5zi", precision="int8")


def test_resnet8_streams_in_half_the_ram_of_layer_by_layer(resnet8: Analysis) -> None:
    assert resnet8.macs == 12_501_632
    assert resnet8.activation_bytes <= 24_000  # layer by layer, optimal: 49 152


def test_resnet8_is_faster_than_tflm_with_cmsis_nn(resnet8: Analysis) -> None:
    assert resnet8.time is not None
    assert resnet8.time.cycles.value - resnet8.flash_wait_cycles < 35_700_000
