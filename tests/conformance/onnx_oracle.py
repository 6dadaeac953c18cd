# SPDX-License-Identifier: Apache-2.0
"""One .onnx file against onnxruntime: imported, its graph evaluated before and after the passes, its C run on this computer."""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from litert_oracle import PICTURES, SEED, Verdict, difference, in_processes, on_this_computer

from puce import passes
from puce.compiler import Compiled, compile_graph
from puce.errors import PuceError
from puce.frontends import ImportedModel, onnx
from puce.ir import Array, Graph
from puce.ops import REGISTRY

WITHIN = "every layer gives onnxruntime's byte or the one beside it"
KINDS: Mapping[str, Any] = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32, "tensor(int64)": np.int64,
}  # fmt: skip


def ours(x: Array, axes: Sequence[int]) -> Array:
    """A tensor of the file in our layout, with a batch of one in front: `axes` as ImportedModel.layouts has them."""
    kept = [a for a in axes if a >= 0]
    rest = [a for a in range(x.ndim) if a not in kept]
    sizes = [1 if a < 0 else x.shape[a] for a in axes]
    return np.ascontiguousarray(x.transpose(*rest, *kept).reshape(1, *sizes))


def session(model: bytes) -> Any:
    """onnxruntime as the file is written: no fused kernels, which would round otherwise."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def questions(inputs: Sequence[Any], count: int) -> list[dict[str, Array]]:
    """Random values for the inputs of a session, a batch of one where it is open."""
    rng = np.random.default_rng(SEED)

    def one(kind: Any, shape: Sequence[int]) -> Array:
        if np.issubdtype(kind, np.floating):
            return rng.normal(size=shape).astype(kind)
        low, high = (0, 3) if kind in (np.int32, np.int64) else (np.iinfo(kind).min, np.iinfo(kind).max)
        return rng.integers(low, high + 1, shape).astype(kind)

    shapes = [[n if isinstance(n, int) else 1 for n in i.shape] for i in inputs]
    return [{i.name: one(KINDS[i.type], s) for i, s in zip(inputs, shapes, strict=True)} for _ in range(count)]


def asked(imported: ImportedModel, question: Mapping[str, Array]) -> list[Array]:
    graph = imported.graph
    return [ours(question[t], imported.layouts[t]).astype(graph.tensors[t].dtype) for t in graph.inputs]


def expected(imported: ImportedModel, answers: Sequence[Array]) -> list[Array]:
    """The oracle's answers in our layouts; places are int32 where ONNX has int64."""
    graph = imported.graph
    pairs = zip(graph.outputs, answers, strict=True)
    return [ours(np.asarray(a), imported.layouts[t]).astype(graph.tensors[t].dtype)[0] for t, a in pairs]


def first_difference(graph: Graph, xs: Sequence[Sequence[Array]], wanted: Sequence[Sequence[Array]]) -> str:
    """NumPy reference against what is wanted, all pictures at once: the largest output is that of them all."""
    got = graph.evaluate(*(np.concatenate(column) for column in zip(*xs, strict=True)))
    for k, y in enumerate(got):
        if words := difference(y, np.stack([w[k] for w in wanted])):
            return f"output {k}: {words}"
    return ""


def check(path: Path) -> Verdict:
    """Import, compile and compare one file. Whatever is no PuceError comes out as it is."""
    try:
        imported = onnx.load(path)
        with tempfile.TemporaryDirectory() as folder:
            return compare(path.read_bytes(), imported, Path(folder))
    except PuceError as error:
        return Verdict("refused", f"{error.place}: {error.fact}")


def compare(model: bytes, imported: ImportedModel, folder: Path, count: int = PICTURES) -> Verdict:
    graph = imported.graph
    compiled = compile_graph(graph, folder, name="model")
    kinds = tuple(sorted({t.dtype for t in graph.tensors.values() if t.data is None}))
    size = len(compiled.graph.nodes)
    try:
        oracle = session(model)
    except Exception as error:  # onnxruntime has exceptions of its own for each code
        xs = [[np.zeros(graph.tensors[t].shape, graph.tensors[t].dtype) for t in graph.inputs]]
        next(on_this_computer(compiled, xs))
        return Verdict("no oracle", f"onnxruntime: {str(error).splitlines()[0][:120]}", False, kinds, size)
    asks = questions(oracle.get_inputs(), count)
    xs = [asked(imported, q) for q in asks]
    if "int8" in kinds:
        words = stepwise(model, imported, compiled, asks, xs)
        return Verdict("differs" if words else "identical", words or WITHIN, False, kinds, size)
    wanted = [expected(imported, oracle.run(None, q)) for q in asks]
    for name, g in (("as imported", graph), ("after the passes", passes.run(graph))):
        if words := first_difference(g, xs, wanted):
            return Verdict("differs", f"{name}, {words}", False, kinds, size)
    answers = list(on_this_computer(compiled, [[x[0] for x in picture] for picture in xs]))
    for k in range(len(graph.outputs)):
        if words := difference(np.stack([a[k] for a in answers]), np.stack([w[k] for w in wanted])):
            return Verdict("differs", f"C, output {k}: {words}", False, kinds, size)
    return Verdict("identical", "", False, kinds, size)


