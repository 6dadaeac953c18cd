# SPDX-License-Identifier: Apache-2.0
"""Layers that call one kernel with nearly the same arguments share its code: what differs becomes a parameter."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

Sharing = Literal["none", "equal", "similar"]
"""What may be one function: nothing; calls with the same sizes; calls with the same window."""

# Sizes that shape the loops of a kernel: unrolled windows, strides, how many pixels go together. They stay literals.
SHAPING = frozenset({"kh", "kw", "sh", "sw", "dh", "dw", "signs"})
CHUNKS = frozenset({"most", "pixels", "block"})  # they do too, unless the chunk is the whole row
CHANNELS = ("c", "oc")  # kernels move whole words where these are multiples of 4
FEWEST = 3  # layers: with fewer, a function for any size is seldom smaller than one for each size


@dataclass(frozen=True)
class Call:
    """A kernel's call in one layer. `fixed` says of each argument that its text means the same wherever it stands.

    Pointers to rows, tables and the row's number are not fixed; sizes and addresses of scratch are. `prototype` holds
    (type, name) of each.
    """

    layer: str
    kernel: str
    arguments: tuple[str, ...]
    fixed: tuple[bool, ...]
    prototype: tuple[tuple[str, str], ...]

    def shape(self, sharing: Sharing) -> tuple[object, ...]:
        """Calls of one shape share one function."""
        sizes = {n: value(a) for a, f, (_, n) in zip(self.arguments, self.fixed, self.prototype, strict=True) if f}
        kept = [a for n, a in sizes.items() if sharing == "equal" or n in SHAPING]
        over = {n: int(a) % 4 for n, a in sizes.items() if a.isdecimal()}  # of whole words, of four pixels
        chunks = [("the row", over.get(n)) if a == sizes.get("ow") else a for n, a in sizes.items() if n in CHUNKS]
        words = [over.get(n) == 0 for n in CHANNELS if n in sizes]
        return (self.kernel, self.fixed, *kept, *chunks, *words)


@dataclass(frozen=True, eq=False)
class Body:
    """A function that several layers call; `varying` are the positions of the arguments that it takes as parameters.

    `same` maps the position of an argument to that of the parameter which has its value in every call.
    """

    name: str
    calls: tuple[Call, ...]
    varying: tuple[int, ...]
    same: Mapping[int, int]

    @classmethod
    def of(cls, name: str, calls: tuple[Call, ...]) -> Body:
        varying, same = dict[tuple[str, ...], int](), dict[int, int]()
        for i, fixed in enumerate(calls[0].fixed):
            values = tuple(value(c.arguments[i]) for c in calls)
            if not fixed:
                varying[(str(i),)] = i
            elif len(set(values)) > 1 and varying.setdefault(values, i) != i:
                same[i] = varying[values]
        return cls(name, calls, tuple(varying.values()), same)

    def definition(self) -> str:
        call = self.calls[0]
        parameters = ", ".join(_declared(*call.prototype[i]) for i in self.varying)
        inside = list(call.arguments)
        for i in (*self.varying, *self.same):
            inside[i] = call.prototype[self.same.get(i, i)][1]
        return (
            f"/* The code of {len(self.calls)} layers; what differs between them is a parameter. */\n"
            + wrapped(f"static PUCE_SHARED void {self.name}(", parameters.split(", "), ")", indent="")
            + "\n{\n"
            + self.known()
            + "    "
            + wrapped(f"{call.kernel}(", inside, ");")
            + "\n}\n"
        )

    def known(self) -> str:
        """What all callers' sizes have in common, said to the compiler: it leaves out the code of other cases."""
        lines = []
        for i in self.varying:
            values = [value(c.arguments[i]) for c in self.calls]
            if self.calls[0].fixed[i] and all(re.fullmatch(r"[1-9]\d*", v) for v in values):
                numbers, name = [int(v) for v in values], self.calls[0].prototype[i][1]
                divisor = math.gcd(*numbers) & -math.gcd(*numbers)
                odd = f" || {name} % {divisor}" if divisor > 1 else ""
                lines.append(f"    if ({name} < {min(numbers)} || {name} > {max(numbers)}{odd}) __builtin_unreachable();\n")
        return "".join(lines)

    def call(self, call: Call) -> str:
        return wrapped(f"{self.name}(", [call.arguments[i] for i in self.varying], ");")


def prototypes(headers: Iterable[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """(type, name) of the parameters of each kernel that these C texts declare in full."""
    found = {}
    for text in headers:
        for name, inside in re.findall(r"^PUCE_KERNEL void (\w+)\(([^()]*)\)\s*\{", text, re.MULTILINE):
            pairs = [re.fullmatch(r"(.*?[\s*])(\w+)", " ".join(p.split())) for p in inside.split(",")]
            if all(pairs):
                found[name] = tuple((p[1].strip(), p[2]) for p in pairs if p)
    return found


def shared(calls: Sequence[Call], sharing: Sharing, taken: Iterable[str] = ()) -> Mapping[str, Body]:
    """The function that each layer shares with others; layers that share with nobody are left out."""
    if sharing == "none":
        return {}
    used, bodies = set(taken), dict[str, Body]()
    for group in _groups(calls, sharing):
        base = re.sub(r"^puce_|_(?:s8|f32|dsp|rows)(?=_|$)", "", group[0].kernel)
        numbers = (f"{base}_{i}" if i else f"{base}_shared" for i in range(len(used) + 2))
        name = next(n for n in numbers if n not in used)
        used.add(name)
        body = Body.of(name, group)
        bodies |= {c.layer: body for c in group}
    return bodies


def separated(arguments: str) -> list[str]:
    """Split the text of arguments at its commas, not at those in comments and brackets; a comment stays with what follows."""
    return [a.strip() for a in re.findall(r"(?:/\*.*?\*/|\([^()]*\)|[^,])+", arguments)]


def value(argument: str) -> str:
    """An argument without its comment."""
    return re.sub(r"/\*.*?\*/", "", argument).strip()


def _groups(calls: Sequence[Call], sharing: Sharing) -> Iterator[tuple[Call, ...]]:
    def key(c: Call) -> str:
        return repr(c.shape(sharing))

    usable = [c for c in calls if len(c.prototype) == len(c.arguments)]
    for _, same in groupby(sorted(usable, key=key), key=key):  # sorted() keeps the order of the layers within a group
        group = tuple(same)
        if len(group) >= (2 if sharing == "equal" else FEWEST):
            yield group


def _declared(type_: str, name: str) -> str:
    return f"{type_}{name}" if type_.endswith("*") else f"{type_} {name}"


def wrapped(head: str, arguments: Sequence[str], tail: str, indent: str = "    ", width: int = 112) -> str:
    """A call or a head of a function over as many lines as it needs."""
    lines, line = [], head
    for i, argument in enumerate(arguments):
        text = argument + (", " if i < len(arguments) - 1 else tail)
        if len(line) + len(text) > width and line != head:
            lines.append(line.rstrip())
            line = " " * 8
        line += text
    return f"\n{indent}".join([*lines, line])
