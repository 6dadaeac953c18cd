# SPDX-License-Identifier: Apache-2.0
""".tflite out and in: what is written comes back, LiteRT's reference kernels give the same bytes, damage is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from puce import __version__, sampling
from puce.errors import BadInput, PuceError, Unsupported
from puce.export.tflite import ALIGNMENT, to_bytes, write
from puce.fixedpoint import quantize as quantize_array
from puce.frontends import load
from puce.frontends.tflite import read
from puce.ir import Array, Call, Graph, Node, Quantization, Tensor
from puce.ops import REGISTRY, TfliteForm, make
from puce.ops.add import Attrs as Add
from puce.ops.conv_2d import Attrs as Window
from puce.ops.dense import Attrs as Dense
from puce.ops.mean import Attrs as Mean
from puce.ops.pad import Attrs as Pad
from puce.ops.relu import Attrs as Relu
from puce.ops.softmax import Attrs as Softmax
from puce.passes.verify import verify
from puce.quantize import calibrate, to_int8
from puce.spatial import same_padding

IN_FILES = [name for name, op in REGISTRY.items() if op.forms]


def network() -> Graph:
    """Two inputs, two outputs, a branch, padding of both words; names as the Keras front end gives them."""
    rng = np.random.default_rng(4)
    tensors = {"a": Tensor("a", (8, 7, 3)), "b": Tensor("b", (8, 7, 4))}
    nodes: list[Node] = []

    def add(op: str, name: str, data: Sequence[str], attrs: Any, *weights: tuple[int, ...], origin: str = "") -> str:
        constants = [
            Tensor.constant(f"{name}/{kind}", rng.normal(size=shape).astype(np.float32))
            for kind, shape in zip(("weights", "bias"), weights, strict=False)
        ]
        tensors.update({t.name: t for t in constants})
        nodes.append(make(op, name, (*data, *(t.name for t in constants)), (name,), attrs, origin))
        (y,) = nodes[-1].op.infer(attrs, [tensors[t] for t in nodes[-1].inputs])
        tensors[name] = y.like(name)
        return name

    same = same_padding((8, 7), (3, 3), (1, 1))
    x = add("conv_2d", "conv", ["a"], Window(padding=same, activation="relu"), (4, 3, 3, 3), (4,))
    x = add("add", "sum", [x, "b"], Add())
    y = add("pad", "frame", [x], Pad((1, 0, 0, 1)))
    y = add("depthwise_conv_2d", "depth", [y], Window(stride=(2, 2), activation="relu6"), (3, 3, 8), (8,))
    y = add("mean", "mean", [y], Mean())
    y = add("dense", "answer", [y], Dense(), (5, 8), (5,))
    y = add("softmax", "answer/softmax", [y], Softmax(), origin="answer")
    return Graph(tuple(nodes), tensors, ("a", "b"), (y, x), "network")


def pictures(graph: Graph, count: int = 5) -> list[Array]:
    rng = np.random.default_rng(6)
    return [rng.normal(size=(count, *graph.tensors[t].shape)).astype(np.float32) for t in graph.inputs]


def int8_network() -> Graph:
    graph = network()
    return to_int8(graph, calibrate(graph, pictures(graph, 40)))


def litert(data: bytes, inputs: Sequence[Array]) -> list[Array]:
    """What LiteRT's reference kernels return for a batch, picture by picture."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    results = []
    for pictures_ in zip(*inputs, strict=True):
        for detail, x in zip(interpreter.get_input_details(), pictures_, strict=True):
            interpreter.set_tensor(detail["index"], x[None])
        interpreter.invoke()
        results.append([interpreter.get_tensor(d["index"])[0] for d in interpreter.get_output_details()])
    return [np.stack(column) for column in zip(*results, strict=True)]


