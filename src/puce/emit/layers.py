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
from .shared import FEWEST, Body, Call, Sharing, separated, shared, wrapped
from .tables import plain, table

FIND_ROWS = """\
/* Pointers to the rows first, first + step, ... of a picture of h rows that lies in a ring; null for those outside it. */
static PUCE_SHARED void find_rows_{type}(const {type} **x, int count, const {type} *ring, int first, int step, int h,
        int ring_rows, int row_items)
{{
    for (int i = 0; i < count; i++, first += step)
        x[i] = first < 0 || first >= h ? 0 : ring + (unsigned)first % (unsigned)ring_rows * (unsigned)row_items;
}}

"""


# The file of a bench holds the tables of several graphs.
SHARED_TABLE = "#ifndef PUCE_SHARED_{name}\n#define PUCE_SHARED_{name}\n{text}#endif\n"


@dataclass(frozen=True)
class Layers:
    """The C text of the layers of one scheduled graph."""

    graph: Graph
    schedule: Schedule
    name: str
    prototypes: Mapping[str, tuple[tuple[str, str], ...]]  # of the kernels: see shared.prototypes
    sharing: Sharing = "similar"
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
        """Bytes of flash for the tables of one layer; a shared one counts in the first that reads it."""
        first = {c.name: n for n in reversed(self.nodes) for c in self.constants[n.name] if c.shared}
        return sum(c.values.nbytes for c in self.constants[node.name] if not c.shared or first[c.name] is node)

    def table_name(self, node: Node, c: Constant) -> str:
        return f"shared_{c.name}" if c.shared else f"{self.ids[node.name]}_{c.name}"

    def tables(self) -> str:
        parts = {
            self.table_name(n, c): SHARED_TABLE.format(name=c.name.upper(), text=text) if c.shared else text
            for n in self.nodes
            for c in self.constants[n.name]
            for text in (table(self.table_name(n, c), c.values, c.note if c.shared else f"{n.name}: {c.note}"),)
        }
        return "\n".join(parts.values())

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
                kind, where = f"a ring of {place.rows} rows", f"{b.offset} + (unsigned)y % {place.rows}u * {place.row_bytes}u"
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

    @cached_property
    def bodies(self) -> Mapping[str, Body]:
        """The functions that several layers share, by layer."""
        return shared([self.call(n)[1] for n in self.nodes], self.sharing, taken={*self.ids.values(), self.name})

    def shared_functions(self) -> str:
        bodies = "".join(f"{body.definition()}\n" for body in dict.fromkeys(self.bodies.values()))
        return "".join(FIND_ROWS.format(type=t) for t in sorted(set(self.found_rows.values()))) + bodies

    @cached_property
    def found_rows(self) -> dict[str, str]:
        """The layers whose row pointers a shared function finds, and their type: where several layers have windows."""
        types = {
            n.name: C_TYPE[self.graph.call(n).x.dtype]
            for n in self.nodes
            if any(w.size > 1 for w in self.schedule.windows[n.name])
        }
        often = {t for t in types.values() if list(types.values()).count(t) >= FEWEST}
        return {n: t for n, t in types.items() if t in often} if self.sharing == "similar" else {}

    def function(self, node: Node) -> str:
        body, call = self.call(node)
        text = " ".join((*body, *call.arguments))
        unused = [] if " y" in f" {text}".replace("(", " ").replace(",", " ") else ["(void)y;"]
        found = self.bodies.get(node.name)
        lines = [*body, *unused, found.call(call) if found else wrapped(f"{call.kernel}(", call.arguments, ");")]
        return (
            f"{self.comment(node)}\nstatic PUCE_LAYER void {self.ids[node.name]}(int y)\n{{\n"
            + "\n".join(f"    {line}" for line in lines)
            + "\n}\n"
        )

    def call(self, node: Node) -> tuple[list[str], Call]:
        """Declarations, and the call of the kernel that follows them."""
        call, kernel = self.graph.call(node), self.schedule.kernels[node.name]
        windows = self.schedule.windows[node.name]
        body, pointers = [], []
        for i, (t, window) in enumerate(zip(call.data, windows, strict=True)):
            variable = "x" if len(windows) == 1 else f"x{i}"
            find = node.name in self.found_rows and window.size > 1 and window.kind == "rows"
            declaration, pointer = self._found(t, window, variable) if find else self._input(t, window, variable, call.y.rows)
            body += declaration
            pointers.append(pointer)
        out_row = "y" if any(w.kind == "rows" for w in windows) else "0"
        places = [*pointers, *(f"{self.tensor_ids[t.name]}({out_row})" for t in call.outputs)]
        places += [self.table_name(node, c) for c in self.constants[node.name]]
        owners = (self.schedule.state, self.schedule.scratch)
        memory = [self.address(o[node.name], "void") for o in owners if node.name in o]
        row = ["y"] if kernel.takes_y else []
        sizes = separated(kernel.arguments(call))
        fixed = (*(False for _ in places), *(True for _ in memory), *(False for _ in row), *(True for _ in sizes))
        prototype = self.prototypes.get(kernel.name, ())
        return body, Call(node.name, kernel.name, (*places, *memory, *row, *sizes), fixed, prototype)

    def _found(self, t: Tensor, window: Window, variable: str) -> tuple[list[str], str]:
        """The same by a call of the shared function."""
        place, row = self.schedule.places[t.name], self.tensor_ids[t.name]
        first = _affine(window.stride, -window.top)
        where = f"{row}(0), {first}, {window.dilation}, {t.rows}, {place.rows}, {place.row_bytes // t.itemsize}"
        array = f"const {C_TYPE[t.dtype]} *{variable}[{window.size}];"
        return [array, f"find_rows_{C_TYPE[t.dtype]}({variable}, {window.size}, {where});"], variable

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
