# SPDX-License-Identifier: Apache-2.0
"""Schedules: small, proved, and the proof is worth something. Truth: the replay, which knows nothing of the planner."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from networks import Builder, random_graph, residual

from puce.errors import DoesNotFit, Unsupported
from puce.ops import Kernel
from puce.schedule import Bank, Cuts, Place, Refuted, Schedule, plan, prove
from puce.schedule.layout import lower_bound
from puce.schedule.planner import Planner, first_kernel


@pytest.fixture(scope="module")
def streamed() -> Schedule:
    return plan(residual())


def test_streaming_is_smaller_than_the_best_layer_by_layer(streamed: Schedule) -> None:
    graph = residual()
    by_layer = max(
        sum(graph.tensors[t].nbytes for t in (*(d.name for d in graph.call(n).data), *n.outputs)) for n in graph.nodes
    )
    assert streamed.activation_bytes < by_layer


def test_no_row_is_computed_twice(streamed: Schedule) -> None:
    fired = [s for s in streamed.steps if s.node is not None]
    assert len(fired) == len(set(fired))


@pytest.mark.parametrize("fed", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_are_proved(seed: int, fed: bool) -> None:
    graph = random_graph(seed)
    schedule = plan(graph, fed_by_rows=fed)
    proof = prove(graph, schedule)
    made = sum(1 for s in schedule.steps if s.node is not None)
    assert proof.steps == len(schedule.steps) and proof.rows <= made + sum(t.rows for t in graph.tensors.values())
    assert schedule.lower_bound <= schedule.activation_bytes


@pytest.mark.parametrize("fed", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_one_run_up_to_a_cut_tells_the_peak_of_every_stage_that_ends_there(seed: int, fed: bool) -> None:
    graph, choose = random_graph(seed), first_kernel(frozenset({"dsp"}))
    kernels = {n.name: choose(n, graph.call(n)) for n in graph.nodes if not n.op.view}
    cuts = Cuts(graph, fed)
    planner, windows = Planner(graph, kernels, cuts), cuts.windows(kernels)
    for stop in range(1, len(graph.nodes) + 1):
        for start in range(stop):
            assert cuts.peak(start, stop, kernels, windows) == lower_bound(planner.stage(start, stop)[1]), (start, stop)


def test_a_large_graph_is_cut_at_fewer_places_and_proved_all_the_same() -> None:
    b = Builder(np.random.default_rng(0))
    x = b.input(40, 6, 4)
    for i in range(30):
        x = b.conv(x, 4 + 4 * (i % 3 == 2))
    graph = b.graph(x)
    every, few = plan(graph), plan(graph, cuts=Cuts(graph, steps=3000))
    assert len(Cuts(graph, steps=3000).stops(every.windows)) < 10
    assert every.activation_bytes <= few.activation_bytes <= 2 * every.activation_bytes
    prove(graph, few)


def test_feeding_by_rows_keeps_only_a_ring_of_the_input() -> None:
    graph = residual()
    whole, fed = plan(graph), plan(graph, fed_by_rows=True)
    assert fed.places["picture"].rows == 3
    assert fed.activation_bytes < whole.activation_bytes


def smaller_ring(s: Schedule, tensor: str) -> Schedule:
    place = s.places[tensor]
    return replace(s, places={**s.places, tensor: replace(place, rows=place.rows - 1)})


def swapped_steps(s: Schedule) -> Schedule:
    steps = list(s.steps)
    i = next(i for i in range(len(steps) - 1) if steps[i].node != steps[i + 1].node and i > 20)
    steps[i], steps[i + 1] = steps[i + 1], steps[i]
    return replace(s, steps=tuple(steps))


def repeated_step(s: Schedule) -> Schedule:
    return replace(s, steps=(*s.steps[:30], s.steps[29], *s.steps[30:]))


def missing_step(s: Schedule) -> Schedule:
    return replace(s, steps=s.steps[:-1])


def overlapping(s: Schedule, first: str, second: str) -> Schedule:
    a, b = s.buffers[s.places[first].buffer], s.buffers[s.places[second].buffer]
    return replace(s, buffers={**s.buffers, b.name: replace(b, bank=a.bank, offset=a.offset)})


def tiny_bank(s: Schedule) -> Schedule:
    return replace(s, banks=(Bank("ram", s.activation_bytes - 1),))


DEFECTS: dict[str, tuple[Callable[[Schedule], Schedule], str]] = {
    "a ring one row too small": (lambda s: smaller_ring(s, "conv_2d_0.out"), "is read, but it is not there"),
    "two steps swapped": (swapped_steps, "it is not there|was due"),
    "a row computed twice": (repeated_step, "was due"),
    "the last step forgotten": (missing_step, "is read, but it is not there"),
    "two live tensors in one place": (lambda s: overlapping(s, "picture", "conv_2d_0.out"), "is read, but it is not there"),
    "a bank too small": (tiny_bank, "outside of bank"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_proof_refutes(defect: str, streamed: Schedule) -> None:
    spoil, words = DEFECTS[defect]
    with pytest.raises(Refuted, match=words):
        prove(residual(), spoil(streamed))


def test_scratch_over_an_input_is_refuted(streamed: Schedule) -> None:
    graph = residual()
    node = graph.nodes[1]
    greedy: Kernel = replace(streamed.kernels[node.name], scratch=lambda call: 8)
    buffer = streamed.places[node.inputs[0]].buffer
    spoilt = replace(streamed, kernels={**streamed.kernels, node.name: greedy}, scratch={**streamed.scratch, node.name: buffer})
    with pytest.raises(Refuted, match="is read, but it is not there"):
        prove(graph, spoilt)


def test_buffers_go_to_a_second_bank_where_one_is_too_small(streamed: Schedule) -> None:
    graph, need = residual(), streamed.activation_bytes
    schedule = plan(graph, banks=(Bank("a", need // 2), Bank("b", need)))
    assert all(0 < used <= bank.nbytes for used, bank in zip(schedule.bank_bytes.values(), schedule.banks, strict=True))


def test_too_little_ram_is_said_with_the_bytes() -> None:
    with pytest.raises(DoesNotFit, match=re.escape("residual: its activations need at least")):
        plan(residual(), banks=(Bank("a", 500),))


def test_place_of_a_view_is_its_source() -> None:
    seed = next(s for s in range(100) if any(n.op.view for n in random_graph(s).nodes))
    graph = random_graph(seed)
    schedule, node = plan(graph), next(n for n in graph.nodes if n.op.view)
    first, second = schedule.places[node.inputs[0]], schedule.places[node.outputs[0]]
    assert first.buffer == second.buffer
    assert second == Place(first.buffer, 1, graph.tensors[node.outputs[0]].nbytes)


def test_a_type_without_kernel_is_refused_by_name() -> None:
    graph = residual()
    with pytest.raises(Unsupported, match=r"conv_2d_0: no C kernel computes conv_2d on int8, int8, int32."):
        plan(replace(graph, nodes=tuple(replace(n, op=replace(n.op, kernels=())) for n in graph.nodes)))
