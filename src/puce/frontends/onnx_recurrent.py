# SPDX-License-Identifier: Apache-2.0
"""ONNX's LSTM, whose gates stand in another order, with two biases, one or both ways along the sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..ops.concatenation import Attrs as JoinAttrs
from ..ops.lstm import Attrs as LstmAttrs
from .onnx_elementwise import Handler, array_of, given, value_of
from .onnx_files import FileNode
from .onnx_graph import Builder, Operand
from .onnx_shapes import part
from .onnx_values import Constant, Value, reshaped

ORDER = (0, 2, 3, 1)  # ONNX has input, output, forget, cell; ours are input, forget, cell, output
WORDS = ("Sigmoid", "Tanh", "Tanh")


def lstm(b: Builder, n: FileNode, x: Sequence[Operand | None]) -> Sequence[Operand]:
    v = b.settled(b.floats(value_of(b, x[0])))
    wx, wh = array_of(b, given(x, 1), "weights"), array_of(b, given(x, 2), "weights")
    directions, cells = wh.shape[0], wh.shape[2]
    bias = np.zeros((directions, 8 * cells), np.float32) if given(x, 3) is None else array_of(b, given(x, 3), "biases")
    check(b, n, x, directions)
    time, batch = (1, 0) if n.number("layout") else (0, 1)
    if len(v.shape) != 3 or v.shape[batch] != 1:
        raise b.refuse(
            f"it computes one sequence at a time; its input is {list(v.shape)}.", "Export the model with a batch of 1."
        )
    word, steps = n.text("direction", "forward"), v.shape[time]
    needs_all = bool(n.outputs[0])
    wholes, lasts = [], []
    for d in range(directions):
        backwards = word == "reverse" or d == 1
        source = part(b, v, {time: range(steps - 1, -1, -1)}, f"{b.name}/backwards{d}") if backwards and steps > 1 else v
        w, r = (m[d].reshape(4, cells, -1)[list(ORDER)] for m in (wx, wh))
        both = bias[d].reshape(2, 4, cells).sum(axis=0)[list(ORDER)]
        constants = b.numbers("weights", w), b.numbers("recurrent", r), b.numbers("bias", both)
        t = b.arranged(source, (time, 2))
        y = b.node("lstm", (t, *constants), LstmAttrs(whole=needs_all), name=f"{b.name}/{d}")
        result = Value.plain(y, (steps if needs_all else 1, cells), (0, 1))
        if len(n.outputs) > 1 and n.outputs[1]:
            lasts.append(part(b, result, {0: range(result.shape[0] - 1, result.shape[0])}, f"{b.name}/last{d}"))
        if needs_all:
            wholes.append(part(b, result, {0: range(steps - 1, -1, -1)}, f"{b.name}/forwards{d}") if backwards else result)
    results: list[Operand] = []
    for parts, size in ((wholes, steps), (lasts, 1)):
        if not parts:
            results.append(Constant(np.zeros(0, np.float32)))
            continue
        joined = parts[0]
        if directions == 2:
            y = b.node("concatenation", [b.arranged(p, (0, 1)) for p in parts], JoinAttrs(1), name=f"{b.name}/both{size}")
            joined = Value.plain(y, (size, 2 * cells), (0, 1))
        results.append(joined)
    return outputs(n, results, steps, directions, cells)


def outputs(n: FileNode, results: Sequence[Operand], steps: int, directions: int, cells: int) -> Sequence[Operand]:
    """[steps, directions, batch, cells] and [directions, batch, cells], in layout 1 with the batch first."""
    whole, last = results
    shapes = ((steps, directions, 1, cells), (directions, 1, cells))
    if n.number("layout"):
        shapes = ((1, steps, directions, cells), (1, directions, cells))
    pair = zip((whole, last), shapes, strict=True)
    return [reshaped(r, shape) if isinstance(r, Value) else r for r, shape in pair]


def check(b: Builder, n: FileNode, x: Sequence[Operand | None], directions: int) -> None:
    words = tuple(w.decode() if isinstance(w, bytes) else str(w) for w in n.attributes.get("activations", ()))
    if words and words != WORDS * directions:
        raise b.refuse(f"an LSTM with the activations {', '.join(words)} is not computed.", "Use sigmoid and tanh.")
    if n.real("clip") or n.number("input_forget"):
        raise b.refuse("an LSTM with clipped or coupled gates is not computed.", "Use torch.nn.LSTM as it is.")
    if len(n.outputs) > 2 and n.outputs[2]:
        raise b.refuse("the cell state is no output of ours.", "Use only the LSTM's first two outputs.")
    for index, what in ((4, "sequence lengths"), (5, "initial states"), (6, "initial states"), (7, "peepholes")):
        if (extra := given(x, index)) is not None and (index == 4 or array_of(b, extra, what).any()):
            raise b.refuse(f"{what} are not computed.", "Start from zero, and run whole sequences.")


RECURRENT: Mapping[str, Handler] = {"LSTM": lstm}
