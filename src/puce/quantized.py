# SPDX-License-Identifier: Apache-2.0
"""A float model and a data set -> the int8 model: how pictures enter it, its accuracy, and what each layer loses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import fixedpoint, passes
from .data import Dataset, Preprocessing
from .errors import BadInput
from .evaluate import Accuracy, SquaredError, predictions, squared_errors
from .export import tflite
from .ir import Array, Graph, Tensor
from .progress import track
from .quantize import LayerNoise, calibrate, diagnose, to_int8
from .text import table
from .yardstick import Yardstick, as_accuracy, as_error, purpose_of, title_of

CALIBRATION_PICTURES = 500  # more change the ranges of a trained network by less than a step
NOISE_PICTURES = 64
BATCH = 50
ENCODINGS = (Preprocessing(1 / 255, 0.0), Preprocessing(1.0, 0.0), Preprocessing(2 / 255, -1.0))


@dataclass(frozen=True, eq=False)
class Quantized:
    """An int8 model and what it cost: accuracies on the same test pictures, noise by layer.

    A model without classes has squared errors in their place: of the pictures that it gives back, or of int8 values
    against the float model's; None where there is nothing to hold them against.
    """

    graph: Graph
    preprocessing: Preprocessing
    path: Path | None
    float_accuracy: Accuracy | None
    int8_accuracy: Accuracy | None
    float_error: SquaredError | None
    int8_error: SquaredError | None
    layers: tuple[LayerNoise, ...]
    calibration_count: int
    scores: Array  # int8 answers to the test pictures, dequantised: [n, classes], or [n, ...]
    notes: tuple[str, ...] = ()
    ok: bool = True

    def as_json(self) -> dict[str, Any]:
        x = self.graph.tensors[self.graph.inputs[0]]
        return {
            "file": str(self.path) if self.path else None,
            "accuracy": {"float": _json(self.float_accuracy), "int8": _json(self.int8_accuracy)},
            "error": {"float": _json(self.float_error), "int8": _json(self.int8_error)},
            "calibration_count": self.calibration_count,
            "input": {"scale": x.q.s, "zero_point": x.q.z, "pixels": str(self.preprocessing)},
            "layers": [
                {"name": n.name, "op": n.op, "snr_db": n.snr_db, "weights_snr_db": n.weights_snr_db} for n in self.layers
            ],
            "notes": list(self.notes),
        }  # fmt: skip

    def __str__(self) -> str:
        rows = [(n.name, n.op, _decibel(n.snr_db), _decibel(n.weights_snr_db)) for n in self.layers]
        head = ("layer", "operator", "signal/noise", "of the weights alone")
        lines = [table(head, rows, right={2, 3}), ""]
        for name, quality in (
            ("float", self.float_accuracy or self.float_error), ("int8", self.int8_accuracy or self.int8_error)
        ):  # fmt: skip
            if quality is not None:
                lines.append(f"{name:<6} {quality}{'' if isinstance(quality, Accuracy) else ': ' + self._about(name)}")
        lines += [
            f"calibrated on {self.calibration_count} training pictures; pixels enter as {self.preprocessing}",
            *self.notes,
        ]
        return "\n".join([*lines, *([f"written: {self.path}"] if self.path else [])])

    def _about(self, name: str) -> str:
        return title_of("pictures" if self.float_error or name == "float" else "values")


def _json(quality: Accuracy | SquaredError | None) -> dict[str, float] | None:
    return quality.as_json() if quality else None


def _decibel(x: float | None) -> str:
    return "exact" if x is None else f"{x:.1f} dB"


def check_fits_data(graph: Graph, dataset: Dataset, name: str) -> None:
    shape = graph.tensors[graph.inputs[0]].shape
    if shape != dataset.shape:
        want, got = "x".join(map(str, shape)), "x".join(map(str, dataset.shape))
        fact = f"the model takes pictures of {want}, the set {dataset.name} has {got}."
        raise BadInput(name, fact, "Name the data set that the model was trained on, or train a model on this one.")


def evaluate_float(graph: Graph, x: Array, title: str = "float model") -> Array:
    """The graph's first output for float32 pictures, in batches: [n, ...]."""
    starts = range(0, len(x), BATCH)
    return np.concatenate([graph.evaluate(x[i : i + BATCH])[0] for i in track(starts, title)])


