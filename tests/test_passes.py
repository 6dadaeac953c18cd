# SPDX-License-Identifier: Apache-2.0
"""Each pass keeps the numbers (float within 1e-5, int8 exactly) and does what it is for; the verifier sees every fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from puce import passes
from puce.fixedpoint import quantize as quantize_array
from puce.ir import Array, Graph, Node, Quantization, Tensor
from puce.ops import REGISTRY, Imported, KerasLayer
from puce.passes.verify import IllegalGraph, verify
from puce.quantize import calibrate, to_int8

Shape = tuple[int, ...]


class Build:
    """A graph by hand: each call adds a node to the last tensor and becomes the last."""

    def __init__(self, *shape: int) -> None:
        self.rng = np.random.default_rng(11)
        self.nodes: list[Node] = []
        self.tensors = {"x": Tensor("x", shape)}
        self.last = "x"

    def add(self, class_name: str, *weights: Shape, other: str | None = None, **config: Any) -> Build:
        op = next(op for op in REGISTRY.values() if class_name in op.keras)
        data = [self.last] if other is None else [self.last, other]
        arrays: list[Array] = [self.rng.uniform(-1, 1, shape).astype(np.float32) for shape in weights]
        if class_name == "BatchNormalization":
            arrays[-1] = np.abs(arrays[-1]) + 0.1
            if config.pop("positive", False):
                arrays[0] = np.abs(arrays[0]) + 0.1
            if config.pop("no_offset", False):
                arrays[1:3] = [np.zeros_like(arrays[1])] * 2
        name = f"n{len(self.nodes)}"
        imported: Imported = op.keras[class_name](
            KerasLayer(class_name, name, config, tuple(arrays)), [self.tensors[t] for t in data]
        )
        constants = [Tensor.constant(f"{name}/{key}", values) for key, values in imported.constants]
        self.tensors.update({t.name: t for t in constants})
        inputs = (*data, *(t.name for t in constants))
        (y,) = op.infer(imported.attrs, [self.tensors[t] for t in inputs])
        self.tensors[name] = y.like(name)
        self.nodes.append(Node(op, name, inputs, (name,), imported.attrs, name))
        self.last = name
        return self

    def norm(self, c: int, **config: Any) -> Build:
        return self.add("BatchNormalization", *[(c,)] * 4, **config)

    def conv(self, c: int, oc: int, k: int = 3, **config: Any) -> Build:
        return self.add("Conv2D", (k, k, c, oc), (oc,), **config)

    def graph(self, *more: str) -> Graph:
        return Graph(tuple(self.nodes), self.tensors, ("x",), (self.last, *more))


def picture(graph: Graph, count: int = 3) -> Array:
    return np.random.default_rng(2).normal(size=(count, *graph.tensors["x"].shape)).astype(np.float32)


def ops(graph: Graph) -> str:
    return " ".join(n.op.name for n in graph.nodes)


CASES: dict[str, tuple[Callable[[], Graph], str]] = {
    "norm after conv": (lambda: Build(6, 6, 3).conv(3, 4).norm(4).add("ReLU").graph(), "conv_2d"),
    "norm after depthwise": (
        lambda: Build(6, 6, 3).add("DepthwiseConv2D", (3, 3, 3, 2), (6,)).norm(6).graph(), "depthwise_conv_2d",
    ),
    "norm after dense": (lambda: Build(7).add("Dense", (7, 4), (4,)).norm(4).graph(), "dense"),
    "norm after relu, conv behind": (
        lambda: Build(6, 6, 3).conv(3, 4).add("ReLU").norm(4).conv(4, 2).graph(), "conv_2d conv_2d",
    ),
    "norm after relu, padded conv behind": (
        lambda: Build(6, 6, 3).conv(3, 4).add("ReLU").norm(4).conv(4, 2, padding="same").graph(),
        "conv_2d depthwise_conv_2d conv_2d",
    ),
    "norm without offset, padded conv behind": (
        lambda: Build(6, 6, 3).conv(3, 4).add("ReLU").norm(4, no_offset=True).conv(4, 2, padding="same").graph(),
        "conv_2d conv_2d",
    ),
    "norm after relu, depthwise behind": (
        lambda: Build(6, 6, 3).conv(3, 4).add("ReLU").norm(4).add("DepthwiseConv2D", (2, 2, 4, 3), (12,)).graph(),
        "conv_2d depthwise_conv_2d",
    ),
    "norm through a mean": (
        lambda: Build(6, 6, 3).conv(3, 4).add("ReLU").norm(4).add("GlobalAveragePooling2D").add("Dense", (4, 2), (2,)).graph(),
        "conv_2d mean dense",
    ),
    "norm through a flatten": (
        lambda: Build(4, 4, 3).conv(3, 4).add("ReLU").norm(4).add("Flatten").add("Dense", (16, 2), (2,)).graph(),
        "conv_2d reshape dense",
    ),
    "norm through an average pool": (
        lambda: Build(6, 6, 3).conv(3, 4).add("ReLU").norm(4)
        .add("AveragePooling2D", pool_size=2, strides=2, padding="same").conv(4, 2, 2).graph(),
        "conv_2d average_pool_2d conv_2d",
    ),
    "norm under a max pool, scales positive": (
        lambda: Build(6, 6, 3).conv(3, 4).add("ReLU").norm(4, positive=True)
        .add("MaxPooling2D", pool_size=2, strides=2, padding="same").conv(4, 2, padding="same").graph(),
        "conv_2d max_pool_2d depthwise_conv_2d conv_2d",
    ),
    "norm above a max pool, some scales negative": (
        lambda: Build(6, 6, 3).conv(3, 4).add("ReLU").norm(4).add("MaxPooling2D", pool_size=2, strides=2).graph(),
        "conv_2d depthwise_conv_2d max_pool_2d",
    ),
    "norm first, of a vector": (
        lambda: Build(5).norm(5).add("ReLU").graph(), "reshape depthwise_conv_2d reshape",
    ),
    "relu behind a pool moves up": (
        lambda: Build(6, 6, 3).conv(3, 4).add("MaxPooling2D", pool_size=2, strides=2).add("ReLU").graph(),
        "conv_2d max_pool_2d",
    ),
    "relu first stays": (lambda: Build(6, 6, 3).add("ReLU").conv(3, 4).graph(), "relu conv_2d"),
    "flatten of a flat vector": (
        lambda: Build(6).add("Flatten").add("Dense", (6, 2), (2,)).graph(), "dense",
    ),
    "reshape of a reshape": (
        lambda: Build(4, 2, 3).add("Reshape", target_shape=(8, 3)).add("Flatten").add("Dense", (24, 2), (2,)).graph(),
        "reshape dense",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_pipeline_keeps_the_numbers_and_removes_what_it_should(case: str) -> None:
    build, wanted = CASES[case]
    graph = build()
    x = picture(graph)
    (before,) = graph.evaluate(x)
    for step in passes.PIPELINE:
        graph = step(graph)
        verify(graph, step.name)
        (after,) = graph.evaluate(x)
        np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5 * float(np.abs(before).max()), err_msg=step.name)
    assert ops(graph) == wanted


def test_what_others_read_is_not_folded_away() -> None:
    """The convolution is an output itself, and the sum reads it beside the normalised one."""
    graph = Build(6, 6, 3).conv(3, 4).norm(4).add("ReLU").add("Add", other="n0").graph("n0")
    changed = passes.run(graph)
    assert ops(changed) == "conv_2d depthwise_conv_2d add"
    x = picture(graph)
    for before, after in zip(graph.evaluate(x), changed.evaluate(x), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


def test_shared_weights_are_copied_before_they_are_changed() -> None:
    built = Build(6, 6, 3).conv(3, 3, padding="same").conv(3, 3, padding="same").norm(3)
    first, second = built.nodes[:2]
    built.nodes[1] = replace(second, inputs=(first.outputs[0], *first.inputs[1:]))
    graph = built.graph()
    x = picture(graph)
    np.testing.assert_allclose(
        passes.run(graph.replaced(graph.nodes)).evaluate(x)[0], graph.evaluate(x)[0], rtol=1e-5, atol=1e-4
    )


def test_an_activation_that_is_an_output_of_its_own_producer_is_kept() -> None:
    graph = Build(6, 6, 3).conv(3, 4).add("ReLU").graph("n0")
    assert ops(passes.run(graph)) == "conv_2d relu"


def test_dead_nodes_go() -> None:
    built = Build(6, 6, 3).conv(3, 4)
    kept = built.last
    built.conv(4, 2)
    built.last = kept
    assert ops(passes.run(built.graph())) == "conv_2d"


LOWERED: dict[str, tuple[Callable[[], Graph], str]] = {
    "conv": (lambda: Build(7, 6, 3).add("ZeroPadding2D", padding=((0, 1), (1, 0))).conv(3, 4, strides=2).graph(), "conv_2d"),
    "depthwise": (
        lambda: Build(7, 6, 3).add("ZeroPadding2D", padding=1).add("DepthwiseConv2D", (3, 3, 3, 1), (3,)).graph(),
        "depthwise_conv_2d",
    ),
    "max pool behind relu": (
        lambda: Build(7, 6, 3).conv(3, 4, 1).add("ReLU").add("ZeroPadding2D", padding=1)
        .add("MaxPooling2D", pool_size=3, strides=2).graph(),
        "conv_2d max_pool_2d",
    ),
    "max pool of signed values": (
        lambda: Build(7, 6, 3).conv(3, 4, 1).add("ZeroPadding2D", padding=1)
        .add("MaxPooling2D", pool_size=3, strides=2).graph(),
        "conv_2d pad max_pool_2d",
    ),
    "average pool counts its zeros": (
        lambda: Build(7, 6, 3).add("ZeroPadding2D", padding=1).add("AveragePooling2D", pool_size=3, strides=2).graph(),
        "pad average_pool_2d",
    ),
    "a frame wider than the kernel": (
        lambda: Build(7, 6, 3).add("ZeroPadding2D", padding=3).conv(3, 4, 3).graph(), "pad conv_2d",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LOWERED)
def test_lowering_gives_the_same_bytes(case: str) -> None:
    build, wanted = LOWERED[case]
    graph = passes.run(build())
    x = picture(graph, 8)
    int8 = to_int8(graph, calibrate(graph, x))
    lowered = passes.run(int8, passes.LOWERING)
    q = quantize_array(x, int8.tensors["x"])
    assert ops(lowered) == wanted
    assert np.array_equal(lowered.evaluate(q)[0], int8.evaluate(q)[0])


def test_int8_graphs_of_others_keep_their_bytes() -> None:
    """A ReLU that changes the scale stays; one that only clamps is fused, here behind a convolution and under a pool."""
    built = Build(7, 6, 3).conv(3, 4).add("ReLU").conv(4, 4).add("MaxPooling2D", pool_size=2, strides=2).add("ReLU")
    graph = built.add("Flatten").add("Flatten").graph()
    x = picture(graph, 8)
    int8 = to_int8(graph, calibrate(graph, x))
    q = quantize_array(x, int8.tensors["x"])
    changed = passes.run(int8)
    assert ops(changed) == "conv_2d relu conv_2d max_pool_2d relu reshape"
    assert np.array_equal(changed.evaluate(q)[0], int8.evaluate(q)[0])
    same = int8.tensors["n0"].quantization
    equal = replace(int8, tensors={**int8.tensors, "n1": replace(int8.tensors["n1"], quantization=same)})
    changed = passes.run(equal)
    assert ops(changed) == "conv_2d conv_2d max_pool_2d relu reshape"
    assert np.array_equal(changed.evaluate(q)[0], equal.evaluate(q)[0])


# ── the verifier ──────────────────────────────────────────────────────────────────────────────────────────────────


def good() -> Graph:
    return Build(6, 6, 3).conv(3, 4).add("ReLU").graph()


def with_tensor(graph: Graph, **changes: Any) -> Graph:
    return replace(graph, tensors={**graph.tensors, "n0": replace(graph.tensors["n0"], **changes)})


FAULTS: dict[str, Callable[[Graph], Graph]] = {
    "names of no tensor": lambda g: replace(g, tensors={k: t for k, t in g.tensors.items() if k != "n0"}),
    "is filed under": lambda g: with_tensor(g, name="other"),
    "nodes are called n0": lambda g: replace(g, nodes=(g.nodes[0], replace(g.nodes[1], name="n0"))),
    "is computed 2 times": lambda g: replace(g, nodes=(*g.nodes, replace(g.nodes[1], name="n2"))),
    "is mentioned by nobody": lambda g: replace(g, tensors={**g.tensors, "lost": Tensor("lost", (1,))}),
    "before it is computed": lambda g: replace(g, nodes=g.nodes[::-1]),
    "is never computed": lambda g: replace(g, nodes=(), tensors={k: g.tensors[k] for k in ("x", "n1")}),
    "n0 should give": lambda g: with_tensor(g, shape=(5, 4, 4)),
    "breaks a limit of conv_2d": lambda g: replace(g, tensors={**g.tensors, "x": Tensor("x", (6, 6, 2))}),
    "has no quantisation": lambda g: with_tensor(g, dtype="int8"),
    "is float32, but quantised": lambda g: with_tensor(g, quantization=Quantization((1.0,))),
    "quantised by channel": lambda g: with_tensor(g, quantization=Quantization((1.0,) * 4, (0,) * 4, 2)),
    "3 scales along axis 2": lambda g: with_tensor(g, quantization=Quantization((1.0,) * 3, (0,) * 3, 2)),
    "not positive": lambda g: with_tensor(g, quantization=Quantization((0.0,))),
}


def test_a_legal_graph_passes() -> None:
    verify(good(), "import")


@pytest.mark.parametrize("words", FAULTS)
def test_the_verifier_sees(words: str) -> None:
    with pytest.raises(IllegalGraph, match=words):
        verify(FAULTS[words](good()), "this test")


@pytest.mark.parametrize("behind", ["dense", "conv", "padded conv", "pool and conv"])
def test_gains_behind_a_relu_that_differ_by_a_million_leave_int8_its_steps(behind: str) -> None:
    """Truth: the float graph. With the gains in the weights behind the ReLU, int8 had less signal than noise here."""
    if behind == "dense":
        b = Build(12).add("Dense", (12, 16), (16,)).add("ReLU").norm(16)
    else:
        b = Build(8, 8, 3).conv(3, 16).add("ReLU").norm(16)
    spread = np.geomspace(1e-3, 1e3, 16).astype(np.float32)
    first, norm = b.nodes[0], b.nodes[2]
    for index in (1, 2):  # what comes in is small where the gain is large
        t = b.tensors[first.inputs[index]]
        assert t.data is not None
        by_channel = spread.reshape(-1, *[1] * (t.data.ndim - 1))
        b.tensors[t.name] = replace(t, data=np.asarray(t.data / by_channel, np.float32))
    scale = b.tensors[norm.inputs[1]]
    assert scale.data is not None
    b.tensors[scale.name] = replace(scale, data=scale.data * spread)
    if behind == "pool and conv":
        b.add("MaxPooling2D", pool_size=2, strides=2)
    graph = (
        b.add("Dense", (16, 4), (4,)) if behind == "dense" else b.conv(16, 4, padding="same" if "padded" in behind else "valid")
    ).graph()
    after = passes.run(graph)
    x = picture(graph, 40)
    (want,), (same,) = graph.evaluate(x), after.evaluate(x)
    np.testing.assert_allclose(same, want, rtol=1e-4, atol=1e-4 * np.abs(want).max())
    small = to_int8(after, calibrate(after, x))
    entry, end = small.tensors[small.inputs[0]], small.tensors[small.outputs[0]]
    (q,) = small.evaluate(quantize_array(x, entry))
    noise = (q.astype(np.float64) - end.q.z) * end.q.s - want
    assert 10 * np.log10(np.square(want).mean() / np.square(noise).mean()) > 20, "dB"
