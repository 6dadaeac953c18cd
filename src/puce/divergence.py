# SPDX-License-Identifier: Apache-2.0
"""Where a firmware parts from the reference: the schedule is driven step by step on the emulated core, row by row."""

from __future__ import annotations

import numpy as np

from .build import Elf
from .compiler import Compiled
from .ir import Array
from .schedule import Buffer

TOLERANCE = 1e-5  # of the largest value of a float row


def first_divergence(compiled: Compiled, picture: Array) -> str | None:
    """The first row that differs, in words; None where every row of every layer is right.

    `picture` is [*shape] in the input's own type.
    """
    from .device import Emulator

    graph, schedule = compiled.graph, compiled.schedule
    assert compiled.elf is not None and compiled.board is not None
    truth = graph.evaluate_all(picture[None])
    nodes = {n.name: n for n in graph.nodes}
    symbols = Elf.read(compiled.elf).by_name
    with Emulator(compiled.elf, compiled.board) as device:

        def address(tensor: str, y: int) -> int:
            place = schedule.places[tensor]
            buffer: Buffer = schedule.buffers[place.buffer]
            bank = "ram" if buffer.bank == schedule.banks[0].name else f"ram_{buffer.bank.lower()}"
            return symbols[bank].address + buffer.offset + y % place.rows * place.row_bytes

        def rows(tensor: str) -> Array:
            t = graph.tensors[tensor]
            return np.ascontiguousarray(truth[tensor][0]).reshape(t.rows, -1)

        if not schedule.fed_by_rows:
            device.write(address(graph.inputs[0], 0), rows(graph.inputs[0]).tobytes())
        for step in schedule.steps:
            if step.node is None:
                device.write(address(graph.inputs[0], step.firing), rows(graph.inputs[0])[step.firing].tobytes())
                continue
            node = nodes[step.node]
            device.call(compiled.sources.layer_functions[node.name], step.firing)
            for name in node.outputs:
                if any(w.kind == "reduce" for w in schedule.windows[node.name]):
                    last = step.firing == graph.call(node).data[0].rows - 1
                    new = range(graph.tensors[name].rows if last else 0)
                elif any(w.kind == "rows" for w in schedule.windows[node.name]):
                    new = range(step.firing, step.firing + 1)
                else:
                    new = range(graph.tensors[name].rows)
                for y in new:
                    want = rows(name)[y]
                    got = np.frombuffer(device.read(address(name, y), want.nbytes), want.dtype)
                    if not _same(got, want):
                        return _sentence(node.name, node.origin, y, got, want)
    return None


def _same(got: Array, want: Array) -> bool:
    if want.dtype != np.float32:
        return bool(np.array_equal(got, want))
    return bool(np.allclose(got, want, rtol=0, atol=TOLERANCE * max(float(np.abs(want).max()), 1e-30)))


def _sentence(layer: str, origin: str, row: int, got: Array, want: Array) -> str:
    wrong = np.flatnonzero(got != want)
    name = layer if origin in ("", layer) else f"{layer} ({origin})"
    return (
        f"{name} is the first layer that differs: row {row}, {len(wrong)} of {want.size} values, "
        f"the first at {wrong[0]}: {got[wrong[0]]} instead of {want[wrong[0]]}"
    )
