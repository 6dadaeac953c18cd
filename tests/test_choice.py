# SPDX-License-Identifier: Apache-2.0
"""Kernels are chosen by what was measured, for what the user wants. Truths: the emulated core, and all choices tried."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import Builder, pictures, random_graph

from puce.analysis import analyze_graph
from puce.boards import Bank, Board
from puce.boards.load import load
from puce.choice import OBJECTIVES, Chooser, Limits, Measured, Objective, checked, measure
from puce.choice.candidates import layers
from puce.choice.objective import SPARING_TIME
from puce.choice.search import RANKS, SMALLEST_PEAK, Picks, Search
from puce.compiler import compile_graph, lower
from puce.device import Emulator
from puce.errors import BadInput, DoesNotFit
from puce.ir import Graph
from puce.ops import Kernel
from puce.pareto import pareto
from puce.schedule import Cuts

BOARD = "nucleo-l4r5zi"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own, cold at their start."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUCE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def board() -> Board:
    return load(BOARD)


@pytest.fixture(scope="module")
def graph() -> Graph:
    """A chain and a skip connection, and a pool that two kernels compute."""
    b = Builder(np.random.default_rng(0))
    x = b.conv(b.input(12, 12, 4), 8, fused="relu")
    x = b.add(x, b.conv(x, 8))
    return lower(b.graph(b.dense(b.mean(b.conv(x, 12, stride=2)), 10), name="net"))


@pytest.fixture(scope="module")
def chooser(graph: Graph, board: Board) -> Chooser:
    return Chooser(graph, board)


def small() -> Graph:
    """One convolution: the least that has a choice."""
    b = Builder(np.random.default_rng(0))
    return lower(b.graph(b.conv(b.input(6, 6, 4), 8), name="small"))


def with_kernels(graph: Graph, change: Callable[[tuple[Kernel, ...]], tuple[Kernel, ...]]) -> Graph:
    nodes = tuple(replace(n, op=replace(n.op, kernels=change(n.op.kernels))) for n in graph.nodes)
    return replace(graph, nodes=nodes)


def test_the_measured_kernel_wins_whatever_the_order(board: Board) -> None:
    for order in (lambda k: k, lambda k: k[::-1]):
        choice = Chooser(with_kernels(small(), order), board).choose("speed", Limits())
        (node,) = choice.picks
        cycles = {c.kernel.name: c.cycles for c in choice.candidates[node]}
        assert len(cycles) > 1 and choice.kernels[node] == min(cycles, key=lambda name: cycles[name])
        assert cycles[choice.kernels[node]] < cycles["puce_conv_2d_s8"] / 2


def test_of_two_equally_fast_kernels_the_one_with_less_memory_is_taken(board: Board) -> None:
    def greedy_twin_first(kernels: tuple[Kernel, ...]) -> tuple[Kernel, ...]:
        fast = next(k for k in kernels if k.name == "puce_conv_2d_s8_dsp")
        return replace(fast, scratch=lambda call: 20_000), fast

    choice = Chooser(with_kernels(small(), greedy_twin_first), board).choose("speed", Limits())
    (node,) = choice.picks
    assert choice.picks[node].cycles == pytest.approx(choice.candidates[node][0].cycles, rel=0.005)
    assert choice.picks[node].scratch_bytes < 20_000


def test_each_objective_is_the_best_at_what_it_is_for(chooser: Chooser) -> None:
    wholes = {o: chooser.choose(o, Limits()).whole for o in OBJECTIVES}
    assert wholes["speed"].cycles <= 1.005 * min(w.cycles for w in wholes.values())
    in_time = [w for w in wholes.values() if w.cycles <= SPARING_TIME * wholes["balanced"].cycles]
    assert wholes["ram"].ram == min(w.ram for w in in_time)
    assert wholes["flash"].flash == min(w.flash for w in in_time)
    assert wholes["speed"].cycles < wholes["ram"].cycles and wholes["ram"].ram < wholes["speed"].ram


def test_a_limit_of_ram_is_kept_and_costs_as_little_time_as_possible(chooser: Chooser) -> None:
    fast, lean = (chooser.choose(o, Limits()).whole for o in ("speed", "ram"))
    between = chooser.choose("speed", Limits(ram=(fast.ram + lean.ram) // 2)).whole
    assert between.ram <= (fast.ram + lean.ram) // 2
    assert fast.cycles < between.cycles < lean.cycles


def faked(seed: int) -> Search:
    """A random network whose kernels got random figures: every layer has two candidates or more."""
    rng, graph = np.random.default_rng(seed), lower(random_graph(seed, "int8"))
    cuts = Cuts(graph)
    found = []
    for layer in layers(graph, frozenset({"dsp"}), cuts)[:8]:
        candidates = tuple(
            replace(c, measured=Measured(int(rng.integers(1000, 9000)), int(rng.integers(100, 900))))
            for c in layer.candidates[:3]
        )
        found.append(replace(layer, candidates=candidates))
    found += [replace(x, candidates=x.candidates[:1]) for x in layers(graph, frozenset({"dsp"}), cuts)[8:]]
    return Search(found, cuts)


def every_choice(search: Search) -> list[Picks]:
    names = [layer.node.name for layer in search.layers]
    return [dict(zip(names, c, strict=True)) for c in itertools.product(*(layer.candidates for layer in search.layers))]


@pytest.mark.parametrize("seed", range(12))
def test_the_search_against_all_choices(seed: int) -> None:
    search = faked(seed)
    every = [search.priced(picks) for picks in every_choice(search)]
    smallest, fastest = min(w.ram for w in every), min(w.cycles for w in every)
    balanced = search.priced(search.best("balanced", Limits())[0])
    picks, _ = search.best("ram", Limits())
    in_time = [w for w in every if w.cycles <= SPARING_TIME * balanced.cycles]
    assert search.priced(picks).cycles <= SPARING_TIME * balanced.cycles and search.priced(picks).ram <= balanced.ram
    assert search.priced(picks).ram <= 1.05 * min(w.ram for w in in_time)
    picks, _ = search.best("ram", Limits(ram=smallest))
    assert search.priced(picks).ram == smallest, "where a board is as small as that, at any price"
    picks, _ = search.best("speed", Limits())
    assert search.priced(picks).cycles <= 1.005 * fastest
    limit = Limits(ram=(smallest + max(w.ram for w in every)) // 2)
    picks, _ = search.best("speed", limit)
    within = [w for w in every if w.within(limit)]
    assert search.priced(picks).within(limit)
    assert search.priced(picks).cycles <= 1.05 * min(w.cycles for w in within)
    assert RANKS["speed"](search.priced(picks)) and SMALLEST_PEAK(search.priced(search.leanest()))[0] == smallest


def test_what_was_measured_is_not_measured_again(board: Board, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Chooser(small(), board).choose("speed", Limits())
    files = sorted(cache.rglob("*.json"))
    assert files and not list(cache.rglob("*.part"))

    def fail(*_: object) -> None:
        raise AssertionError("it is in the cache")

    monkeypatch.setattr(measure, "start_objects", fail)
    again = Chooser(small(), board).choose("speed", Limits())
    assert [c.measured for c in again.candidates[next(iter(again.picks))]] == [
        c.measured for c in first.candidates[next(iter(first.picks))]
    ]
    with pytest.raises(AssertionError, match="it is in the cache"):  # another clock of the flash is another measurement
        Chooser(small(), replace(board, timing=replace(board.timing, data_miss_cycles=1.0)))


DAMAGE: dict[str, Callable[[str], str]] = {
    "cut short": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "a list": lambda text: "[]",
    "negative": lambda text: text.replace('"cycles": ', '"cycles": -'),
    "a kernel less": lambda text: json.dumps({**json.loads(text), "kernels": json.loads(text)["kernels"][1:]}),
    "another key": lambda text: json.dumps({**json.loads(text), "key": "0"}),
    "words": lambda text: text.replace('"code_bytes": ', '"code_bytes": "many", "x": '),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_ignored(damage: str, cache: Path) -> None:
    from puce.choice.cache import load as read
    from puce.choice.cache import store

    key, figures = f"{len(damage):02d}" * 32, (Measured(10, 20, (("core", 30),)), Measured(40, 50))
    store(key, figures)
    (path,) = cache.rglob(f"{key}.json")
    assert read(key, 2) == figures
    path.write_text(DAMAGE[damage](path.read_text()))
    assert read(key, 2) is None


def test_a_cache_that_cannot_be_written_changes_nothing(
    board: Board, tmp_path: Path, chooser: Chooser, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    before = Chooser(small(), board).choose("speed", Limits()).whole
    monkeypatch.setenv("PUCE_CACHE", str(tmp_path / "file"))
    assert Chooser(small(), board).choose("speed", Limits()).whole == before


def test_a_layer_with_one_kernel_is_not_measured(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "toolchain_name", lambda *_: pytest.fail("nothing was to be built"))
    choice = Chooser(with_kernels(small(), lambda k: k[:1]), board).choose("balanced", Limits())
    assert [len(c) for c in choice.candidates.values()] == [1]
    assert choice.reasons == {next(iter(choice.picks)): ("the only kernel that computes it on this core",)}


def test_without_a_board_the_first_kernel_is_taken(graph: Graph) -> None:
    choice = Chooser(graph, None).choose("balanced", Limits())
    assert all(c.rank == 0 and c.measured is None for c in choice.picks.values())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_computes_the_same(objective: Objective, graph: Graph, board: Board, tmp_path: Path) -> None:
    compiled = compile_graph(graph, tmp_path, board, name="net", optimize=objective)
    x = pictures(graph, 3, seed=1)
    assert compiled.elf is not None and compiled.choice is not None and compiled.choice.objective == objective
    with Emulator(compiled.elf, board) as device:
        answers = [device.run(p.tobytes(), "int8").outputs for p in x]
    assert answers == [y.tobytes() for y in graph.evaluate(x)[0]]


def test_a_small_board_gets_the_lean_kernels(graph: Graph, board: Board, tmp_path: Path) -> None:
    usual = compile_graph(graph, tmp_path / "usual", board, name="net", optimize="speed")
    lean = compile_graph(graph, tmp_path / "lean", board, name="net", optimize="ram")
    assert usual.linked is not None and lean.linked is not None
    assert lean.linked.ram.total + 256 < usual.linked.ram.total
    bank = Bank("ram", 0x20000000, usual.linked.ram.total - 128, "a test")
    tight = replace(board, banks=(bank,))
    fitted = compile_graph(graph, tmp_path / "tight", tight, name="net", optimize="speed")
    assert fitted.linked is not None and fitted.linked.ram.total <= tight.ram_bytes
    with pytest.raises(DoesNotFit, match=r"of RAM|the firmware needs"):
        compile_graph(graph, tmp_path / "no", replace(board, banks=(replace(bank, bytes=1024),)), name="net")


def test_analyze_says_why(graph: Graph, board: Board) -> None:
    found = analyze_graph(graph, board, name="net", optimize="ram", why=True)
    document = json.loads(json.dumps(found.as_json()))
    assert document["optimize"] == "ram"
    assert document["activation_bytes"]["lower_bound"] <= document["activation_bytes"]["reached"]
    for layer in document["layers"]:
        (chosen,) = (c for c in layer["candidates"] if c["chosen"])
        assert chosen["kernel"] == layer["kernel"]
        assert chosen["table_bytes"] == layer["flash_bytes"]
        assert all(c["cycles"] and c["code_bytes"] for c in layer["candidates"] if len(layer["candidates"]) > 1)
        assert {*layer["candidates"][0]} == {
            "kernel", "cycles", "table_bytes", "code_bytes", "state_bytes", "scratch_bytes", "chosen", "reason",
        }  # fmt: skip
    text = str(found)
    assert "more RAM, for" in text and "slower" in text and "with these kernels" in text
    assert "Kernels for ram" not in str(replace(found, why=False))


def test_the_front_holds_no_point_that_another_beats(board: Board) -> None:
    found = pareto(small(), board, name="small")
    assert sum(p.chosen for p in found.points) == 1
    rest = [p for p in found.points if not p.chosen]
    assert not [p for p in rest if any(o.beats(p) for o in found.points)]
    assert [p["name"] for p in found.as_json()] == [p.name for p in found.points]
    assert str(found).count("*") == 1


def test_an_unknown_objective_is_refused() -> None:
    with pytest.raises(BadInput) as error:
        checked("size")
    assert str(error.value) == "optimize: 'size' is not an objective.\nOne of speed, balanced, ram, flash."