# ── quantised files: TFLite's rounding is not onnxruntime's ───────────────────────────────────────────────────────


def quantised_tensors(model: bytes, asks: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
    """What onnxruntime gives for every tensor that a QuantizeLinear reads, as our int8."""
    from onnx import ModelProto, ValueInfoProto

    proto = ModelProto.FromString(model)
    nodes = {n.output[0]: n.input[0] for n in proto.graph.node if n.op_type == "QuantizeLinear"}
    for name in set(nodes) - {o.name for o in proto.graph.output}:
        proto.graph.output.append(ValueInfoProto(name=name))
    oracle = session(proto.SerializeToString())
    names = [o.name for o in oracle.get_outputs()]

    def signed(q: Array) -> Array:
        return (q.astype(np.int16) - 128).astype(np.int8) if q.dtype == np.uint8 else q

    answers = [dict(zip(names, oracle.run(None, dict(q)), strict=True)) for q in asks]
    return [{source: signed(a[name]) for name, source in nodes.items()} for a in answers]


def stepwise(
    model: bytes,
    imported: ImportedModel,
    compiled: Compiled,
    asks: Sequence[Mapping[str, Array]],
    xs: Sequence[Sequence[Array]],
) -> str:
    """Feed every layer onnxruntime's own bytes: its answer must be theirs, or the byte beside; and C must be our reference."""
    graph = imported.graph
    seen = 0
    for picture, theirs in zip(xs, quantised_tensors(model, asks), strict=True):
        values = dict(zip(graph.inputs, picture, strict=True))
        for node in graph.nodes:
            call = graph.call(node)
            results = node.op.reference(call, *(values[t.name] for t in call.data))
            values |= dict(zip(node.outputs, results, strict=True))
            for t in call.outputs:
                want = theirs.get(t.name.removesuffix("/quantized"))
                if (
                    want is None
                    or t.dtype != "int8"
                    or want.size != t.size
                    or (t.name in theirs and f"{t.name}/quantized" in graph.tensors)
                ):
                    continue
                want = want.transpose(0, 2, 3, 1) if want.ndim == 4 else want
                want = want.reshape(values[t.name].shape)
                step = int(np.abs(values[t.name].astype(int) - want.astype(int)).max())
                seen += 1
                if step > 1:
                    return f"{t.name}: {step} steps from onnxruntime's byte"
                values[t.name] = want
    if not seen:
        return "no layer could be compared"
    got = on_this_computer(compiled, [[x[0] for x in picture] for picture in xs])
    for picture, answer in zip(xs, got, strict=True):
        for k, (y, want) in enumerate(zip(answer, graph.evaluate(*picture), strict=True)):
            if words := difference(y, want[0]):
                return f"C, output {k}: {words}"
    return ""


def files(data: Path) -> list[Path]:
    with (data / "models" / "MANIFEST.tsv").open(encoding="utf-8") as table:
        names = [row["file"] for row in csv.DictReader(table, delimiter="\t")]
    return [data / "models" / name for name in names if name.endswith(".onnx")]


def table(rows: Sequence[tuple[Path, Verdict]]) -> str:
    lines = [f"{word(v):<10} {p.parent.name[:30]:<30} {p.name:<60.60} {v.reason}" for p, v in rows]
    refusals = Counter(v.reason.partition(": ")[2] for _, v in rows if v.outcome == "refused")
    lines += ["", "refused, by reason"] + [f"{n:>5}  {reason}" for reason, n in refusals.most_common()]
    lines += ["", ", ".join(f"{n} {what}" for what, n in Counter(word(v) for _, v in rows).most_common())]
    lines.append("files of operators that `puce ops` names: {} of {} compile and agree, {:.1f} %".format(*share(rows)))
    return "\n".join(lines)


def word(v: Verdict) -> str:
    if v.outcome != "identical":
        return v.outcome
    return "one step" if v.reason == WITHIN else "agrees"


STRUCTURE = frozenset({"Constant", "Dropout", "Identity", "Shape"})  # disappear while reading


def is_claimed(path: Path) -> bool:
    """Whether our operators name every operator of the file as one of theirs."""
    from onnx import ModelProto

    known = STRUCTURE | {name for op in REGISTRY.values() for name in op.onnx}
    nodes = ModelProto.FromString(path.read_bytes()).graph.node
    return all(n.op_type in known and n.domain in ("", "ai.onnx") for n in nodes)


def share(rows: Sequence[tuple[Path, Verdict]]) -> tuple[int, int, float]:
    """Files that compile and do not differ, and all of them, among those of operators that we claim; in per cent."""
    claimed = [v for p, v in rows if is_claimed(p)]
    done = sum(v.compiled and v.outcome != "differs" for v in claimed)
    return done, len(claimed), 100 * done / max(len(claimed), 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder that holds models/")
    parser.add_argument("--only", default="", help="files whose name contains this")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    chosen = [p for p in files(arguments.data) if arguments.only in str(p)]
    rows = sorted(in_processes(chosen, check, workers=arguments.workers), key=lambda r: str(r[0]))
    print(table(rows))
    return 1 if any(v.outcome in ("differs", "crash", "too slow") for _, v in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