def test_float_network_in_litert() -> None:
    graph = network()
    xs = pictures(graph)
    for wanted, got in zip(graph.evaluate(*xs), litert(to_bytes(graph), xs), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_int8_network_in_litert_to_the_bit() -> None:
    graph = int8_network()
    xs = [quantize_array(x, graph.tensors[t]) for x, t in zip(pictures(graph, 50), graph.inputs, strict=True)]
    for wanted, got in zip(graph.evaluate(*xs), litert(to_bytes(graph), xs), strict=True):
        assert np.array_equal(got, wanted)


def kind(t: Tensor) -> tuple[object, ...]:
    """Shape, type and quantisation; an axis of length 1 is none, for the file."""
    q = t.quantization
    return t.shape, t.dtype, Quantization(q.scale, q.zero_point) if q is not None and len(q.scale) == 1 else q


def equal_data(a: Tensor, b: Tensor) -> bool:
    if a.data is None or b.data is None:
        return a.data is b.data
    return np.array_equal(a.data, b.data)


@pytest.mark.parametrize("make_graph", [network, int8_network])
def test_a_round_trip_changes_nothing(make_graph: Any, tmp_path: Path) -> None:
    graph = make_graph()
    path = tmp_path / "model.tflite"
    write(graph, path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.tflite"]
    imported = load(path)
    back = imported.graph
    verify(back, "reading")
    assert (back.inputs, back.outputs, back.name) == (graph.inputs, graph.outputs, graph.name)
    for old, new in zip(graph.nodes, back.nodes, strict=True):
        same = (old.name, old.origin, old.op, old.inputs, old.outputs, old.attrs)
        assert same == (new.name, new.origin, new.op, new.inputs, new.outputs, new.attrs)
    for name, t in graph.tensors.items():
        other = back.tensors[name]
        assert kind(t) == kind(other) and equal_data(t, other), name
    assert to_bytes(back) == path.read_bytes() == to_bytes(graph)
    assert imported.parameters == 4 * 28 + 80 + 45
    assert imported.by_layer == {"conv": 112, "depth": 80, "answer": 45}


def one_call(call: Call, op_name: str) -> Graph:
    inputs = [replace(t, name=f"i{k}") for k, t in enumerate(call.inputs)]
    outputs = [replace(t, name=f"o{k}") for k, t in enumerate(call.outputs)]
    node = make(op_name, "o0", [t.name for t in inputs], [t.name for t in outputs], call.attrs)
    data = tuple(t.name for t in inputs if t.data is None)
    return Graph((node,), {t.name: t for t in (*inputs, *outputs)}, data, tuple(t.name for t in outputs))


def in_a_file(graph: Graph) -> bytes | None:
    """The graph as a file; None where .tflite has no words: its convolutions and pools know only VALID and SAME."""
    (node,) = graph.nodes
    if node.op.form_of(graph.call(node)) is None:
        return None
    try:
        return to_bytes(graph)
    except Unsupported as error:
        assert "has no words" in error.fact
        return None


@pytest.mark.parametrize("name", IN_FILES)
def test_every_operator_comes_back(name: str) -> None:
    """200 random uses each; seed 9. Attributes that say the same in other words must compute the same."""
    rng = np.random.default_rng(9)
    tried = 0
    for graph in (one_call(call, name) for call in islice(REGISTRY[name].samples(rng), 200)):
        data = in_a_file(graph)
        if data is None:
            continue
        tried += 1
        back = read(data)
        (old,), (new,) = graph.nodes, back.nodes
        assert new.op is old.op
        for before, after in zip(graph.call(old).inputs, back.call(new).inputs, strict=True):
            assert kind(before) == kind(after) and equal_data(before, after), old.attrs
        for before, after in zip(graph.call(old).outputs, back.call(new).outputs, strict=True):
            assert kind(before) == kind(after), old.attrs
        if new.attrs != old.attrs:
            xs = some_pictures(graph, rng)
            for a, b in zip(graph.evaluate(*xs), back.evaluate(*xs), strict=True):
                assert np.array_equal(a, b), old.attrs
    assert tried >= 5


def some_pictures(graph: Graph, rng: np.random.Generator) -> list[Array]:
    values = [rng.integers(0, 100, (3, *graph.tensors[t].shape)) for t in graph.inputs]
    return [x.astype(graph.tensors[t].dtype) for x, t in zip(values, graph.inputs, strict=True)]


def test_the_file_says_who_wrote_it_and_aligns_its_weights() -> None:
    import tflite

    data = to_bytes(int8_network())
    model = tflite.Model.GetRootAs(data, 0)
    assert model.Description() == f"puce {__version__}".encode()
    meta = model.Metadata(0)
    assert (meta.Name(), model.Buffers(meta.Buffer()).DataAsNumpy().tobytes()) == (b"puce", __version__.encode())
    for i in range(1, model.BuffersLength()):
        buffer = model.Buffers(i)
        assert (buffer._tab.Vector(buffer._tab.Offset(4))) % ALIGNMENT == 0, i
    names = {model.Subgraphs(0).Tensors(i).Name() for i in range(model.Subgraphs(0).TensorsLength())}
    assert {b"a", b"conv", b"answer;answer/softmax"} <= names


def test_an_operator_without_a_form_is_refused() -> None:
    x, c = Tensor("x", (2,)), np.ones(2, np.float32)
    tensors = {t.name: t for t in (x, Tensor.constant("s", c), Tensor.constant("o", c), Tensor("y", (2,)))}
    node = Node(REGISTRY["batch_norm"], "norm", ("x", "s", "o"), ("y",), None, "my_norm")
    with pytest.raises(Unsupported) as caught:
        to_bytes(Graph((node,), tensors, ("x",), ("y",)))
    assert str(caught.value) == (
        "my_norm (model): batch_norm has no form in a .tflite file.\n"
        "Run the passes first (puce.passes.run): they replace it by operators that have one."
    )


def test_what_the_format_has_no_words_for_is_refused() -> None:
    """Never written as something else: explicit padding as VALID, say."""
    rng = np.random.default_rng(0)
    x, w = Tensor("x", (6, 6, 1)), Tensor.constant("w", rng.normal(size=(1, 3, 3, 1)).astype(np.float32))
    tensors = {t.name: t for t in (x, w, Tensor.constant("b", np.zeros(1, np.float32)), Tensor("y", (5, 4, 1)))}
    node = make("conv_2d", "y", ("x", "w", "b"), ("y",), Window(padding=(1, 0, 0, 0)), "my_conv")
    with pytest.raises(Unsupported, match=r"my_conv \(model\): a .tflite file has no words for this conv_2d: explicit padding"):
        to_bytes(Graph((node,), tensors, ("x",), ("y",)))


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────


def relu_as(operator: str, options: str = "", dtype: Any = "float32") -> bytes:
    form = TfliteForm(operator, options, lambda call: {}, lambda *_: (None, ()))
    node = Node(replace(REGISTRY["relu"], tflite=form), "clamp", ("x",), ("clamp",), Relu())
    tensors = {"x": Tensor("x", (4,), dtype), "clamp": Tensor("clamp", (4,), dtype)}
    return to_bytes(Graph((node,), tensors, ("x",), ("clamp",)))


def refusal(data: bytes) -> PuceError:
    with pytest.raises(PuceError) as caught:
        read(data)
    return caught.value


def test_an_unknown_operator_is_named() -> None:
    assert str(refusal(relu_as("CEIL"))) == (
        "clamp (model.tflite, operator 0): the operator CEIL is not supported.\n"
        "Replace it by operators that `puce ops` lists, and convert again."
    )


def test_types_that_nothing_computes_are_named() -> None:
    error = refusal(relu_as("RELU", dtype="int16"))
    assert isinstance(error, Unsupported) and error.fact == "relu of int16 is not computed."


def test_int8_without_a_scale_is_bad_input() -> None:
    error = refusal(relu_as("RELU", dtype="int8"))
    assert isinstance(error, BadInput) and error.fact == "x is int8, but has no scale."


def test_other_files_are_no_tflite() -> None:
    assert refusal(b"PK\3\4 and more").fact == "this is no .tflite file: the letters TFL3 are missing at byte 4."


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_never_end_in_a_traceback(seed: int) -> None:
    """Truncated, or a few bytes changed: either an error with a remedy, or a legal graph."""
    data = to_bytes(int8_network())
    rng = np.random.default_rng(seed)
    refused = 0
    for number in range(300):
        damaged = bytearray(data)
        for at in rng.integers(0, len(data), 3):
            damaged[at] = int(rng.integers(0, 256))
        if number % 3 == 0:
            damaged = damaged[: int(rng.integers(0, len(data)))]
        try:
            verify(read(bytes(damaged)), f"reading number {number} of seed {seed}")
        except PuceError as error:
            refused += 1
            assert error.remedy, (seed, number)
    assert refused > 100


# ── what others write ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("c", "groups", "oc"), [(4, 2, 6), (8, 8, 8), (3, 3, 6), (8, 4, 4)])
@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_a_grouped_convolution_is_computed_as_litert_does(c: int, groups: int, oc: int, kind: Any) -> None:
    rng = np.random.default_rng(groups)
    x = sampling.activation(rng, "x", (5, 6, c), kind)
    w = sampling.weights(rng, (oc, 3, 3, c // groups), kind, 0)
    b = replace(sampling.bias(rng, oc, x, w), name="b")
    q = sampling.spread(rng, x, w, 9) if kind == "int8" else None
    y = Tensor("y", (3, 4, oc), kind, q)
    node = make("conv_2d", "y", ("x", "w", "b"), ("y",), Window(activation="relu"))
    data = to_bytes(Graph((node,), {t.name: t for t in (x, w, b, y)}, ("x",), ("y",)))
    graph = read(data)
    verify(graph, "reading")
    xs = [rng.integers(-128, 128, (9, 5, 6, c)).astype(kind)]
    (got,), (want,) = graph.evaluate(*xs), litert(data, xs)
    if kind == "int8":
        assert np.array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * float(np.abs(want).max()))


def test_control_flow_and_custom_operators_are_named(shared_data: Path) -> None:
    for name, words in (("with_custom_op.lite", "custom operator"), ("883f6227_custom.tflite", "complex64")):
        (path,) = (shared_data / "models" / "refused_by_litert").glob(f"*{name}")
        assert words in refusal(path.read_bytes()).fact


def test_what_would_take_gigabytes_to_compile_is_refused() -> None:
    """1448 x 1448 windows of 31 x 31: 2 000 million products in memory at once."""
    x, y = Tensor("x", (1478, 1478, 1)), Tensor("y", (1448, 1448, 1))
    w, b = Tensor.constant("w", np.zeros((1, 31, 31, 1), np.float32)), Tensor.constant("b", np.zeros(1, np.float32))
    node = make("conv_2d", "y", ("x", "w", "b"), ("y",), Window())
    error = refusal(to_bytes(Graph((node,), {t.name: t for t in (x, w, b, y)}, ("x",), ("y",))))
    assert isinstance(error, Unsupported) and "multiply-accumulates" in error.fact