def find_preprocessing(graph: Graph, dataset: Dataset) -> tuple[Preprocessing, str]:
    """How pixels enter a float model of unknown origin: the encoding under which it knows training pictures best.

    One that gives pictures back gives them back most nearly under its own; of other values there is nothing to know, and
    pixels enter as the data set says. Returns the encoding and a sentence that says how it was found.
    """
    purpose = purpose_of(graph, dataset)
    if purpose == "values":
        return dataset.preprocessing, f"pixels enter as the data set says, {dataset.preprocessing}: its outputs are no classes"
    if purpose == "pictures":
        return _nearest_encoding(graph, dataset)
    pictures, labels = dataset.x_train[:200], dataset.y_train[:200]
    right = [
        int((predictions(evaluate_float(graph, e.apply(pictures), "pixel encoding")) == labels).sum()) for e in ENCODINGS
    ]  # fmt: skip
    best = int(np.argmax(right))
    others = ", ".join(f"{e}: {r} of {len(labels)}" for e, r in zip(ENCODINGS, right, strict=True))
    return ENCODINGS[best], f"pixel encoding found by trying on training pictures ({others} right)"


def _nearest_encoding(graph: Graph, dataset: Dataset) -> tuple[Preprocessing, str]:
    pictures, errors = dataset.x_train[:200], []
    for e in ENCODINGS:
        x = e.apply(pictures)
        back = evaluate_float(graph, x, "pixel encoding").reshape(x.shape)
        errors.append(float(squared_errors(x, back).mean()) / (255 * e.scale) ** 2)
    best = int(np.argmin(errors))
    others = ", ".join(f"{e}: {error:.4f}" for e, error in zip(ENCODINGS, errors, strict=True))
    return ENCODINGS[best], f"pixel encoding found by trying on training pictures ({others} squared error)"


def encode(pictures: Array, preprocessing: Preprocessing, t: Tensor) -> Array:
    """Raw uint8 pictures to what the graph's input takes: float32, or its integers."""
    x = preprocessing.apply(pictures)
    return x if t.dtype == "float32" else fixedpoint.quantize(x, t)


def quantized_preprocessing(t: Tensor) -> Preprocessing:
    """The encoding that an int8 input was made for: the one whose range is the input's own."""
    low, high = ((q - t.q.z) * t.q.s for q in fixedpoint.type_range(t.dtype))

    def distance(e: Preprocessing) -> float:
        return abs(e.offset - low) + abs(255 * e.scale + e.offset - high)

    return min(ENCODINGS, key=distance)


def decode(scores: Array, t: Tensor) -> Array:
    """The answers of a graph as float32."""
    return scores if t.dtype == "float32" else fixedpoint.dequantize(scores, t)


def quantize_model(
    imported: Graph,
    dataset: Dataset,
    path: Path | None,
    *,
    preprocessing: Preprocessing | None = None,
    count: int | None = None,
) -> Quantized:
    """Calibrate on training pictures, quantise, write the .tflite, and measure on `count` test pictures (all by default)."""
    check_fits_data(imported, dataset, imported.name)
    graph, notes = passes.run(imported), []
    if preprocessing is None:
        preprocessing, note = find_preprocessing(graph, dataset)
        notes.append(note)
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(dataset.x_train))[:CALIBRATION_PICTURES])
    training = preprocessing.apply(dataset.x_train[chosen])
    integer = to_int8(graph, calibrate(graph, training))
    if path is not None:
        tflite.write(integer, path)
    pictures = dataset.x_test[:count]
    float_scores = evaluate_float(graph, preprocessing.apply(pictures))
    x, y = integer.tensors[integer.inputs[0]], integer.tensors[integer.outputs[0]]
    scores = decode(evaluate_float(integer, encode(pictures, preprocessing, x), "int8 model"), y)
    yardstick = Yardstick.of(graph, dataset, preprocessing, count, float_scores)
    before = None if yardstick.purpose == "values" else yardstick.measure(float_scores)
    after = yardstick.measure(scores)
    return Quantized(
        graph=integer, preprocessing=preprocessing, path=path,
        float_accuracy=as_accuracy(before), int8_accuracy=as_accuracy(after), float_error=as_error(before),
        int8_error=as_error(after),
        layers=tuple(diagnose(graph, integer, training[:NOISE_PICTURES])), calibration_count=len(chosen),
        scores=scores, notes=tuple(notes),
    )  # fmt: skip
