# SPDX-License-Identifier: Apache-2.0
"""Channels that no picture can change go, and no bit of any answer with them: references before and after, and C."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import Builder, pictures, random_graph
from test_firmware import answers_of_host

from puce import ops, passes, sampling
from puce.frontends import tflite
from puce.ir import Array, Call, Graph, Node, Quantization, Tensor
from puce.ops import REGISTRY, relu
from puce.ops._pairs import Attrs as PairAttrs
from puce.passes.constant_channels import ConstantChannels
from puce.passes.drop_identities import DropIdentities
from puce.passes.edit import linear
from puce.passes.intervals import LINEAR, RISING, Interval, bounds, intervals
from puce.passes.rescale_zero_rows import RescaleZeroRows

SEEDS = [*range(40), *(pytest.param(s, marks=pytest.mark.slow) for s in range(40, 400))]


def macs(graph: Graph) -> int:
    return sum(n.op.macs(graph.call(n)) for n in graph.nodes)


def shape(graph: Graph, node: str) -> tuple[int, ...]:
    return next(graph.call(n).y.shape for n in graph.nodes if n.name == node)


def with_constant(graph: Graph, name: str, data: Array) -> Graph:
    return replace(graph, tensors={**graph.tensors, name: replace(graph.tensors[name], data=data)})


def planted(graph: Graph, rng: np.random.Generator, share: float = 0.4) -> Graph:
    """Some output channels of every sum made constant: weights of zero, or a bias so low or high that they saturate."""
    for node in graph.nodes:
        places = linear(node)
        if places is None:
            continue
        w, b = (graph.tensors[node.inputs[i]] for i in (places.weights, places.bias))
        assert w.data is not None and b.data is not None
        weights, bias = np.moveaxis(w.data.copy(), places.axis, 0), b.data.copy()
        for channel in np.flatnonzero(rng.random(len(bias)) < share):
            way = rng.integers(0, 4)
            if way < 3 or b.dtype == "float32":
                weights[channel] = 0
                bias[channel] = bias[channel] if way else -np.abs(bias[channel])
            else:
                bias[channel] = rng.choice([-1, 1]) * 10**8
        graph = with_constant(with_constant(graph, w.name, np.moveaxis(weights, 0, places.axis)), b.name, bias)
    return graph


def extremes(graph: Graph, count: int, seed: int) -> Array:
    """Random pictures, the first of them all at one end, at the other, and at both in turn."""
    x = pictures(graph, count, seed)
    low, high = (-128, 127) if x.dtype == np.int8 else (-100, 100)
    x[0], x[1] = low, high
    x[2] = np.where(np.indices(x.shape[1:]).sum(axis=0) % 2, low, high)
    return x


def assert_same(before: Graph, after: Graph, x: Array, what: str) -> None:
    for want, got in zip(before.evaluate(x), after.evaluate(x), strict=True):
        if want.dtype == np.float32:  # NumPy's order of summation depends on how many terms there are
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6 * float(np.abs(want).max()), err_msg=what)
        else:
            np.testing.assert_array_equal(got, want, err_msg=what)


def lowered(graph: Graph) -> Graph:
    return passes.run(graph, passes.LOWERING)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_networks_keep_every_bit(seed: int) -> None:
    graph = planted(random_graph(seed), np.random.default_rng(seed))
    after = lowered(graph)
    assert_same(graph, after, extremes(graph, 12, seed), f"planted(random_graph({seed})):\n{graph}\n{after}")
    assert ConstantChannels()(after) is after, "a second time finds nothing"


def test_random_networks_shrink() -> None:
    """Over 40 seeds, most networks; `any` alone would hide a pass that has stopped to see."""
    graphs = [planted(random_graph(seed), np.random.default_rng(seed)) for seed in range(40)]
    pairs = [(macs(g), macs(lowered(g))) for g in graphs]
    assert sum(after < before for before, after in pairs) >= 25
    assert sum(after for _, after in pairs) < 0.8 * sum(before for before, _ in pairs)


@pytest.mark.parametrize("seed", [1, 2, 3, *(pytest.param(s, marks=pytest.mark.slow) for s in range(4, 40))])
def test_the_c_of_smaller_networks_answers_as_the_whole_one(seed: int, tmp_path: Path) -> None:
    graph = planted(random_graph(seed, "int8"), np.random.default_rng(seed))
    x = extremes(graph, 4, seed)
    np.testing.assert_array_equal(answers_of_host(graph, tmp_path, x), graph.evaluate(x)[0], err_msg=f"seed {seed}")


# ── the bounds ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("op", sorted(RISING | LINEAR))
def test_no_value_leaves_its_bounds(op: str) -> None:
    """Every sample of the operator, random bounds for its inputs, random values between them."""
    rng, narrow = np.random.default_rng(7), 0
    samples = REGISTRY[op].samples(np.random.default_rng(8))
    for number in range(60):
        call = next(samples)
        node = Node(REGISTRY[op], "n", (), (), call.attrs)
        inputs = [random_interval(rng, t) for t in call.data]
        values = [rng.uniform(np.float64(i.low), np.float64(i.high), (6, *i.low.shape)) for i in inputs]
        arrays = [
            np.rint(v).astype(t.dtype) if t.dtype != "float32" else v.astype("f4")
            for v, t in zip(values, call.data, strict=True)
        ]
        for found, y in zip(bounds(node, call, inputs), node.op.reference(call, *arrays), strict=True):
            assert (found.low <= y).all() and (y <= found.high).all(), f"sample {number} of {op}: {call}"
            narrow += int(found.fixed.any())
    assert narrow, "no sample had an element with one value only: this tests nothing"


def random_interval(rng: np.random.Generator, t: Tensor) -> Interval:
    if t.dtype == "float32":
        low, width = rng.normal(size=t.shape), np.abs(rng.normal(size=t.shape))
        known = rng.random(t.shape[-1:]) < 0.5
        zero = known & (rng.random(t.shape[-1:]) < 0.7)
        low, high = np.where(zero, 0, low).astype("f4"), np.where(zero, 0, low + np.where(known, 0, width)).astype("f4")
        return Interval(low, np.maximum(low, high))
    info = np.iinfo(t.dtype)
    ends = rng.integers(info.min, info.max + 1, (2, *t.shape))
    ends[1] = np.where(rng.random(t.shape[-1:]) < 0.5, ends[0], ends[1])
    return Interval(ends.min(axis=0).astype(t.dtype), ends.max(axis=0).astype(t.dtype))


# ── borders, families, limits ─────────────────────────────────────────────────────────────────────────────────────


def one_constant(same: bool, byte: int, *, k: int = 3, depthwise: bool = False) -> Graph:
    """conv a, whose channel 1 is `byte` for every picture, then perhaps a depthwise convolution, then conv b."""
    b = Builder(np.random.default_rng(5))
    x = b.conv(b.input(9, 9, 2), 6, k=1, fused="none")
    y = b.depthwise(x, fused="none") if depthwise else x
    graph = b.graph(b.conv(y, 4, k=k, same=same))
    w, bias, t = (graph.tensors[n] for n in ("conv_2d_0.1", "conv_2d_0.2", "conv_2d_0.out"))
    assert w.data is not None and bias.data is not None
    weights, biases = w.data.copy(), np.zeros_like(bias.data)  # no other channel saturates,
    weights[~weights.any(axis=(1, 2, 3))] = 77  # or has zeros of its own
    weights[1] = 0
    biases[1] = round((byte - t.q.z) * t.q.s / (1 / 64 * w.q.scale[1]))
    graph = with_constant(with_constant(graph, w.name, weights), bias.name, biases)
    assert set(np.unique(graph.evaluate_all(pictures(graph, 2))[t.name][..., 1])) == {byte}
    return graph


ZERO_POINT = one_constant(True, 3).tensors["conv_2d_0.out"].q.z
BORDERS: dict[str, tuple[Callable[[], Graph], bool]] = {
    "same padding, another value": (lambda: one_constant(True, ZERO_POINT + 9), False),
    "same padding, the zero point": (lambda: one_constant(True, ZERO_POINT), True),
    "valid padding, any value": (lambda: one_constant(False, ZERO_POINT + 9), True),
    "one pixel, any value": (lambda: one_constant(True, ZERO_POINT + 9, k=1), True),
    "through a depthwise layer, another value": (lambda: one_constant(True, ZERO_POINT + 9, k=1, depthwise=True), False),
    "through a depthwise layer, the zero point": (lambda: one_constant(True, ZERO_POINT, k=1, depthwise=True), True),
}


@pytest.mark.parametrize("case", BORDERS)
def test_a_channel_that_fades_at_the_border_stays(case: str) -> None:
    build, goes = BORDERS[case]
    graph = build()
    after = lowered(graph)
    assert shape(after, "conv_2d_0")[2] == (5 if goes else 6)
    assert_same(graph, after, extremes(graph, 8, 1), case)


def test_a_residual_takes_a_channel_along_only_where_both_branches_have_it() -> None:
    b = Builder(np.random.default_rng(3))
    x = b.conv(b.input(8, 8, 3), 6, fused="relu")
    graph = b.graph(b.conv(b.add(x, b.conv(x, 6, k=1)), 4, same=False))
    for first in ("conv_2d_0.1", "conv_2d_1.1"):
        data = graph.tensors[first].data
        assert data is not None
        assert shape(lowered(graph), "conv_2d_0")[2] == 6
        weights = data.copy()
        weights[2] = 0
        graph = with_constant(graph, first, weights)
    after = lowered(graph)
    assert [shape(after, n)[2] for n in ("conv_2d_0", "conv_2d_1", "add_2", "conv_2d_3")] == [5, 5, 5, 4]
    assert_same(graph, after, extremes(graph, 8, 1), "residual")


def test_a_layer_that_is_constant_whole_keeps_one_channel_and_outputs_keep_all() -> None:
    b = Builder(np.random.default_rng(4))
    graph = b.graph(b.dense(b.dense(b.flatten(b.input(3, 3, 2)), 8), 5))
    for name in ("dense_1.1", "dense_2.1"):
        graph = with_constant(graph, name, np.zeros_like(graph.tensors[name].data))
    after = lowered(graph)
    assert [shape(after, n) for n in ("dense_1", "dense_2")] == [(1,), (5,)]
    assert_same(graph, after, extremes(graph, 4, 1), "all constant")


def test_channels_go_through_flatten_and_depthwise_keeps_fours() -> None:
    b = Builder(np.random.default_rng(6))
    x = b.depthwise(b.conv(b.input(6, 6, 3), 12, k=1, fused="relu"))
    graph = b.graph(b.dense(b.flatten(x), 4))
    weights = np.array(graph.tensors["conv_2d_0.1"].data)
    weights[[0, 3, 4, 7, 11]] = 0
    bias = np.array(graph.tensors["conv_2d_0.2"].data)
    bias[[0, 3, 4, 7, 11]] = -(10**6)
    graph = with_constant(with_constant(graph, "conv_2d_0.1", weights), "conv_2d_0.2", bias)
    for multiple, left in ((1, 7), (4, 8)):
        after = passes.run(graph, [ConstantChannels(multiple)])
        assert [shape(after, n) for n in ("conv_2d_0", "depthwise_conv_2d_1")] == [(6, 6, left)] * 2
        assert shape(after, "reshape_2") == (36 * left,)
        assert_same(graph, after, extremes(graph, 8, 2), f"multiple of {multiple}")


def test_sums_that_could_wrap_are_left_alone() -> None:
    """A bias at the end of int32: sums may wrap, so nothing is concluded of them, and nothing is added to it."""
    graph = one_constant(False, ZERO_POINT + 9)
    bias = np.array(graph.tensors["conv_2d_1.2"].data)
    bias[0] = 2**31 - 5
    graph = with_constant(graph, "conv_2d_1.2", bias)
    assert shape(lowered(graph), "conv_2d_0")[2] == 6
    found = intervals(graph)["conv_2d_1.out"]
    assert (found.low[..., 0] == -128).all() and (found.high[..., 0] == 127).all()


# ── the passes beside it ──────────────────────────────────────────────────────────────────────────────────────────


def test_zero_rows_get_a_scale_of_their_neighbours() -> None:
    graph = one_constant(True, ZERO_POINT + 9)
    w = graph.tensors["conv_2d_0.1"]
    scale = list(w.q.scale)
    scale[1] = 1e-30
    graph = replace(graph, tensors={**graph.tensors, w.name: replace(w, quantization=replace(w.q, scale=tuple(scale)))})
    after = passes.run(graph, [RescaleZeroRows()])
    now = next(after.call(n).inputs[1].q.scale for n in after.nodes if n.name == "conv_2d_0")
    assert now[1] in scale[2:] + scale[:1]
    assert_same(graph, after, extremes(graph, 4, 1), "rescaled")


def identity(kind: str) -> tuple[Graph, str]:
    """A network with something that does nothing, and the operators that are left."""
    b = Builder(np.random.default_rng(9))
    x = b.conv(b.input(6, 6, 3), 4, fused="relu")
    t = b.tensors[x]
    if kind == "quantize":
        x = b.append("quantize", (t,), ops.quantize.Attrs("int8"), t.quantization)
    if kind == "relu":
        x = b.append("relu", (t,), relu.Attrs("relu"), t.quantization)
    if kind == "plus zero":
        zero = Tensor.constant("zero", np.full(4, 5, np.int8), Quantization((t.q.s,), (5,)))
        x = b.append("add", (t, zero), PairAttrs(), t.quantization)
    if kind == "pool of a pixel":
        x = b.append("max_pool_2d", (t,), ops.max_pool_2d.Attrs((1, 1), (1, 1)), t.quantization)
    if kind in ("dequantize, quantize", "dequantize, quantize otherwise"):
        real = Tensor("real", t.shape)
        b.tensors["real"] = real
        b.nodes.append(ops.make("dequantize", "real", (x,), ("real",), ops.dequantize.Attrs()))
        q = t.quantization if kind == "dequantize, quantize" else Quantization((float(np.float32(t.q.s * 1.7)),), (t.q.z,))
        x = b.append("quantize", (real,), ops.quantize.Attrs("int8"), q)
    left = "conv_2d quantize conv_2d" if kind == "dequantize, quantize otherwise" else "conv_2d conv_2d"
    return b.graph(b.conv(x, 3)), left


IDENTITIES = (
    "quantize", "relu", "plus zero", "pool of a pixel", "dequantize, quantize", "dequantize, quantize otherwise",
)  # fmt: skip


@pytest.mark.parametrize("kind", IDENTITIES)
def test_what_gives_back_its_input_goes(kind: str) -> None:
    graph, left = identity(kind)
    after = passes.run(graph, [DropIdentities()])
    assert " ".join(n.op.name for n in after.nodes) == left
    assert_same(graph, after, extremes(graph, 6, 1), kind)


def test_a_relu_that_clamps_something_stays() -> None:
    b = Builder(np.random.default_rng(9))
    t = b.tensors[b.conv(b.input(6, 6, 3), 4)]
    graph = b.graph(b.append("relu", (t,), relu.Attrs("relu"), t.quantization))
    assert passes.run(graph, [DropIdentities()]).nodes == graph.nodes


def test_what_was_removed_is_told() -> None:
    graph = one_constant(False, ZERO_POINT + 9)
    found = {r.layer: r for r in passes.removed(graph, lowered(graph))}
    assert found["conv_2d_0"] == passes.Removed("conv_2d_0", 1, 6, 81 * 2, 2 + 4)
    assert found["conv_2d_1"] == passes.Removed("conv_2d_1", 0, 4, 49 * 9 * 4, 9 * 4)
    assert passes.removed(graph, graph) == ()


# ── the real networks ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_visual_wake_words_halve_and_answer_alike(count: int, shared_data: Path) -> None:
    """On random pictures, and on as many photographs, up to 200."""
    folder = shared_data / "mlperf_tiny"
    graph = passes.run(tflite.read(folder / "vww_96_int8.tflite"))
    after = lowered(graph)
    assert macs(graph) == 7_489_664
    assert macs(after) <= 3_850_000
    assert sum(t.nbytes for t in after.constants()) <= 34 * 1024
    photographs = (np.load(folder / "vww01_200.npz")["x"][:count].astype(np.int16) - 128).astype(np.int8)
    x = np.concatenate([extremes(graph, count, 0), photographs])
    for start in range(0, len(x), 50):
        assert_same(graph, after, x[start : start + 50], f"pictures from {start}")


def test_the_large_resnet_loses_what_its_residuals_allow(shared_data: Path) -> None:
    graph = passes.run(tflite.read(shared_data / "mlperf_tiny" / "pretrainedResnet_large_int8.tflite"))
    after = lowered(graph)
    assert macs(after) <= 0.95 * macs(graph)
    assert_same(graph, after, extremes(graph, 8, 0), "resnet")


def test_a_call_is_known_by_its_bounds_alone() -> None:
    """Bounds come from the inputs' bounds, not from their types: a narrow input gives a narrow output."""
    rng = np.random.default_rng(0)
    x = sampling.activation(rng, "x", (4,), "int8")
    w = Tensor.constant("w", np.ones((1, 4), np.int8), Quantization((1.0,)))
    call = Call(
        ops.dense.Attrs(),
        (x, w, Tensor.constant("b", np.zeros(1, np.int32))),
        (Tensor("y", (1,), "int8", Quantization((x.q.s,), (0,))),),
    )
    node = Node(REGISTRY["dense"], "n", (), (), call.attrs)
    low = np.full(4, x.q.z, np.int8)
    (found,) = bounds(node, call, [Interval(low, low)])
    assert found.low == found.high == 0
