# SPDX-License-Identifier: Apache-2.0
"""Is a set fit for training? Unusable files, copies, leaks, imbalance, odd pictures, shortcuts: `puce data check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ..evaluate import Accuracy
from ..text import table
from ..units import count
from .dataset import SPLITS, Dataset, Skipped
from .duplicates import Group, exact, near
from .facts import Facts, facts_of_dataset, facts_of_files
from .listing import Listing
from .shortcut import Shortcut, shortcuts

SHOWN = 8
"""Of each kind of finding that many are named in the text; --json names all."""
IMBALANCE_NOTED, IMBALANCE_SPOILS = 3, 10
FEWEST = 10
"""A class with fewer pictures has no test figure worth the name: of one in ten, one."""
UNUSABLE_SPOILS = 0.1
ODD_ASPECT = 1.8
"""Times wider or higher than the median picture: a centre crop loses half of it."""


@dataclass(frozen=True)
class Finding:
    """One thing that is the matter. `spoils`: what is trained on this, or measured, cannot be believed."""

    kind: str
    spoils: bool
    fact: str
    remedy: str
    items: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "spoils": self.spoils, "fact": self.fact, "remedy": self.remedy, "items": list(self.items)}


@dataclass(frozen=True, eq=False)
class Check:
    """The answer of `puce data check`; `ok` is false where a finding spoils the training."""

    facts: Facts
    exact: tuple[Group, ...]
    near: tuple[Group, ...]
    shortcuts: tuple[Shortcut, ...]
    findings: tuple[Finding, ...]
    fixed: Path | None = None
    left_out: tuple[Skipped, ...] = ()

    @property
    def ok(self) -> bool:
        return not any(finding.spoils for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        f = self.facts
        return {
            "name": f.name, "classes": list(f.classes), "pictures": len(f.pictures), "by_class": by_class(f),
            "unusable": [{"path": s.path, "reason": s.reason} for s in f.unusable], "hidden": list(f.hidden),
            "duplicates": _groups_as_json(self.exact), "near_duplicates": _groups_as_json(self.near),
            "sizes": {f"{h}x{w}": n for (h, w), n in Counter(p.size for p in f.pictures).most_common()},
            "modes": dict(Counter(p.mode for p in f.pictures).most_common()),
            "shortcuts": [s.as_json() for s in self.shortcuts],
            "findings": [finding.as_json() for finding in self.findings], "ok": self.ok,
            "fixed": str(self.fixed) if self.fixed else None,
            "left_out": [{"path": s.path, "reason": s.reason} for s in self.left_out],
        }  # fmt: skip

    def __str__(self) -> str:
        f = self.facts
        sides = [s for s in SPLITS if any(p.side == s for p in f.pictures)]
        counts = Counter((p.label, p.side) for p in f.pictures)
        totals = Counter(p.label for p in f.pictures)
        rows = [(name, *(count(counts[label, s]) for s in sides), count(totals[label])) for label, name in enumerate(f.classes)]
        lines = [f"{f.name}: {count(len(f.pictures))} pictures in {len(f.classes)} classes", ""]
        lines += [table(("class", *sides, "total"), rows, right=set(range(1, len(sides) + 2))), ""]
        for finding in self.findings:
            lines += [f"{'✗' if finding.spoils else '·'} {finding.fact}"]
            lines += [f"    {item}" for item in finding.items[:SHOWN]]
            if len(finding.items) > SHOWN:
                lines.append(f"    and {count(len(finding.items) - SHOWN)} more; --json names all")
            lines += [f"  → {finding.remedy}"] if finding.remedy else []
        if self.fixed:
            lines += ["", f"cleaned copy: {self.fixed}; {count(len(self.left_out))} files left out, listed in left-out.tsv"]
        spoilt = sum(finding.spoils for finding in self.findings)
        verdict = f"{spoilt} finding(s) spoil a training on this set." if spoilt else "Nothing here spoils a training."
        return "\n".join([*lines, "", verdict])


def by_class(facts: Facts) -> dict[str, int]:
    counted = Counter(p.label for p in facts.pictures)
    return {name: counted[label] for label, name in enumerate(facts.classes)}


def _groups_as_json(groups: tuple[Group, ...]) -> dict[str, Any]:
    return {
        "groups": len(groups),
        "across_classes": sum(g.across_classes for g in groups),
        "across_splits": sum(g.across_sides for g in groups),
        "list": [g.as_json() for g in groups],
    }


def check(source: Listing | Dataset, network: Accuracy | None = None) -> Check:
    """Look at every picture of a folder, a zip, a list, or a set in memory.

    `network` is the accuracy of a network that was trained on it, where there is one: the shortcut test is judged
    against it. Nothing is written.
    """
    facts = facts_of_files(source) if isinstance(source, Listing) else facts_of_dataset(source)
    copies = exact(facts)
    alike, judged = near(facts)
    trivial = shortcuts(facts, network)
    findings = (
        *_files(facts), *_copies(copies), *_near(alike, judged), *_groups(facts), *_balance(facts), *_oddities(facts),
        *(Finding("shortcut", s.spoils, s.verdict, _REMEDY_SHORTCUT if s.spoils else "") for s in trivial),
    )  # fmt: skip
    return Check(facts, copies, alike, trivial, tuple(sorted(findings, key=lambda f: not f.spoils)))


_REMEDY_SHORTCUT = "Take pictures of every class with the same cameras, places and light; test on pictures from elsewhere."
_REMEDY_FIX = "`--fix DIR` writes a copy without them."


def _files(facts: Facts) -> Iterator[Finding]:
    if facts.unusable:
        share = len(facts.unusable) / (len(facts.unusable) + len(facts.pictures))
        spoils = share > UNUSABLE_SPOILS
        fact = f"{count(len(facts.unusable))} file(s) cannot be used; training goes on without them."
        yield Finding("unusable", spoils, fact, _REMEDY_FIX, tuple(map(str, facts.unusable)))
    if facts.hidden:
        fact = f"{len(facts.hidden)} hidden folder(s) or file(s) are passed over; other tools take such a folder for a class."
        yield Finding("hidden", False, fact, _REMEDY_FIX, facts.hidden)


def _copies(groups: tuple[Group, ...]) -> Iterator[Finding]:
    if not groups:
        return
    across_classes = [g for g in groups if g.across_classes]
    across_sides = [g for g in groups if g.across_sides]
    plain = [g for g in groups if not g.across_classes and not g.across_sides]
    yield Finding(
        "duplicates",
        False,
        f"{count(len(groups))} group(s) of exact duplicates in all; {count(len(plain))} within one class and one split.",
        _REMEDY_FIX,
        tuple(map(str, plain)),
    )
    if across_classes:
        fact = f"{count(len(across_classes))} group(s) of exact duplicates are filed under two classes: one label is wrong."
        pairs = Counter(" / ".join(g.classes) for g in across_classes)
        most = ", ".join(f"{pair} ({n})" for pair, n in pairs.most_common(3))
        remedy = f"Ask who labelled them: {most}. `--fix DIR` leaves all their copies out."
        yield Finding("double_labelled", True, fact, remedy, tuple(map(str, across_classes)))
    if across_sides:
        fact = (
            f"{count(len(across_sides))} group(s) of exact duplicates are in two splits: the test asks what training has told."
        )
        remedy = "`--fix DIR` keeps the test's copy alone."
        yield Finding("leak", True, fact, remedy, tuple(map(str, across_sides)))


def _near(groups: tuple[Group, ...], judged: bool) -> Iterator[Finding]:
    if not judged:
        yield Finding(
            "near_duplicates", False, "Near duplicates were not looked for: the pictures are too small or too alike.", ""
        )
    if not groups:
        return
    crossing = sum(g.across_sides for g in groups)
    labels = sum(g.across_classes for g in groups)
    fact = (
        f"{count(len(groups))} group(s) of near duplicates; {count(labels)} under two classes, {count(crossing)} in two splits."
    )
    remedy = "Look at them. Pictures of one burst or one patient belong in one split: `--group PATTERN` keeps them together."
    listed = sorted(groups, key=lambda g: (not g.across_sides, not g.across_classes))
    yield Finding("near_duplicates", False, fact, remedy, tuple(map(str, listed)))


def _groups(facts: Facts) -> Iterator[Finding]:
    sides: dict[str, set[str]] = {}
    for picture in facts.pictures:
        if picture.group and picture.side:
            sides.setdefault(picture.group, set()).add(picture.side)
    cut = tuple(sorted(group for group, where in sides.items() if len(where) > 1))
    if cut:
        fact = f"{count(len(cut))} group(s) are cut by the given split: the test knows these patients or bursts."
        yield Finding("group_leak", True, fact, "Split by group: leave the split out, and puce deals whole groups.", cut)


def _balance(facts: Facts) -> Iterator[Finding]:
    counts = by_class(facts)
    few = tuple(f"{name}: {n}" for name, n in counts.items() if n < FEWEST)
    if few:
        fact = f"{len(few)} class(es) have fewer than {FEWEST} usable pictures."
        yield Finding("few", True, fact, "Add pictures, or take the class away.", few)
    smallest, largest = min(counts, key=lambda k: counts[k]), max(counts, key=lambda k: counts[k])
    ratio = counts[largest] / max(1, counts[smallest])
    if ratio >= IMBALANCE_NOTED:
        fact = (
            f"The largest class ({largest}, {count(counts[largest])}) has {ratio:.1f} times the pictures of the smallest"
            f" ({smallest}, {count(counts[smallest])})."
        )
        remedy = "Read the figures by class, not the accuracy alone; train with class weights."
        yield Finding("imbalance", ratio >= IMBALANCE_SPOILS, fact, remedy)


def _oddities(facts: Facts) -> Iterator[Finding]:
    pictures = facts.pictures
    if not pictures:
        return
    usual = median(w / h for h, w in (p.size for p in pictures))
    odd = tuple(
        f"{p.name}: {p.size[0]}x{p.size[1]}"
        for p in pictures
        if max(usual * p.size[0] / p.size[1], p.size[1] / p.size[0] / usual) > ODD_ASPECT
    )
    if odd:
        fact = f"{count(len(odd))} picture(s) are much wider or higher than the others: a centre crop loses half of them."
        yield Finding("odd_sizes", False, fact, "Crop them by hand to what matters.", odd)
    area = median(p.size[0] * p.size[1] for p in pictures)
    tiny = tuple(f"{p.name}: {p.size[0]}x{p.size[1]}" for p in pictures if 16 * p.size[0] * p.size[1] < area)
    if tiny:
        fact = f"{count(len(tiny))} picture(s) have less than a sixteenth of the usual pixels: they will be blurred."
        yield Finding("small", False, fact, "Replace them by larger ones.", tiny)
    modes = Counter(p.mode for p in pictures)
    if len(modes) > 1:
        usual_mode = modes.most_common(1)[0][0]
        listed = tuple(f"{p.name}: {p.mode}" for p in pictures if p.mode != usual_mode)
        shown = ", ".join(f"{mode} {count(n)}" for mode, n in modes.most_common())
        fact = f"Pictures have several colour modes ({shown}); all become RGB, or grey where none has colours."
        yield Finding("modes", False, fact, "What was transparent may show anything: flatten such pictures yourself.", listed)
