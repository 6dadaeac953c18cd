# SPDX-License-Identifier: Apache-2.0
"""Every .tflite of the shared models against LiteRT: the table compiled / refused (reason) / identical, and its percentages."""

from __future__ import annotations

import argparse
import csv
import hashlib
import re
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from litert_oracle import Verdict, check, in_processes

COVERED = {"int8", "uint8", "float32"}  # what inputs and weights of a file must be, to count


@dataclass(frozen=True)
class Entry:
    """A file of the manifest, and what stands there about it."""

    path: Path
    name: str
    operators: int
    counts: bool  # whether inputs and weights are of the types that we promise
    is_int8: bool

    @property
    def is_network(self) -> bool:
        return self.operators > 1

    @property
    def is_emulated(self) -> bool:
        """A fixed tenth."""
        return zlib.crc32(self.name.encode()) % 10 == 0


def entries(data: Path) -> list[Entry]:
    """The .tflite files of the manifest and of MLPerf Tiny; the same file under two names counts once."""
    found, seen = list[Entry](), set[str]()
    with (data / "models" / "MANIFEST.tsv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            path = data / "models" / row["file"]
            if path.suffix in (".tflite", ".bin") and path.parent.name != "refused_by_litert" and path.is_file():
                seen.add(row["sha256"])
                operators = sum(int(n) for n in re.findall(r"\*(\d+)", row["operators"]))
                found.append(Entry(path, row["file"], operators, counts(row), "INT8" in row["types"]))
    for path in sorted((data / "mlperf_tiny").glob("*.tflite")):
        if hashlib.sha256(path.read_bytes()).hexdigest() in seen:
            continue
        quantised = "int8" in path.name or path.stem in ("kws_ref_model", "pretrainedResnet_quant", "str_ww_ref_model")
        found.append(Entry(path, f"mlperf_tiny/{path.name}", 2, True, quantised))
    return found


def counts(row: dict[str, str]) -> bool:
    """Whether all inputs are int8, uint8 or float32; in these files weights are then, too."""
    inputs = {m.lower() for m in re.findall(r"(UINT8|FLOAT32|INT8|INT16|INT32|INT64)(?=\d|\s|$)", row["inputs"])}
    return bool(inputs) and inputs <= COVERED


@dataclass(frozen=True)
class Results:
    """All verdicts, and the shares that the acceptance asks for."""

    rows: tuple[tuple[Entry, Verdict], ...]

    def share(self, networks: bool) -> tuple[int, int]:
        """Compiled and all of the files that count: whole networks, or files of one operator."""
        group = [v for e, v in self.rows if e.counts and e.is_network == networks]
        return sum(v.compiled for v in group), len(group)

    def exact(self, int8: bool) -> tuple[int, int]:
        """Identical (or within the tolerance, for float) and all of the compiled files that an oracle could judge."""
        group = [v for e, v in self.rows if v.outcome in ("identical", "differs") and e.is_int8 == int8]
        return sum(v.outcome == "identical" for v in group), len(group)

    def failures(self) -> list[tuple[Entry, Verdict]]:
        return [(e, v) for e, v in self.rows if v.outcome in ("differs", "crash", "too slow")]

    def table(self) -> str:
        lines = [f"{v.outcome:<10} {'+core' if v.emulated else '':<6}{e.name:<100.100} {v.reason}" for e, v in self.rows]
        refusals = Counter(v.reason.partition(": ")[2] for e, v in self.rows if v.outcome == "refused")
        lines += ["", "refused, by reason"] + [f"{n:>5}  {reason}" for reason, n in refusals.most_common()]
        lines += ["", *self.summary()]
        return "\n".join(lines)

    def summary(self) -> Iterator[str]:
        yield ", ".join(f"{n} {what}" for what, n in Counter(v.outcome for _, v in self.rows).most_common())
        for words, (part, whole) in (
            ("whole networks compiled", self.share(True)),
            ("single operators compiled", self.share(False)),
            ("int8 files bit-identical to LiteRT on the host", self.exact(True)),
            ("float files within 1e-5 of the largest output", self.exact(False)),
        ):
            yield f"{words}: {part} of {whole}, {100 * part / max(whole, 1):.1f} %"
        core = [v for _, v in self.rows if v.emulated]
        yield f"also on the emulated core: {sum(v.outcome == 'identical' for v in core)} of {len(core)}"


def judge(chosen: Sequence[Entry], workers: int = 2, quiet: bool = True) -> Results:
    by_path = {e.path: e for e in chosen}
    rows = []
    for path, verdict in in_processes([*by_path], lambda p: check(p, by_path[p].is_emulated), workers=workers):
        rows.append((by_path[path], verdict))
        if not quiet:
            print(f"{len(rows)}/{len(chosen)} {verdict.outcome:<10} {verdict.seconds:5.1f} s  {path.name}", file=sys.stderr)
    return Results(tuple(sorted(rows, key=lambda r: r[0].name)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder that holds models/ and mlperf_tiny/")
    parser.add_argument("--only", default="", help="files whose name contains this")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    chosen = [e for e in entries(arguments.data) if arguments.only in e.name]
    results = judge(chosen, arguments.workers, quiet=False)
    print(results.table())
    return 1 if results.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
