# SPDX-License-Identifier: Apache-2.0
"""One C function a layer: it finds its rows, and calls the kernel with every size as a literal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..ir import C_TYPE, Graph, Node, Tensor
from ..ops import Constant, Window
from ..schedule import Schedule
from ..units import count
from .names import unique
from .tables import plain, table


@dataclass(frozen=True)
class Layers:
    """The C text of the layers of one scheduled graph."""

    graph: Graph
    schedule: Schedule
    name: str
    ids: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", unique((n.name for n in self.nodes), taken=(self.name,), prefix="layer"))

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Those that compute something, in order."""
        return tuple(n for n in self.graph.nodes if n.name in self.schedule.kernels)

    @cached_property
    def tensor_ids(self) -> dict[str, str]:
        """Names of the functions that find a row of a tensor."""
        taken = {*self.ids.values(), self.name}
        ids = unique(self.schedule.places, prefix="t")
        again = unique((f"row_of_{i}" for i in ids.values()), taken=taken)
        return {t: again[f"row_of_{i}"] for t, i in ids.items()}

    @cached_property
    def constants(self) -> dict[str, tuple[Constant, ...]]:
        return {n.name: self.schedule.kernels[n.name].constants(self.graph.call(n)) for n in self.nodes}

    def weight_bytes(self, node: Node) -> int:
        """Bytes of flash for the tables of one layer."""
        return sum(c.values.nbytes for c in self.constants[node.name])

    def tables(self) -> str:
        parts = [
            table(f"{self.ids[n.name]}_{c.name}", c.values, f"{n.name}: {c.note}")
            for n in self.nodes
            for c in self.constants[n.name]
        ]
        return "\n".join(parts)

    def address(self, buffer: str, type_: str) -> str:
        """C expression: a pointer to the start of a buffer."""
        b = self.schedule.buffers[buffer]
        return f"({type_} *)(void *)({self.bank_id(b.bank)} + {b.offset})"

    def bank_id(self, bank: str) -> str:
        return "ram" if bank == self.schedule.banks[0].name else f"ram_{bank.lower()}"

    def row_functions(self) -> str:
        """A function for each tensor that gives the address of a row."""
        lines = []
        for name, place in self.schedule.places.items():
            t = self.graph.tensors[name]
            if not self._mentioned(name):
                continue
            b = self.schedule.buffers[place.buffer]
            shape = ", ".join(map(str, t.shape))
            if t.rows == 1:
                kind, where = "one row", f"{b.offset}"
            elif place.rows == t.rows:
                kind, where = "whole, rows", f"{b.offset} + y * {place.row_bytes}"
            else:
                kind, where = f"a ring of {place.rows} rows", f"{b.offset} + y % {place.rows} * {place.row_bytes}"
            ctype, unused = C_TYPE[t.dtype], "    (void)y;\n" if t.rows == 1 else ""
            lines.append(
                f"/* {plain(name)}: [{shape}] {t.dtype}, {kind} of {place.row_bytes} bytes */\n"
                f"static inline {ctype} *{self.tensor_ids[name]}(int y)\n{{\n{unused}"
                f"    return ({ctype} *)(void *)({self.bank_id(b.bank)} + {where});\n}}\n"
            )
        return "\n".join(lines)

    def _mentioned(self, tensor: str) -> bool:
        own = {t for n in self.nodes for t in (*n.inputs, *n.outputs)}
        return tensor in own or tensor in self.graph.inputs or tensor in self.graph.outputs

    def function(self, node: Node) -> str:
        call, kernel = self.graph.call(node), self.schedule.kernels[node.name]
        windows = self.schedule.windows[node.name]
        body, pointers = [], []
        for i, (t, window) in enumerate(zip(call.data, windows, strict=True)):
            declaration, pointer = self._input(t, window, "x" if len(windows) == 1 else f"x{i}", call.y.rows)
            body += declaration
            pointers.append(pointer)
        out_row = "y" if any(w.kind == "rows" for w in windows) else "0"
        arguments = [*pointers, *(f"{self.tensor_ids[t.name]}({out_row})" for t in call.outputs)]
        arguments += [f"{self.ids[node.name]}_{c.name}" for c in self.constants[node.name]]
        for owner in (self.schedule.state, self.schedule.scratch):
            if node.name in owner:
                arguments.append(self.address(owner[node.name], "void"))
        arguments += ["y"] if kernel.takes_y else []
        arguments += [a] if (a := kernel.arguments(call)) else []
        text = " ".join((*body, *arguments))
        unused = [] if " y" in f" {text}".replace("(", " ").replace(",", " ") else ["(void)y;"]
        lines = [*body, *unused, _wrapped(f"{kernel.name}(", arguments)]
        return (
            f"{self.comment(node)}\nstatic PUCE_LAYER void {self.ids[node.name]}(int y)\n{{\n"
            + "\n".join(f"    {line}" for line in lines)
            + "\n}\n"
        )

    def _input(self, t: Tensor, window: Window, variable: str, firings: int) -> tuple[list[str], str]:
        """Declarations, and the argument by which the kernel sees this input."""
        row, ctype = self.tensor_ids[t.name], C_TYPE[t.dtype]
        if window.kind == "whole":
            return [], f"{row}(0)"
        if window.kind == "reduce":
            return [], f"{row}(y)"
        offsets = [k * window.dilation - window.top for k in range(window.size)]
        rows = [(_affine(window.stride, offset), offset) for offset in offsets]
        cells = []
        for text, offset in rows:
            outside = [f"{text} < 0"] if offset < 0 else []
            outside += [f"{text} >= {t.rows}"] if (firings - 1) * window.stride + offset >= t.rows else []
            cells.append(f"{' || '.join(outside)} ? 0 : {row}({text})" if outside else f"{row}({text})")
        if window.size == 1:
            return [], cells[0]
        inner = ",\n        ".join(cells)
        return [f"const {ctype} *const {variable}[{window.size}] = {{\n        {inner}\n    }};"], variable

    def comment(self, node: Node) -> str:
        call = self.graph.call(node)
        shapes = " and ".join("[" + ", ".join(map(str, t.shape)) + "]" for t in call.data)
        out = "[" + ", ".join(map(str, call.y.shape)) + "]"
        macs = node.op.macs(call)
        head = f"{node.name}: {node.op.name}, {shapes} -> {out}"
        if node.origin and node.origin != node.name:
            head += f"; in your file: {node.origin}"
        if macs:
            head += f"; {count(macs)} multiply-accumulates"
        formula = node.op.formula(call)
        return f"/* {plain(head + (f'{chr(10)}   {formula}' if formula else ''))} */"


def _affine(stride: int, offset: int) -> str:
    """The C text of y * stride + offset."""
    base = "y" if stride == 1 else f"y * {stride}"
    return base if offset == 0 else f"{base} {'-' if offset < 0 else '+'} {abs(offset)}"


def _wrapped(head: str, arguments: list[str], width: int = 112) -> str:
    """A call over as many lines as it needs, continued under its first argument."""
    lines, line = [], head
    for i, argument in enumerate(arguments):
        text = argument + (", " if i < len(arguments) - 1 else ");")
        if len(line) + len(text) > width and line != head:
            lines.append(line.rstrip())
            line = " " * 8
        line += text
    return "\n    ".join([*lines, line])
