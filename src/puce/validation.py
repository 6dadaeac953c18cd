# SPDX-License-Identifier: Apache-2.0
"""The same pictures through every witness: NumPy reference, LiteRT, C on the host, C on the emulated core; who agrees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .choice import Objective
from .compiler import Compiled, compile_graph, fits_or_raise
from .data import Dataset, Preprocessing
from .divergence import first_divergence
from .errors import BadInput, Unsupported
from .evaluate import Accuracy, SquaredError
from .export import tflite
from .ir import Array, Graph
from .progress import track
from .quantized import decode, encode, evaluate_float
from .text import table
from .units import count as in_groups
from .yardstick import Quality, Yardstick, as_accuracy, as_error, purpose_of, title_of

On = Literal["emulator", "host", "qemu"]
TOLERANCE = 1e-5  # of the largest output, for float32 models: sums are taken in another order


@dataclass(frozen=True)
class Witness:
    """One way to compute the model, held against the NumPy reference picture by picture.

    `quality` is the accuracy of a model of classes, the squared error of one that gives pictures back, or of an int8
    model's values against the float model's; None where there is nothing to hold them against.
    """

    name: str
    count: int
    identical: int
    quality: Quality | None
    first_difference: str | None = None
    cycles: int | None = None

    @property
    def accuracy(self) -> Accuracy | None:
        return as_accuracy(self.quality)

    @property
    def error(self) -> SquaredError | None:
        return as_error(self.quality)

    def figures(self) -> dict[str, Any]:
        """The keys that say how good its answers are."""
        a, e = self.accuracy, self.error
        return {
            "accuracy": a.value if a else None, "interval": [a.low, a.high] if a else None,
            "error": e.as_json() if e else None,
        }  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "count": self.count, "identical": self.identical, **self.figures(),
            "first_difference": self.first_difference, "cycles": self.cycles,
        }  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """Every witness; `on` names the device that was asked for, `skipped` says who could not be heard and why."""

    model: str
    dataset: str
    on: str
    witnesses: tuple[Witness, ...]
    exact: bool
    skipped: tuple[str, ...] = ()
    measured: str = "accuracy"
    """What the quality of a witness is."""

    @property
    def ok(self) -> bool:
        return all(w.identical == w.count for w in self.witnesses)

    @property
    def device(self) -> Witness:
        return self.witnesses[-1]

    @property
    def sentence(self) -> str:
        """The proof line."""
        n = self.device.count
        least = min(w.identical for w in self.witnesses)
        same = "identical" if self.exact else f"equal within {TOLERANCE:g} of the largest output"
        names = " = ".join(w.name for w in self.witnesses if w.count == n)
        return f"{in_groups(least)} of {in_groups(n)} outputs {same}: {names}"

    def as_json(self) -> dict[str, Any]:
        w = self.device
        return {
            "model": self.model, "dataset": self.dataset, "on": self.on, "count": w.count, "identical": w.identical,
            **w.figures(),
            "first_difference": next((v.first_difference for v in self.witnesses if v.first_difference), None),
            "cycles": w.cycles, "exact": self.exact, "proof": self.sentence,
            "witnesses": [v.as_json() for v in self.witnesses], "skipped": list(self.skipped),
        }  # fmt: skip

    def __str__(self) -> str:
        head = ("witness", "pictures", "identical", self.measured, "cycles (modelled)")
        rows = [
            (
                w.name,
                in_groups(w.count),
                in_groups(w.identical),
                "–" if w.quality is None else str(w.quality),
                in_groups(w.cycles) if w.cycles else "",
            )
            for w in self.witnesses
        ]
        lines = [table(head, rows, right={1, 2, 4}), "", self.sentence]
        lines += [w.first_difference for w in self.witnesses if w.first_difference]
        return "\n".join([*lines, *(f"not heard: {s}" for s in self.skipped)])


@dataclass(frozen=True, eq=False)
class Pictures:
    """What is shown to every witness: encoded pictures [n, *shape], what is wanted of them, and the reference's answers."""

    inputs: Array
    yardstick: Yardstick
    truth: Array
    graph: Graph

    @classmethod
    def of(cls, graph: Graph, inputs: Array, yardstick: Yardstick) -> Pictures:
        return cls(inputs, yardstick, evaluate_float(graph, inputs, "NumPy reference"), graph)

    def first(self, n: int) -> Pictures:
        return Pictures(self.inputs[:n], self.yardstick.first(n), self.truth[:n], self.graph)

    def quality(self, outputs: Array) -> Quality | None:
        return self.yardstick.measure(decode(outputs, self.graph.tensors[self.graph.outputs[0]]))

    def compare(self, name: str, outputs: Array, explain: Callable[[int], str | None], cycles: int | None = None) -> Witness:
        """Hold answers against the reference; `explain(i)` says where picture i went wrong."""
        if self.truth.dtype == np.float32:
            error = np.abs(outputs - self.truth).reshape(len(outputs), -1).max(axis=1)
            same = error <= TOLERANCE * np.abs(self.truth).max()
        else:
            same = (outputs == self.truth).reshape(len(outputs), -1).all(axis=1)
        difference = None
        if not same.all():
            i = int(np.flatnonzero(~same)[0])
            difference = f"{name}, picture {i}: {explain(i) or 'the outputs differ'}"
        return Witness(name, len(outputs), int(same.sum()), self.quality(outputs), difference, cycles)


