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
from puce.compiler import compile_graph
from puce.errors import PuceError
from puce.frontends import ImportedModel, onnx
from puce.ir import Array, Graph

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
    import onnxruntime

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
    wanted = [expected(imported, oracle.run(None, q)) for q in asks]
    for name, g in (("as imported", graph), ("after the passes", passes.run(graph))):
        if words := first_difference(g, xs, wanted):
            return Verdict("differs", f"{name}, {words}", False, kinds, size)
    answers = list(on_this_computer(compiled, [[x[0] for x in picture] for picture in xs]))
    for k in range(len(graph.outputs)):
        if words := difference(np.stack([a[k] for a in answers]), np.stack([w[k] for w in wanted])):
            return Verdict("differs", f"C, output {k}: {words}", False, kinds, size)
    return Verdict("identical", "", False, kinds, size)


def files(data: Path) -> list[Path]:
    with (data / "models" / "MANIFEST.tsv").open(encoding="utf-8") as table:
        names = [row["file"] for row in csv.DictReader(table, delimiter="\t")]
    return [data / "models" / name for name in names if name.endswith(".onnx")]


def table(rows: Sequence[tuple[Path, Verdict]]) -> str:
    lines = [f"{v.outcome:<10} {p.parent.name[:30]:<30} {p.name:<60.60} {v.reason}" for p, v in rows]
    refusals = Counter(v.reason.partition(": ")[2] for _, v in rows if v.outcome == "refused")
    lines += ["", "refused, by reason"] + [f"{n:>5}  {reason}" for reason, n in refusals.most_common()]
    claimed = [v for _, v in rows if not (v.outcome == "refused" and unclaimed(v.reason))]
    done = sum(v.compiled and v.outcome != "differs" for v in claimed)
    lines += ["", ", ".join(f"{n} {what}" for what, n in Counter(v.outcome for _, v in rows).most_common())]
    lines += [f"files of operators that we claim: {done} of {len(claimed)} compile and agree, {100 * done / max(len(claimed), 1):.1f} %"]
    return "\n".join(lines)


def unclaimed(reason: str) -> bool:
    return ": the operator " in reason and reason.endswith("is not supported.")


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
