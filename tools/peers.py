# SPDX-License-Identifier: Apache-2.0
"""What other engines reach on the models of MLPerf Tiny, as published, and the words around the figures of puce."""

from __future__ import annotations

from dataclasses import dataclass

ROUND = "MLPerf Tiny v0.5 to v1.3, public result repositories"


@dataclass(frozen=True)
class Times:
    """Milliseconds of IC, VWW, KWS, AD on an STM32L4R5 at 120 MHz; None where nothing was published."""

    engine: str
    ms: tuple[float | None, float | None, float | None, float | None]
    source: str


@dataclass(frozen=True)
class Bytes:
    engine: str
    bytes: tuple[int, int, int, int]
    source: str


@dataclass(frozen=True)
class Calibration:
    """A time measured by others, and what this form of cycle model says of a build of the same engine."""

    engine: str
    task: str
    measured_ms: float
    modelled_ms: float


TIMES = (
    Times("X-CUBE-AI 9.0 (best)", (165.1, 88.9, 43.2, 5.26), ROUND),
    Times("X-CUBE-AI 10.2", (165.7, 89.4, 43.4, 4.79), ROUND),
    Times("Plumerai 2023.05", (167.8, 98.8, 47.8, 4.05), ROUND),
    Times("Bosch HALE 1.0 (bit-exact)", (180.5, 180.5, 60.2, 4.73), ROUND),
    Times("microTVM + CMSIS-NN", (389.6, 301.2, 99.8, 8.61), ROUND),
    Times("TensorFlow Lite Micro 2.3.1, reference kernels", (704.3, 600.5, 181.9, 10.05), ROUND),
    Times("TensorFlow Lite Micro, CMSIS-NN", (413, None, 94, None), "an independent benchmark"),
    Times("TinyEngine", (354, None, None, None), "the same independent benchmark"),
)
RAM = (
    Bytes("X-CUBE-AI 9.0", (56_672, 58_624, 22_272, 2_048), f"{ROUND}; vendor's reports"),
    Bytes("X-CUBE-AI 10.2", (63_912, 75_004, 28_572, 6_544), f"{ROUND}; vendor's reports"),
    Bytes("Bosch HALE, best of any core", (36_560, 55_296, 16_000, 768), ROUND),
    Bytes("layer by layer, optimal", (49_152, 55_296, 16_000, 768), "computed: largest input and output alive together"),
)
FLASH = (
    Bytes("weights, X-CUBE-AI 9.0", (78_744, 42_612, 24_368, 270_880), f"{ROUND}; vendor's reports"),
    Bytes("whole firmware, smallest published", (154_636, 109_416, 70_356, 303_412), ROUND),
)
# TFLM with CMSIS-NN, compiled by GCC 12.2 at -O2; the measured build is another one.
CALIBRATION = (
    Calibration("TensorFlow Lite Micro, CMSIS-NN", "IC", 413, 372),
    Calibration("TensorFlow Lite Micro, CMSIS-NN", "KWS", 94, 83),
)

# Why a goal is missed and what was tried: (what, model) -> a sentence. Only those that are missed now are printed.
MISSED: dict[tuple[str, str], str] = {
    ("latency at `-O speed`", "AD"): (
        "264 192 weights are read once each: streaming them from flash waits 210 000 cycles, 1.75 ms of the 4.0, so the core "
        "would have to do with 1.02 cycles a multiply-accumulate. Winograd's inner product of 1968 and one rounding for the "
        "whole layer brought it from 1.49 to 1.22; what remains is 7 instructions for 8 products and the rounding of 968 "
        "outputs. Weights copied to RAM would take about 2.8 ms, and 265 KB of RAM: not done."
    ),
    ("time lost at `-O ram` against the fastest without Winograd", "KWS"): (
        "the fastest computes blocks of five or six rows, so that the weights are read once a block; their rings take 17 KB "
        "more. Row by row, with a third of the RAM, the pictures of 5 columns read all weights for 5 pixels."
    ),
}

HEAD = """\
# Benchmarks

Written by `make bench`: {versions}; board: {board} at {mhz} MHz.
Do not edit: change tools/bench.py, or the figures of others in tools/peers.py.

Every firmware is the whole one: start-up, serial protocol and model, built by the compiler that comes with puce. Bytes are
counted in the linked file. **Times of puce are modelled, not measured**: the emulator runs the firmware, every instruction is
priced by the core's published timing, flash waits included; the interval in brackets is the model's error (below).
{identical}
Times of others were measured on the board.

- *cycles/MAC*: per multiply-accumulate of the model as it was given, also where channels that are proved constant were removed.
- *RAM*: input, output, activations and the kernels' scratch; *stack* is a bound computed from the code, an exception on top.
- *weights*: all tables of the layers, requantisation included; *code*: everything else that is linked.
"""
ZOO_NOTE = """\
Weights are random (seed 1), int8 calibrated on noise: times and bytes hardly depend on the values. Accuracies are in
[mission.md](mission.md).
"""
ERROR = """
## The error of modelled times

For the Cortex-M4 of this board {error:.0f} % are stated. Where this comes from: {source}.
The points are three published submissions (microTVM with CMSIS-NN, microTVM, ONNC) whose own code was run through a model of
this form and held against their published times. Without the two flash penalties the same model gives 0.75 to 1.04 of them;
the penalties were fitted on these points, so they are a property of this board, and stand in its TOML marked `fitted`.
Two further points were in no fit. Their engine is the same, their compiler and version are not, which is in the ratio too:
"""
AFTER_CALIBRATION = """
Where a ratio lies outside of the stated error, take it as the warning that it is: an interval holds for code that is modelled
exactly as it was measured, and one real measurement is worth more than any of this. `puce calibrate MODEL --board BOARD
--measured-ms X` writes a board file with the scale and with the error that the measurements allow: half of the board's own
after one or two of them, yet not below 4.5 %, what models differed by on one board; from three on, from the least ratio to the
greatest, at least 2 %. Instruction counts are exact everywhere (`tests/test_device.py` holds them against QEMU's).

On other boards the model was held against nothing yet, so it claims less. A penalty that is a guess widens the error by half of
the cycles spent waiting, one from a datasheet by a fifth:
"""