def pictures_of(
    graph: Graph, dataset: Dataset, preprocessing: Preprocessing, count: int | None = None, whole: Graph | None = None
) -> Pictures:
    """The first `count` test pictures as `graph` takes them; `whole` is the float model that an int8 one was made of."""
    inputs, answers = dataset.x_test[:count], None
    if whole is not None and purpose_of(graph, dataset) == "values":
        answers = evaluate_float(whole, preprocessing.apply(inputs), "float model")
    yardstick = Yardstick.of(graph, dataset, preprocessing, count, answers)
    return Pictures.of(graph, encode(inputs, preprocessing, graph.tensors[graph.inputs[0]]), yardstick)


def reference(p: Pictures) -> Witness:
    return Witness("NumPy reference", len(p.truth), len(p.truth), p.quality(p.truth))


def litert(p: Pictures, source: bytes) -> Witness | str:
    """LiteRT's reference kernels on the .tflite; a sentence where the library is not installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        return "LiteRT is not installed: pip install 'puce[oracle]'"
    interpreter = Interpreter(model_content=source, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    inside, outside = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def answers() -> Iterator[Array]:
        for x in track(p.inputs, "LiteRT reference"):
            interpreter.reset_all_variables()  # else the state of a recurrent layer outlives the picture
            interpreter.set_tensor(inside, x[None])
            interpreter.invoke()
            yield interpreter.get_tensor(outside)[0]

    return p.compare("LiteRT reference", np.stack(list(answers())), lambda i: None)


def on_device(p: Pictures, device: Any, title: str) -> Array:
    """The device's answers, in the reference's type and shape."""
    kind = str(p.inputs.dtype)
    replies = [np.frombuffer(device.run(x.tobytes(), kind).outputs, p.truth.dtype) for x in track(p.inputs, title)]
    return np.stack(replies).reshape(p.truth.shape)


def host(p: Pictures, compiled: Compiled) -> Witness:
    """The same C as a shared library of this computer."""
    from .build import build_library
    from .device import Host

    folder, name = compiled.folder, compiled.sources.name
    library = build_library([folder / c for c in compiled.sources.compiled], folder, folder / f"{name}.so")
    with Host(library, folder / "puce_model.h") as device:
        outputs = on_device(p, device, "C on this computer")
    return p.compare("host C", outputs, lambda i: None)


def emulator(p: Pictures, compiled: Compiled) -> Witness:
    """The firmware on the emulated core, over the serial protocol; cycles of the first picture, modelled."""
    from .device import Emulator

    assert compiled.elf is not None and compiled.board is not None
    kind: Any = str(p.inputs.dtype)
    with Emulator(compiled.elf, compiled.board) as device:
        outputs = on_device(p, device, "C on the emulated core")
        report = device.profile(p.inputs[0].tobytes(), kind)
        stack = device.stack_used()
    assert compiled.linked is not None
    if stack > compiled.linked.ram.stack:
        raise AssertionError(f"the stack reached {stack} bytes, {compiled.linked.ram.stack} were promised")
    return p.compare(
        f"emulated {compiled.board.core.title}", outputs, lambda i: first_divergence(compiled, p.inputs[i]), report.total
    )


def qemu(p: Pictures, graph: Graph, compiled: Compiled) -> Witness:
    """The same C linked for QEMU's machine of this core, over the same protocol."""
    from .device import qemu as machine

    assert compiled.board is not None
    twin = machine.twin(compiled.board)
    again = compile_graph(
        graph, compiled.folder / "qemu", twin, name=compiled.sources.name, fed_by_rows=compiled.schedule.fed_by_rows,
        optimize=compiled.choice.objective if compiled.choice else "balanced",
    )  # fmt: skip
    assert again.elf is not None
    with machine.Qemu(again.elf, twin) as device:
        outputs = on_device(p, device, "C under QEMU")
    return p.compare(f"QEMU {compiled.board.core.title}", outputs, lambda i: None)


def validate_graph(
    graph: Graph,
    p: Pictures,
    folder: Path,
    board: Any,
    *,
    on: On = "emulator",
    model: str,
    dataset: str,
    fed_by_rows: bool = False,
    optimize: Objective = "balanced",
) -> Verdict:
    """Compile into `folder` and hear the witnesses up to the one named by `on`.

    Raises DoesNotFit before anything runs where the board is too small.
    """
    compiled = compile_graph(
        graph, folder, board, name=model, fed_by_rows=fed_by_rows, test_picture=p.inputs[0], optimize=optimize
    )
    if board is not None:
        fits_or_raise(compiled)
    return hear(compiled, graph, p, on=on, model=model, dataset=dataset)


def hear(compiled: Compiled, graph: Graph, p: Pictures, *, on: On, model: str, dataset: str) -> Verdict:
    """Every witness in turn: reference, LiteRT where installed, host, and the device that `on` names."""
    witnesses, skipped = [reference(p)], list[str]()
    try:
        oracle = litert(p, tflite.to_bytes(graph))
    except Unsupported as error:
        oracle = f"LiteRT cannot be heard: {error.fact}"
    if isinstance(oracle, Witness):
        witnesses.append(oracle)
    else:
        skipped.append(oracle)
    witnesses.append(host(p, compiled))
    if on != "host":
        if compiled.board is None:
            raise BadInput(f"--on {on}", "no board is named.", "Add --board, see `puce boards`; or use --on host.")
        witnesses.append(emulator(p, compiled) if on == "emulator" else qemu(p, graph, compiled))
    measured = title_of(p.yardstick.purpose)
    return Verdict(model, dataset, on, tuple(witnesses), p.truth.dtype != np.float32, tuple(skipped), measured)
