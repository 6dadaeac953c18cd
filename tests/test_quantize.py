# SPDX-License-Identifier: Apache-2.0
"""float32 -> int8: every rule of the specification on small graphs, and the accuracy of a real network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from puce import passes
from puce.errors import BadInput, Unsupported
from puce.evaluate import accuracy
from puce.export.tflite import to_bytes
from puce.fixedpoint import dequantize
from puce.fixedpoint import quantize as quantize_array
from puce.frontends import load
from puce.ir import Array, Graph, Node, Quantization, Tensor
from puce.ops import make
from puce.ops.add import Attrs as Add
from puce.ops.conv_2d import Attrs as Window
from puce.ops.max_pool_2d import Attrs as Pool
from puce.ops.softmax import Attrs as Softmax
from puce.passes.verify import verify
from puce.quantize import Method, Range, calibrate, diagnose, to_int8
from puce.quantize.int8 import activation_quantization

METHODS: tuple[Method, ...] = ("minmax", "percentile", "mse")


def network(bias: Array | None = None, weights: Array | None = None) -> Graph:
    """[6, 6, 3] -> two convolutions with the same weights, a pool, their sum, softmax over channels."""
    rng = np.random.default_rng(1)
    w = rng.normal(size=(4, 3, 3, 3)).astype(np.float32) if weights is None else weights
    b = rng.normal(size=4).astype(np.float32) if bias is None else bias
    first, second, pool, total = (Window(activation="relu"), Window(), Pool((2, 2), (2, 2)), Add())
    nodes: list[Node] = [
        make("conv_2d", "left", ("x", "w", "b"), ("left",), first),
        make("conv_2d", "right", ("x", "w", "b"), ("right",), second),
        make("add", "sum", ("left", "right"), ("sum",), total),
        make("max_pool_2d", "pool", ("sum",), ("pool",), pool),
        make("softmax", "odds", ("pool",), ("odds",), Softmax()),
    ]
    tensors = {t.name: t for t in (Tensor("x", (6, 6, 3)), Tensor.constant("w", w), Tensor.constant("b", b))}
    tensors.update({n: Tensor(n, (4, 4, 4)) for n in ("left", "right", "sum")})
    tensors.update({n: Tensor(n, (2, 2, 4)) for n in ("pool", "odds")})
    return Graph(tuple(nodes), tensors, ("x",), ("odds",))


def pictures(count: int = 32) -> Array:
    return np.random.default_rng(2).normal(size=(count, 6, 6, 3)).astype(np.float32)


def quantised(graph: Graph, x: Array | None = None, method: Method = "minmax") -> Graph:
    int8 = to_int8(graph, calibrate(graph, pictures() if x is None else x, method))
    verify(int8, "to_int8")
    return int8


def test_the_rules_of_the_specification() -> None:
    graph, int8 = network(), quantised(network())
    t = int8.tensors
    assert {x.dtype for x in t.values() if x.data is None} == {"int8"}
    assert t["pool"].quantization == t["sum"].quantization, "pooling keeps the scale"
    assert t["odds"].quantization == Quantization((1 / 256,), (-128,))
    assert t["left"].q.z == -128, "a ReLU wastes nothing below zero"
    left = int8.call(int8.nodes[0])
    w, b = left.inputs[1], left.inputs[2]
    assert (w.q.axis, len(w.q.scale), set(w.q.zero_point)) == (0, 4, {0})
    assert [int(np.abs(channel).max()) for channel in left.constant(1)] == [127] * 4
    assert b.dtype == "int32" and b.q.scale == tuple(float(np.float32(left.x.q.s * s)) for s in w.q.scale)
    for name in ("left/w", "right/w"):
        real = graph.tensors["w"].data
        stored = int8.tensors[name].data
        assert real is not None and stored is not None
        steps = np.array(int8.tensors[name].q.scale).reshape(-1, 1, 1, 1)
        assert float(np.abs(stored * steps - real).max()) <= float(steps.max()) / 2 * 1.001
    for tensor in t.values():
        scales = tensor.q.scale
        assert scales == tuple(float(np.float32(s)) for s in scales), "scales are float32"


@pytest.mark.parametrize("method", METHODS)
def test_int8_stays_near_float(method: Method) -> None:
    graph, x = network(), pictures()
    int8 = quantised(graph, x, method)
    wanted = graph.evaluate(x)[0]
    got = dequantize(int8.evaluate(quantize_array(x, int8.tensors["x"]))[0], int8.tensors["odds"])
    assert float(np.abs(got - wanted).mean()) < 0.01


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero"),
    [
        (0, 1, 1 / 255, -128),
        (0, 255, 1.0, -128),
        (-1, 1, 2 / 255, -1),
        (-3, 0, 3 / 255, 127),
        (0, 0, 1.0, 0),
        (2, 5, 5 / 255, -128),
    ],
)
def test_a_range_becomes_a_scale_with_an_exact_zero(low: float, high: float, scale: float, zero: int) -> None:
    q = activation_quantization(Range(low, high))
    assert (q.s, q.z) == (float(np.float32(scale)), zero)


@pytest.mark.parametrize(
    ("x", "wanted"),
    [
        (np.array([3.0, 200.0]), Range(0, 255)),
        (np.array([3.0, 100.0]) / 255, Range(0, 1)),
        (np.array([0.0, 1.0]), Range(0, 1)),
        (np.array([3.0, 100.0]) / 127.5 - 1, Range(-1, 1)),
        (np.array([0.1234, 0.7]), Range(0, 0.7)),
    ],
)
def test_the_encoding_of_pictures_is_recognised(x: Array, wanted: Range) -> None:
    """Whatever part of it these few pictures hold."""
    graph = network()
    batch = np.resize(x, (4, 6, 6, 3)).astype(np.float32)
    got = calibrate(graph, batch)["x"]
    assert (got.low, got.high) == pytest.approx((wanted.low, wanted.high))
    assert calibrate(graph, batch, inputs=[(-2, 3)])["x"] == Range(-2, 3)


def test_clipping_ignores_a_lone_outlier() -> None:
    graph, x = network(), pictures(64)
    x[0, 0, 0, 0] = 60.0
    high = calibrate(graph, x)["left"].high
    assert calibrate(graph, x, "percentile", percentile=99.5)["left"].high < 0.7 * high
    assert calibrate(graph, x, "mse")["left"].high < high


def test_channels_of_zeros_and_biases_that_would_overflow() -> None:
    """The bias of such channels keeps a relative error below 1e-6, and nothing saturates."""
    weights = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype(np.float32)
    weights[1] = 0
    weights[2] *= 1e-12
    bias = np.array([0.5, 0.7, -3.0, 1e-30], np.float32)
    int8 = quantised(network(bias, weights))
    call = int8.call(int8.nodes[1])
    stored = call.constant(2) * np.array(call.inputs[2].q.scale)
    np.testing.assert_allclose(stored[1:3], bias[1:3], rtol=1e-2)
    assert int(np.abs(call.constant(2)).max()) <= 2**30 + 1
    assert not call.constant(1)[1].any()


def test_float_ends_take_and_give_reals() -> None:
    graph, x = network(), pictures()
    ranges = calibrate(graph, x)
    inner, outer = to_int8(graph, ranges), to_int8(graph, ranges, float_io=True)
    verify(outer, "to_int8")
    (got,) = outer.evaluate(x)
    wanted = dequantize(inner.evaluate(quantize_array(x, inner.tensors["x"]))[0], inner.tensors["odds"])
    assert got.dtype == np.float32 and np.array_equal(got, wanted)


def test_diagnosis_names_the_layer_that_was_spoilt() -> None:
    graph, x = network(), pictures()
    int8 = quantised(graph, x)
    good = diagnose(graph, int8, x)
    assert [(n.name, n.op) for n in good] == [(n.origin, n.op.name) for n in graph.nodes]
    assert all(n.snr_db > 20 for n in good) and good[0].weights_snr_db is not None and good[0].weights_snr_db > 30
    coarse = replace(int8.tensors["right"], quantization=Quantization((int8.tensors["right"].q.s * 40,), (0,)))
    bad = diagnose(graph, replace(int8, tensors={**int8.tensors, "right": coarse}), x)
    assert min(bad, key=lambda n: n.own_snr_db).name == "right"
    assert bad[0].snr_db == good[0].snr_db and bad[2].snr_db < good[2].snr_db - 10


@pytest.mark.parametrize(
    ("x", "fact"),
    [
        (
            np.zeros((2, 6, 6, 1), np.float32),
            "pictures of the shape [(6, 6, 1)] do not fit the model, which wants [(6, 6, 3)].",
        ),
        (np.zeros((2, 6, 6, 3), np.uint8), "the pictures are not float32, or hold values that are not finite."),
        (np.full((2, 6, 6, 3), np.nan, np.float32), "the pictures are not float32, or hold values that are not finite."),
    ],
)
def test_wrong_pictures_are_refused(x: Any, fact: str) -> None:
    with pytest.raises(BadInput) as caught:
        calibrate(network(), x)
    assert caught.value.fact == fact


def test_an_int8_graph_is_not_quantised_again() -> None:
    graph = network()
    ranges = calibrate(graph, pictures())
    with pytest.raises(Unsupported, match="conv_2d of int8 cannot be quantised"):
        to_int8(to_int8(graph, ranges), ranges)


# ── a real network: ResNet8 of MLPerf Tiny, trained by others on raw 0 .. 255 pictures ────────────────────────────


def training_pictures(shared: Path, count: int) -> Array:
    """The original CIFAR-10 training pictures, untouched."""
    with np.load(shared / "cifar10" / "cifar10_lossless_part.npz") as part:
        x: Array = part["x_train"][:count].astype(np.float32)
        return x


def test_resnet8_keeps_its_accuracy_and_equals_litert(shared_data: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    graph = passes.run(load(shared_data / "mlperf_tiny" / "pretrainedResnet.h5").graph)
    with np.load(shared_data / "mlperf_tiny" / "ic01.npz") as test:
        x, labels = test["x"].astype(np.float32), test["y"]
    int8 = quantised(graph, training_pictures(shared_data, 100))
    assert int8.tensors[int8.inputs[0]].quantization == Quantization((1.0,), (-128,))
    q = quantize_array(x, int8.tensors[int8.inputs[0]])
    (got,) = int8.evaluate(q)
    before, after = accuracy(graph.evaluate(x)[0], labels), accuracy(got, labels)
    assert after.value >= before.value - 0.01, (before, after)
    interpreter = Interpreter(model_content=to_bytes(int8), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    for picture, wanted in zip(q, got, strict=True):
        interpreter.set_tensor(source["index"], picture[None])
        interpreter.invoke()
        assert np.array_equal(interpreter.get_tensor(sink["index"])[0], wanted)
    (lowered,) = passes.run(int8, passes.LOWERING).evaluate(q)
    assert np.array_equal(lowered, got)
