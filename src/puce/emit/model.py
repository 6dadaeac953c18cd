# SPDX-License-Identifier: Apache-2.0
"""Graph + Schedule -> the C files of a model: header, source, weights, self-test, and the kernels it uses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import numpy as np

from .. import __version__
from ..ir import C_TYPE, Array, Graph, Tensor
from ..schedule import Schedule
from ..units import count
from .declared import Declared, decision, warning_lines
from .layers import Layers
from .names import identifier
from .shared import Sharing, prototypes
from .tables import plain, table

# GCC would make copies of a shared function for some of its callers; Clang does not, nor does it know the word.
SHARED = """\
#ifdef __clang__
#define PUCE_SHARED __attribute__((noinline))
#else
#define PUCE_SHARED __attribute__((noinline, noclone))
#endif
"""


@dataclass(frozen=True)
class Sources:
    """The generated files by name, and what they take: `weight_bytes` of tables a layer, `static_bytes` besides the plan."""

    name: str
    files: Mapping[str, str]
    compiled: tuple[str, ...]  # the .c files of the firmware; the self-test is one more
    weight_bytes: Mapping[str, int]
    order_bytes: int
    counter_bytes: int
    fingerprint: int
    layer_functions: Mapping[str, str]  # node -> C function


def kernel_files(headers: set[str]) -> dict[str, str]:
    """The named kernel headers and all that they include."""
    folder, found, todo = resources.files("puce") / "kernels", dict[str, str](), sorted(headers)
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = (folder / name).read_text(encoding="utf-8")
            todo += re.findall(r'#include "([^"]+)"', found[name])
    return dict(sorted(found.items()))


def emit(
    graph: Graph,
    schedule: Schedule,
    name: str | None = None,
    test_picture: Array | None = None,
    sharing: Sharing = "similar",
    declared: Declared | None = None,
) -> Sources:
    """Write the C of a scheduled graph. The same graph and schedule give the same bytes.

    `test_picture`, [*shape] of the first input, becomes the self-test with the reference's own answer; a seeded random
    one stands in where it is None. `declared` adds to the header alone.
    """
    name = identifier(name or graph.name, "model")
    kernels = kernel_files({k.header for k in schedule.kernels.values()} | {"puce_kernel.h"})
    writer = Writer(graph, schedule, name, Layers(graph, schedule, name, prototypes(kernels.values()), sharing))
    layers = writer.layers
    body = writer.source()
    fingerprint = int.from_bytes(hashlib.sha256((body + layers.tables()).encode()).digest()[:4], "little")
    files = {
        f"{name}.h": writer.header(fingerprint, declared or Declared()),
        f"{name}.c": body,
        f"{name}_weights.h": writer.weights(),
        f"{name}_self_test.c": writer.self_test(test_picture),
        "puce_model.h": writer.glue(fingerprint),
        **kernels,
    }
    return Sources(
        name=name,
        files=files,
        compiled=(f"{name}.c",),
        weight_bytes={n.name: layers.weight_bytes(n) for n in layers.nodes},
        order_bytes=len(writer.order) * writer.order.itemsize,
        counter_bytes=writer.counter_bytes,
        fingerprint=fingerprint,
        layer_functions=dict(layers.ids),
    )


def _closed(lines: list[str]) -> list[str]:
    return [*lines[:-1], f"{lines[-1]} */"]


class Writer:
    """Puts the files together."""

    def __init__(self, graph: Graph, schedule: Schedule, name: str, layers: Layers) -> None:
        self.graph, self.schedule, self.name, self.upper = graph, schedule, name, name.upper()
        self.layers = layers
        self.inputs = [graph.tensors[n] for n in graph.inputs]
        self.outputs = [graph.tensors[n] for n in graph.outputs]

    @property
    def counter_type(self) -> str:
        most = max((s.firing for s in self.schedule.steps), default=0)
        return "uint8_t" if most < 255 else "uint16_t"

    @property
    def counter_bytes(self) -> int:
        """The row counters, and where a feed by rows has got to."""
        width = 1 if self.counter_type == "uint8_t" else 2
        return width * len(self.layers.nodes) + (8 if self.schedule.fed_by_rows else 0)

    @property
    def order(self) -> Array:
        index = {n.name: i for i, n in enumerate(self.layers.nodes)}
        codes = [len(index) if s.node is None else index[s.node] for s in self.schedule.steps]
        return np.array(codes, np.uint8 if len(index) < 256 else np.uint16)

    def signature(self, function: str) -> str:
        x, y = self.inputs, self.outputs[0]
        if function == "run":
            names = ["picture"] if len(x) == 1 else [f"input_{i}" for i in range(len(x))]
            arguments = ", ".join(f"const {C_TYPE[t.dtype]} *{n}" for t, n in zip(x, names, strict=True))
            return f"const {C_TYPE[y.dtype]} *{self.name}_run({arguments})"
        if function == "feed_row":
            return f"const {C_TYPE[y.dtype]} *{self.name}_feed_row(const {C_TYPE[x[0].dtype]} *row)"
        return {"begin": f"void {self.name}_begin(void)", "self_test": f"int {self.name}_self_test(void)"}[function]

    def accessor(self, kind: str, index: int) -> str:
        """input(), input_1(), ..., output_1(), ...: where the first is alone it has no number."""
        t = (self.inputs if kind == "input" else self.outputs)[index]
        const = "" if kind == "input" else "const "
        return f"{const}{C_TYPE[t.dtype]} *{self.name}_{kind}{f'_{index}' if index else ''}(void)"

    def header(self, fingerprint: int, declared: Declared) -> str:
        u, lines = self.upper, []
        for kind, tensors in (("INPUT", self.inputs), ("OUTPUT", self.outputs)):
            for i, t in enumerate(tensors):
                tag = f"{u}_{kind}" + (f"_{i}" if i else "")
                lines += [f"/* {kind.lower()}: {t.dtype} [{', '.join(map(str, t.shape))}]{_scale_note(t)} */"]
                lines += [f"#define {tag}_COUNT {t.size}", f"#define {tag}_BYTES {t.nbytes}"]
                if t.quantization:
                    lines += [f"#define {tag}_SCALE {t.q.s!r}f", f"#define {tag}_ZERO_POINT {t.q.z}"]
        x = self.inputs[0]
        functions = [
            "/* One inference. `picture` is copied in unless it is already where input() points; the result is valid until\n"
            "   the next call. The same picture gives the same bytes, whatever ran before. */",
            f"{self.signature('run')};",
        ]
        if self.schedule.fed_by_rows:
            functions += [
                f"\n/* The same, as the rows arrive: begin(), then each of the {x.rows} rows of {x.row_bytes} bytes,\n"
                "   from the top. The last call returns the result, the others null. A row may be overwritten then. */",
                f"{self.signature('begin')};",
                f"{self.signature('feed_row')};",
            ]
        else:
            functions += ["\n/* Where a picture may be written to save the copy; the run overwrites it. */"]
            functions += [f"{self.accessor('input', i)};" for i in range(len(self.inputs))]
        functions += [f"{self.accessor('output', i)};" for i in range(1, len(self.outputs))]
        functions += [
            f"\n/* Runs the picture in {self.name}_self_test.c: 0 when every byte of the answer is the expected one. */",
            f"{self.signature('self_test')};",
            *decision(declared, self.graph, self.name),
        ]
        macs = sum(n.op.macs(self.graph.call(n)) for n in self.graph.nodes)
        return "\n".join([
            f"/* {self.name}.h: a neural network in plain C99, made by puce {__version__}. Do not edit.",
            plain(f"   {len(self.layers.nodes)} layers, {count(macs)} multiply-accumulates. No heap, no library but memcpy."),
            *_closed(["   Not re-entrant: its memory is static.", *warning_lines(declared)]),
            f"#ifndef {u}_H", f"#define {u}_H", "", "#include <stdint.h>", "",
            f'#define {u}_PUCE_VERSION "{__version__}"',
            f"#define {u}_FINGERPRINT 0x{fingerprint:08x}u /* of weights and code */",
            f"#define {u}_RAM_BYTES {self.schedule.activation_bytes} /* input, output, activations, scratch: all inside */",
            *lines, "", "#ifdef __cplusplus", 'extern "C" {', "#endif", "", *functions, "",
            "#ifdef __cplusplus", "}", "#endif", "#endif", "",
        ])  # fmt: skip

    def weights(self) -> str:
        return (
            f"/* {self.name}_weights.h: the tables of {self.name}.c, which alone includes it. */\n"
            f"#ifndef {self.upper}_WEIGHTS_H\n#define {self.upper}_WEIGHTS_H\n\n#include <stdint.h>\n\n"
            f"{self.layers.tables()}\n#endif\n"
        )

    def source(self) -> str:
        headers = sorted({k.header for k in self.schedule.kernels.values()} | {"puce_kernel.h"})
        includes = "\n".join(f'#include "{h}"' for h in (f"{self.name}.h", *headers, f"{self.name}_weights.h"))
        stages = "\n".join(
            plain(f"     {i}. {', '.join(self.layers.ids[n] for n in stage)}")
            for i, stage in enumerate(self.schedule.stages, 1)
        )
        functions = "\n".join(self.layers.function(n) for n in self.layers.nodes)
        return (
            f"/* {self.name}.c: made by puce {__version__}. Do not edit: the same model gives the same file.\n\n"
            "   Each layer is one function that computes one row of its output from the rows of its input that it needs.\n"
            "   `order` says which layer is next: a row is computed when its reader needs it, so between layers there are\n"
            "   rings of a few rows instead of whole pictures. Inside a stage rows stream; between stages tensors are whole.\n"
            f"{stages} */\n"
            f"{includes}\n\n"
            "/* A function of its own for each layer, so that a profiler can tell them apart. */\n"
            "#define PUCE_LAYER __attribute__((noinline))\n"
            f"{SHARED if self.layers.shared_functions() else ''}\n"
            f"{self.memory()}\n{self.layers.row_functions()}\n{self.layers.shared_functions()}{functions}\n{self.driver()}"
        )

    def memory(self) -> str:
        lines = []
        for i, (bank, used) in enumerate(self.schedule.bank_bytes.items()):
            if used or i == 0:
                section = f', section(".puce_bank_{bank.lower()}")' if i else ""
                lines.append(
                    f"static uint8_t {self.layers.bank_id(bank)}[{max(used, 4)}] __attribute__((aligned(8){section}));"
                )
        nodes = max(len(self.layers.nodes), 1)  # a network of views alone has none, and C no empty array
        lines.append(f"static {self.counter_type} next[{nodes}]; /* the row that each layer computes next */")
        if self.schedule.fed_by_rows:
            lines.append("static int32_t at, fed; /* the place in `order`, the rows that have come */")
        return "\n".join(lines) + "\n"

    def driver(self) -> str:
        order = table(
            "order", self.order, f"the layer that computes its next row; {len(self.layers.nodes)}: a row of the input"
        )
        cases = "".join(f"    case {i}: {self.layers.ids[n.name]}(y); break;\n" for i, n in enumerate(self.layers.nodes))
        switch = f"    const int y = next[layer]++;\n    switch (layer) {{\n{cases}    default: break;\n    }}\n"
        parts = [
            order,
            "/* Calls by name, not through a table of pointers: so the depth of the stack can be computed. */\n"
            f"static PUCE_LAYER void compute(int layer)\n{{\n{switch if cases else '    (void)layer;' + chr(10)}}}\n",
        ]
        parts += self.fed() if self.schedule.fed_by_rows else self.whole()
        parts += [
            f"{self.accessor('output', i)}\n{{\n    return {self.layers.tensor_ids[t.name]}(0);\n}}\n"
            for i, t in enumerate(self.outputs)
            if i
        ]
        return "\n".join(parts)

    def whole(self) -> list[str]:
        parts = []
        for i, t in enumerate(self.inputs):
            parts.append(f"{self.accessor('input', i)}\n{{\n    return {self.layers.tensor_ids[t.name]}(0);\n}}\n")
        names = ["picture"] if len(self.inputs) == 1 else [f"input_{i}" for i in range(len(self.inputs))]
        places = [f"{self.layers.tensor_ids[t.name]}(0)" for t in self.inputs]
        copies = "".join(
            f"    if ({n} != {place}) memcpy({place}, {n}, {t.nbytes});\n"
            for t, n, place in zip(self.inputs, names, places, strict=True)
        )
        parts.append(
            f"{self.signature('run')}\n{{\n{copies}    memset(next, 0, sizeof next);\n"
            f"    for (int step = 0; step < {len(self.order)}; step++) compute(order[step]);\n"
            f"    return {self.layers.tensor_ids[self.outputs[0].name]}(0);\n}}\n"
        )
        return parts

    def fed(self) -> list[str]:
        x, out = self.inputs[0], self.layers.tensor_ids[self.outputs[0].name]
        row, arrives, steps = self.layers.tensor_ids[x.name], len(self.layers.nodes), len(self.order)
        ring = self.schedule.places[x.name].rows
        items = x.row_bytes // x.itemsize
        return [
            "/* All that can be computed before the next row of the input is there. */\n"
            f"static void advance(void)\n{{\n    while (at < {steps} && order[at] != {arrives}) compute(order[at++]);\n}}\n",
            f"{self.signature('begin')}\n{{\n    memset(next, 0, sizeof next);\n"
            "    at = 0;\n    fed = 0;\n    advance();\n}\n",
            f"/* The input is a ring of {ring} rows. */\n{self.signature('feed_row')}\n{{\n"
            f"    memcpy({row}((int)fed++), row, {x.row_bytes});\n"
            f"    at++; /* the arrival itself */\n"
            f"    advance();\n"
            f"    return at == {steps} ? {out}(0) : 0;\n}}\n",
            f"{self.signature('run')}\n{{\n    {self.name}_begin();\n"
            f"    for (int y = 0; y < {x.rows - 1}; y++, picture += {items}) {self.name}_feed_row(picture);\n"
            f"    return {self.name}_feed_row(picture);\n}}\n",
        ]

    def self_test(self, picture: Array | None) -> str:
        rng = np.random.default_rng(0)
        pictures = []
        for t in self.inputs:
            if t.dtype == "float32":
                pictures.append(rng.uniform(0, 1, t.shape).astype(np.float32))
            else:
                info = np.iinfo(t.dtype)
                pictures.append(rng.integers(info.min, info.max + 1, t.shape).astype(t.dtype))
        if picture is not None:
            pictures[0] = picture
        outputs = self.graph.evaluate(*(p[None] for p in pictures))
        names = [f"picture_{i}" for i in range(len(pictures))]
        parts = [table(n, p, "the picture") for n, p in zip(names, pictures, strict=True)]
        parts.append(table("expected", outputs[0][0], "the answer of puce's NumPy reference"))
        y = self.outputs[0]
        if y.dtype == "float32":
            same = "answer[i] - expected[i] > 1e-3f || expected[i] - answer[i] > 1e-3f"
        else:
            same = "answer[i] != expected[i]"
        return (
            f"/* {self.name}_self_test.c: one picture and the expected answer, to be run on the target. */\n"
            f'#include "{self.name}.h"\n\n' + "\n".join(parts) + f"\n{self.signature('self_test')}\n{{\n"
            f"    const {C_TYPE[y.dtype]} *answer = {self.name}_run({', '.join(names)});\n"
            f"    for (int i = 0; i < {y.size}; i++)\n        if ({same}) return i + 1;\n    return 0;\n}}\n"
        )

    def glue(self, fingerprint: int) -> str:
        """puce_model.h: the same names for every model, for a firmware that serves any of them."""
        x, y, n = self.inputs[0], self.outputs[0], self.name
        code = {"int8": "b", "uint8": "B", "float32": "f", "int16": "h", "int32": "i"}
        defines = {
            "NAME": f'"{n}"', "FINGERPRINT": f"0x{fingerprint:08x}u",
            "INPUT_BYTES": x.nbytes, "OUTPUT_BYTES": y.nbytes,
            "INPUT_TYPE": f"'{code[x.dtype]}'", "OUTPUT_TYPE": f"'{code[y.dtype]}'",
            "ROWS": x.rows, "ROW_BYTES": x.row_bytes, "FED_BY_ROWS": int(self.schedule.fed_by_rows),
        }  # fmt: skip
        lines = [f"#define PUCE_MODEL_{k} {v}" for k, v in defines.items()]
        if self.schedule.fed_by_rows:
            functions = (
                f"static inline void puce_model_begin(void) {{ {n}_begin(); }}\n"
                f"static inline const void *puce_model_feed_row(const void *row) {{ return {n}_feed_row(row); }}\n"
            )
        else:
            more = "".join(f", {n}_input_{i}()" for i in range(1, len(self.inputs)))
            functions = (
                f"static inline void *puce_model_input(void) {{ return {n}_input(); }}\n"
                f"static inline const void *puce_model_run(void) {{ return {n}_run({n}_input(){more}); }}\n"
            )
        return (
            f"/* puce_model.h: {n} under the names that puce's firmware knows. */\n"
            f'#ifndef PUCE_MODEL_H\n#define PUCE_MODEL_H\n\n#include "{n}.h"\n\n'
            + "\n".join(lines)
            + f"\n\n{functions}\n#endif\n"
        )


def _scale_note(t: Tensor) -> str:
    return f", real = {t.q.s!r} * (q - {t.q.z})" if t.quantization else ""
