# SPDX-License-Identifier: Apache-2.0
"""What run.json holds: one frozen, typed record a step, and the file around them."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ..evaluate import Accuracy, Nearer, SquaredError

SCHEMA_VERSION = 2
"""Written; earlier ones are read too, see puce.run.migrate."""

StepName = Literal["data", "train", "quantize", "compile", "cost", "validate"]
Plain = str | int | float | bool | None
Confusion = tuple[tuple[int, ...], ...]


class Record(BaseModel):
    """What a step found out. Frozen; unknown keys are refused, so that a misspelt one is not lost in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Interval(Record):
    """An estimate and the interval that it is believed to lie in."""

    value: float
    low: float
    high: float


class SplitCount(Record):
    """How many pictures of each class one split holds, in the order of `class_names`."""

    total: int
    by_class: tuple[int, ...]


class PreprocessingRecord(Record):
    """From a picture file to the network's float input: crop, resize, then x = u * scale + offset for each byte u."""

    crop: Literal["centre"] = "centre"
    """The largest crop in the middle that has the aspect of the input."""
    resize: Literal["bilinear"] = "bilinear"
    """As puce.data.preprocessing defines it, to the byte."""
    scale: float
    offset: float

    def __str__(self) -> str:
        return f"x = u × {self.scale:.6g} + {self.offset:.6g}"


class SelectionRecord(Record):
    """What was wished of pictures in files; the same wishes give the same set. See puce.data.Selection."""

    size: tuple[int, int] | None = None
    group: str | None = None
    classes: str | None = None
    held_out: float | None = None


class DataRecord(Record):
    """The pictures that went in."""

    name: str
    fingerprint: str
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    """One picture: height, width, channels."""
    train: SplitCount
    validation: SplitCount
    test: SplitCount
    preprocessing: PreprocessingRecord
    selection: SelectionRecord = SelectionRecord()
    warning: str = ""
    """What whoever uses a network of these pictures must read; empty where nothing was said."""
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    """Files that could not be used, each with its reason."""


class TrainRecord(Record):
    """The float network and how it came about."""

    model: str
    parameters: int
    epochs: int
    best_epoch: int
    """Counted from 1."""
    seconds: float
    seed: int
    validation: Accuracy
    test: Accuracy
    confusion: Confusion
    """[true, predicted] on the test pictures, float network."""
    weights_sha256: str


class ReconstructionRecord(Record):
    """A float network that gives pictures back, and how it came about; it takes the place of TrainRecord in its step."""

    model: str
    parameters: int
    encoder_parameters: int
    """Of the part up to the code, which encoder.keras holds alone."""
    code: int
    """Values that a picture is reduced to."""
    from_components: bool
    """Whether the linear path was set to the principal components before training."""
    epochs: int
    best_epoch: int
    """Counted from 1; the one with the least validation error."""
    seconds: float
    seed: int
    validation: SquaredError
    test: SquaredError
    components: SquaredError
    """What as many principal components of the training pictures leave on the same test pictures."""
    against: Nearer
    """The network against these components, on the test pictures."""
    weights_sha256: str


class LayerNoise(Record):
    """Signal to quantisation noise of one layer; None where there is no noise at all, or nothing to measure."""

    name: str
    op: str
    snr_db: float | None
    weights_snr_db: float | None


class InputQuantization(Record):
    """q = real / scale + zero_point of the int8 input."""

    scale: float
    zero_point: int


class QuantizeRecord(Record):
    """int8 against float on the same test pictures."""

    float_accuracy: Accuracy
    int8_accuracy: Accuracy
    """By the NumPy reference."""
    litert_accuracy: Accuracy | None = None
    """By LiteRT's reference kernels; None where LiteRT is not installed."""
    layers: tuple[LayerNoise, ...]
    calibration_count: int
    input: InputQuantization
    confusion: Confusion
    """[true, predicted] on the test pictures, int8 network."""


class FlashBytes(Record):
    total: int
    weights: int
    code: int


class RamBytes(Record):
    total: int
    activations: int
    stack: int
    other: int


class Sizes(Record):
    flash_bytes: FlashBytes
    ram_bytes: RamBytes


class BankUse(Record):
    """One memory bank of the chip, in bytes."""

    bank: str
    used: int
    capacity: int


class RamStep(Record):
    """RAM alive while one step of the schedule runs."""

    step: int
    node: str
    bytes_alive: int


class CompileRecord(Record):
    """The firmware, promised before the link and counted after it."""

    board: str
    files: tuple[str, ...]
    elf: str
    promised: Sizes
    linked: Sizes
    fits: bool
    board_flash_bytes: int
    board_ram_bytes: int
    banks: tuple[BankUse, ...] = ()
    stages: int
    ram_over_time: tuple[RamStep, ...] = ()
    proof: str
    """The sentence of the prover that replayed the schedule."""


class LayerCost(Record):
    name: str
    op: str
    shape: tuple[int, ...]
    parameters: int
    macs: int
    flash_bytes: int
    ram_bytes: int
    cycles: float


class CostRecord(Record):
    """Modelled, never measured: cycles, time and energy carry the error of the model."""

    parameters: int
    macs: int
    macc: int
    cycles: Interval
    latency_ms: Interval
    energy_uj: Interval
    model_error: float
    """Relative, of the cycle model against its calibration rows: 0.1 is 10 %."""
    clock_hz: int
    layers: tuple[LayerCost, ...]


class Witness(Record):
    """One way to compute the network, compared with the NumPy reference picture by picture."""

    name: str
    count: int
    identical: int
    accuracy: Accuracy
    first_difference: str | None = None
    cycles: int | None = None
    """Modelled cycles of one inference, where the witness counts them."""


class ValidateRecord(Record):
    """Who agrees with whom."""

    witnesses: tuple[Witness, ...]
    proof: str
    """One line, as "360 of 360 identical"."""
    seconds: float

    @property
    def identical(self) -> bool:
        return all(w.identical == w.count for w in self.witnesses)


class Artefact(Record):
    """A file of the run folder, by its relative path, as it was when the step ended."""

    path: str
    sha256: str


R = TypeVar("R", bound=Record)


class Step(Record, Generic[R]):
    """A record, the files that the step wrote, and those that it read: it is done while both are unchanged."""

    record: R
    artefacts: tuple[Artefact, ...] = ()
    inputs: tuple[Artefact, ...] = ()


class Steps(Record):
    data: Step[DataRecord] | None = None
    train: Step[TrainRecord] | Step[ReconstructionRecord] | None = None
    quantize: Step[QuantizeRecord] | None = None
    compile: Step[CompileRecord] | None = None
    cost: Step[CostRecord] | None = None
    validate_: Step[ValidateRecord] | None = Field(default=None, alias="validate")

    model_config = ConfigDict(populate_by_name=True)


class RunFile(Record):
    """run.json as it lies on disk."""

    schema_version: int
    created: str
    dataset: str
    model: str
    command: str
    seeds: dict[str, int]
    versions: dict[str, str]
    config: dict[str, Plain]
    steps: Steps


STEP_OF: dict[type[Record], StepName] = {
    DataRecord: "data",
    TrainRecord: "train",
    ReconstructionRecord: "train",
    QuantizeRecord: "quantize",
    CompileRecord: "compile",
    CostRecord: "cost",
    ValidateRecord: "validate",
}
STEPS: tuple[StepName, ...] = tuple(dict.fromkeys(STEP_OF.values()))


def field_of(step: StepName) -> str:
    """Name the attribute of Steps: `validate` belongs to pydantic, so that one has an alias."""
    return "validate_" if step == "validate" else step
