# SPDX-License-Identifier: Apache-2.0
"""A run folder with one record of each kind, its figures of the size that a real run on digits has."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from puce.evaluate import Accuracy, confusion
from puce.run import (
    BankUse,
    CompileRecord,
    CostRecord,
    DataRecord,
    FlashBytes,
    InputQuantization,
    Interval,
    LayerCost,
    LayerNoise,
    PreprocessingRecord,
    QuantizeRecord,
    RamBytes,
    RamStep,
    Record,
    Run,
    Sizes,
    SplitCount,
    TrainRecord,
    ValidateRecord,
    Witness,
)

COUNT = 360
CLASSES = tuple(str(k) for k in range(10))
_rng = np.random.default_rng(4)
LABELS = np.arange(COUNT) % 10
SCORES = np.full((COUNT, 10), 0.01, np.float32)
SCORES[np.arange(COUNT), LABELS] = 0.9
for _wrong, _as in ((7, 1), (18, 1), (123, 9), (208, 1), (301, 7)):
    SCORES[_wrong, _as] = 0.95
INT8_SCORES = SCORES.copy()
INT8_SCORES[77, 3] = 0.95
PICTURES = (_rng.random((COUNT, 8, 8, 1)) * 60 + LABELS[:, None, None, None] * 19).astype(np.uint8)

_LAYERS = (
    ("conv_1", "conv_2d", (8, 8, 16), 208, 9_216, 304, 1_024, 21_400.0),
    ("conv_2", "conv_2d", (8, 8, 32), 4_736, 294_912, 5_120, 2_048, 262_300.0),
    ("depthwise_3", "depthwise_conv_2d", (8, 8, 32), 416, 18_432, 640, 2_048, 61_900.0),
    ("pointwise_3", "conv_2d", (8, 8, 32), 1_152, 65_536, 1_408, 2_048, 64_700.0),
    ("residual_3", "add", (8, 8, 32), 0, 0, 24, 2_048, 30_800.0),
    ("pool_3", "max_pool_2d", (4, 4, 32), 0, 0, 0, 512, 3_300.0),
    ("conv_4", "conv_2d", (4, 4, 32), 9_344, 147_456, 9_728, 512, 128_700.0),
    ("global_pool", "mean", (32,), 0, 0, 0, 32, 1_450.0),
    ("scores", "fully_connected", (10,), 330, 320, 400, 10, 690.0),
    ("softmax", "softmax", (10,), 0, 0, 1_024, 10, 2_400.0),
)
_NOISE = (34.1, 31.0, 28.4, 29.6, 27.9, 28.3, 25.2, 33.8, 30.7, 29.9)
_WEIGHT_NOISE = (40.2, 41.5, 38.8, 41.1, None, None, 41.9, None, 40.4, None)
_SIZES = Sizes(
    flash_bytes=FlashBytes(total=26_812, weights=17_624, code=9_188),
    ram_bytes=RamBytes(total=6_048, activations=5_184, stack=544, other=320),
)

RECORDS: tuple[Record, ...] = (
    DataRecord(
        name="digits",
        fingerprint="2a62399aac08f00d" * 4,
        class_names=CLASSES,
        shape=(8, 8, 1),
        train=SplitCount(total=1257, by_class=(124, 127, 124, 128, 127, 128, 127, 125, 122, 125)),
        validation=SplitCount(total=180, by_class=(18,) * 10),
        test=SplitCount(total=COUNT, by_class=(36,) * 10),
        preprocessing=PreprocessingRecord(scale=1 / 255, offset=0.0),
        notes=("Optical Recognition of Handwritten Digits (UCI, CC BY 4.0).", "Split 70/10/20 by class."),
    ),
    TrainRecord(
        model="digits-cnn",
        parameters=16_186,
        epochs=60,
        best_epoch=43,
        seconds=13.7,
        seed=1,
        validation=Accuracy.of(180, 180),
        test=Accuracy.of(355, COUNT),
        confusion=confusion(SCORES, LABELS, 10),
        weights_sha256="e0de40e5d5160123" * 4,
    ),
    QuantizeRecord(
        float_accuracy=Accuracy.of(355, COUNT),
        int8_accuracy=Accuracy.of(354, COUNT),
        litert_accuracy=Accuracy.of(354, COUNT),
        layers=tuple(
            LayerNoise(name=layer[0], op=layer[1], snr_db=noise, weights_snr_db=weights)
            for layer, noise, weights in zip(_LAYERS, _NOISE, _WEIGHT_NOISE, strict=True)
        ),
        calibration_count=256,
        input=InputQuantization(scale=1 / 255, zero_point=-128),
        confusion=confusion(INT8_SCORES, LABELS, 10),
    ),
    CompileRecord(
        board="stm32l4r9i-disco",
        files=("firmware/model.c", "firmware/model.h", "firmware/weights.c"),
        elf="firmware/model.elf",
        promised=_SIZES,
        linked=_SIZES,
        fits=True,
        board_flash_bytes=2 * 1024 * 1024,
        board_ram_bytes=640 * 1024,
        banks=(
            BankUse(bank="SRAM1", used=6_048, capacity=192 * 1024),
            BankUse(bank="SRAM2", used=0, capacity=64 * 1024),
            BankUse(bank="SRAM3", used=0, capacity=384 * 1024),
        ),
        stages=3,
        ram_over_time=tuple(
            RamStep(step=i, node=name, bytes_alive=alive)
            for i, (name, alive) in enumerate(
                zip(
                    (layer[0] for layer in _LAYERS),
                    (1_088, 3_072, 4_352, 4_608, 5_184, 2_560, 1_024, 544, 42, 20),
                    strict=True,
                )
            )
        ),
        proof="10 steps replayed: every read finds what was written for it, no two live buffers overlap.",
    ),
    CostRecord(
        parameters=16_186,
        macs=535_872,
        macc=546_000,
        cycles=Interval(value=577_640, low=502_000, high=653_000),
        latency_ms=Interval(value=4.81, low=4.18, high=5.44),
        energy_uj=Interval(value=212.0, low=170.0, high=260.0),
        model_error=0.13,
        clock_hz=120_000_000,
        layers=tuple(
            LayerCost(
                name=name,
                op=op,
                shape=shape,
                parameters=parameters,
                macs=macs,
                flash_bytes=flash,
                ram_bytes=ram,
                cycles=cycles,
            )
            for name, op, shape, parameters, macs, flash, ram, cycles in _LAYERS
        ),
    ),
    ValidateRecord(
        witnesses=tuple(
            Witness(name=name, count=COUNT, identical=COUNT, accuracy=Accuracy.of(354, COUNT), cycles=cycles)
            for name, cycles in (
                ("NumPy reference", None),
                ("LiteRT reference", None),
                ("host C", None),
                ("emulated Cortex-M4", 577_640),
            )
        ),
        proof="360 of 360 identical",
        seconds=8.4,
    ),
)


def history_csv() -> str:
    lines = ["epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds"]
    for e in range(1, 61):
        fall = float(np.exp(-e / 8))
        lines.append(
            f"{e},{0.55 + 1.6 * fall:.4f},{0.998 - 0.8 * fall:.4f},{0.08 + 1.4 * fall:.4f},"
            f"{min(1.0, 0.999 - 0.6 * fall):.4f},{0.005 * (1 + np.cos(np.pi * e / 60)) / 2:.6f},0.22"
        )
    return "\n".join(lines) + "\n"


def sample_run(root: Path, *kinds: type[Record], pictures: bool = True) -> Run:
    """Make a run folder with the records of these kinds (of all, where none is named) and their artefacts."""
    run = Run.create(
        root,
        "digits",
        "digits-cnn",
        {"board": "stm32l4r9i-disco", "epochs": 60, "seed": 1},
        seeds={"split": 20, "train": 1},
        command="puce run digits --board stm32l4r9i-disco",
    )
    files: dict[type[Record], tuple[str, ...]] = {}
    if pictures:
        with run.atomic("samples.npz") as path:
            np.savez(
                path,
                train_pictures=PICTURES[:25],
                train_labels=LABELS[:25],
                test_pictures=PICTURES,
                test_labels=LABELS,
            )
        with run.atomic("scores-float.npz") as path:
            np.savez(path, scores=SCORES, labels=LABELS)
        with run.atomic("scores-int8.npz") as path:
            np.savez(path, scores=INT8_SCORES, labels=LABELS)
        files = {
            DataRecord: ("samples.npz",),
            TrainRecord: ("scores-float.npz", "history.csv"),
            QuantizeRecord: ("scores-int8.npz",),
        }
        with run.atomic("history.csv") as path:
            path.write_text(history_csv())
    from puce.run import records

    for record in RECORDS:
        if not kinds or type(record) in kinds:
            run.record(records.STEP_OF[type(record)], record, artefacts=files.get(type(record), ()))
    return run
