# SPDX-License-Identifier: Apache-2.0
"""ONNX files -> Graph: onnxruntime's numbers, no transpose where none is needed, and clear refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from puce import passes
from puce.errors import BadInput, MissingExtra, PuceError, Unsupported
from puce.frontends import ImportedModel, load, onnx
from puce.ir import Array
from puce.ops import REGISTRY

helper: Any = pytest.importorskip("onnx.helper", reason="onnx is not installed")
runtime: Any = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@dataclass
class Net:
    """Writes a small model node by node; every method returns the name of a tensor."""

    shape: tuple[int, ...]
    opset: int = 17
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def constant(self, *values: Any, kind: Any = np.float32) -> str:
        from onnx import numpy_helper

        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values[0], kind), name))
        return name

    def places(self, *values: list[int]) -> list[str]:
        return [self.constant(v, kind=np.int64) for v in values]

    def weights(self, *shape: int) -> str:
        return self.constant(self.rng.normal(size=shape))

    def node(self, op: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes: Any) -> Any:
        names = [f"t{len(self.nodes)}{'abcd'[i]}" for i in range(outputs)]
        self.nodes.append(
            helper.make_node(op, list(inputs), names, name=f"{op}_{len(self.nodes)}", domain=domain, **attributes)
        )
        return names[0] if outputs == 1 else names

    def conv(self, x: str, c: int, oc: int, k: int = 3, **attributes: Any) -> str:
        group = attributes.get("group", 1)
        return str(self.node("Conv", x, self.weights(oc, c // group, k, k), self.weights(oc), **attributes))

    def bytes(self, *outputs: str, kind: int = 1) -> bytes:
        ends = [helper.make_tensor_value_info(o, kind, None) for o in outputs]
        inside = [helper.make_tensor_value_info("x", 1, [n if n > 0 else "n" for n in self.shape])]
        graph = helper.make_graph(self.nodes, "net", inside, ends, self.constants)
        imports = [helper.make_opsetid("", self.opset)]
        return bytes(helper.make_model(graph, opset_imports=imports, ir_version=8).SerializeToString())


def ours(x: Array, axes: Sequence[int]) -> Array:
    kept = [a for a in axes if a >= 0]
    rest = [a for a in range(x.ndim) if a not in kept]
    return x.transpose(*rest, *kept).reshape(1, *(1 if a < 0 else x.shape[a] for a in axes))


def agrees(model: bytes, tolerance: float = 1e-5) -> ImportedModel:
    """Import, and compare with onnxruntime on three pictures, before and after the passes."""
    imported = onnx.load(model)
    session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    shape = [n if isinstance(n, int) else 1 for n in session.get_inputs()[0].shape]
    rng = np.random.default_rng(3)
    for _ in range(3):
        x = rng.normal(size=shape).astype(np.float32)
        wanted = session.run(None, {"x": x})
        for graph in (imported.graph, passes.run(imported.graph)):
            answers = graph.evaluate(ours(x, imported.layouts[imported.graph.inputs[0]]))
            for name, want, y in zip(imported.graph.outputs, wanted, answers, strict=True):
                want = ours(np.asarray(want), imported.layouts[name])
                np.testing.assert_allclose(y, want, rtol=0, atol=tolerance * float(np.abs(want).max()))
    return imported


def operators(imported: ImportedModel) -> list[str]:
    return [n.op.name for n in passes.run(imported.graph).nodes]


# ── layouts ───────────────────────────────────────────────────────────────────────────────────────────────────────


def classifier(flatten: bool) -> bytes:
    """A picture with channels first, a residual branch, a flatten that mixes channels with pixels."""
    net = Net((-1, 3, 8, 10))
    x = net.node("Relu", net.conv("x", 3, 6, pads=[1, 1, 1, 1], strides=[2, 2]))
    y = net.conv(x, 6, 6, pads=[1, 1, 1, 1], group=6)
    y = net.node("BatchNormalization", y, *(net.constant(net.rng.uniform(0.5, 1.5, 6)) for _ in range(4)))
    x = net.node("Relu", net.node("Add", x, y))
    x = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    if flatten:
        x = net.node("Flatten", x)
        x = net.node("Gemm", x, net.weights(5, 24), net.weights(5), transB=1)
    else:
        x = net.node("Flatten", net.node("GlobalAveragePool", x))
        x = net.node("Add", net.node("MatMul", x, net.weights(6, 5)), net.weights(5))
    return net.bytes(net.node("Softmax", x))


@pytest.mark.parametrize("flatten", [True, False])
def test_channels_move_last_and_no_transpose_is_left(flatten: bool) -> None:
    imported = agrees(classifier(flatten))
    graph = imported.graph
    assert graph.tensors["x"].shape == (8, 10, 3) and imported.layouts["x"] == (2, 3, 1)
    assert "transpose" not in operators(imported) and "batch_norm" not in operators(imported)
    dense = next(n for n in graph.nodes if n.op.name == "dense")
    assert dense.origin.startswith(("Gemm", "MatMul"))


def test_a_model_with_channels_last_around_onnx_keeps_its_layout() -> None:
    net = Net((1, 6, 7, 3))
    x = net.node("Transpose", "x", perm=[0, 3, 1, 2])
    x = net.node("Transpose", net.conv(x, 3, 4), perm=[0, 2, 3, 1])
    imported = agrees(net.bytes(net.node("Flatten", x)))
    assert imported.layouts["x"] == (1, 2, 3)
    assert operators(imported) == ["conv_2d", "reshape"]


def test_one_dimension_is_a_picture_of_one_row() -> None:
    net = Net((1, 4, 12))
    x = net.node("Relu", net.node("Conv", "x", net.weights(6, 4, 3), net.weights(6), pads=[2, 0], dilations=[1]))
    x = net.node("MaxPool", x, kernel_shape=[2], strides=[2])
    x = net.node("Gemm", net.node("Flatten", x), net.weights(36, 3))
    imported = agrees(net.bytes(x))
    assert imported.graph.tensors["x"].shape == (12, 4) and "transpose" not in operators(imported)


def test_a_flatten_that_nobody_can_absorb_is_transposed() -> None:
    net = Net((1, 2, 3, 4))
    assert "transpose" in operators(agrees(net.bytes(net.node("Flatten", net.conv("x", 2, 3, 1)))))


def test_a_shape_that_is_computed_is_folded() -> None:
    """x.view(x.size(0), -1), as PyTorch exports it."""
    net = Net((-1, 2, 5, 5))
    x = net.conv("x", 2, 3)
    first = net.node("Gather", net.node("Shape", x), net.constant(0, kind=np.int64), axis=0)
    first = net.node("Unsqueeze", first, net.constant([0], kind=np.int64))
    shape = net.node("Concat", first, net.constant([-1], kind=np.int64), axis=0)
    x = net.node("Gemm", net.node("Reshape", x, shape), net.weights(27, 4))
    assert operators(agrees(net.bytes(x))) == ["conv_2d", "reshape", "dense"]


def test_channels_are_shuffled_by_one_transpose() -> None:
    net = Net((1, 3, 4, 5))
    x = net.conv("x", 3, 6, 1)
    x = net.node("Reshape", x, net.constant([1, 2, 3, 4, 5], kind=np.int64))
    x = net.node("Reshape", net.node("Transpose", x, perm=[0, 2, 1, 3, 4]), net.constant([1, 6, 4, 5], kind=np.int64))
    assert operators(agrees(net.bytes(net.conv(x, 6, 2)))).count("transpose") == 1


# ── operators ─────────────────────────────────────────────────────────────────────────────────────────────────────


def attention(net: Net) -> str:
    """softmax(q k') v of a sequence, as two products of computed matrices."""
    q, k, v = (net.node("MatMul", "x", net.weights(6, 6)) for _ in range(3))
    scores = net.node("MatMul", q, net.node("Transpose", k, perm=[0, 2, 1]))
    weights = net.node("Softmax", net.node("Div", scores, net.constant(6**0.5)), axis=-1)
    return str(net.node("MatMul", weights, v))


def lstm(net: Net, direction: str, ways: int) -> str:
    x = net.node("Transpose", "x", perm=[1, 0, 2])
    w = [net.weights(ways, 20, 6), net.weights(ways, 20, 5), net.weights(ways, 40)]
    whole, last = net.node("LSTM", x, *w, outputs=2, hidden_size=5, direction=direction)
    return str(net.node("Add", net.node("ReduceMean", whole, axes=[0], keepdims=0), last))


PICTURE, SEQUENCE = (1, 4, 8, 9), (1, 5, 6)
BUILDERS: dict[str, tuple[tuple[int, ...], Callable[[Net], str]]] = {
    "groups": (PICTURE, lambda n: n.conv("x", 4, 6, group=2)),
    "depth multiplier": (PICTURE, lambda n: n.conv("x", 4, 8, group=4, auto_pad="SAME_UPPER")),
    "padding wider than the kernel": (PICTURE, lambda n: n.conv("x", 4, 2, pads=[3, 0, 4, 1])),
    "same lower": (PICTURE, lambda n: n.conv("x", 4, 2, auto_pad="SAME_LOWER", strides=[2, 2])),
    "counted padding": (PICTURE, lambda n: n.node("AveragePool", "x", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)),
    "rounded up": (PICTURE, lambda n: n.node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)),
    "transposed": (PICTURE, lambda n: n.node("ConvTranspose", "x", n.weights(4, 3, 3, 3), strides=[2, 2], pads=[1] * 4)),
    "clip": (PICTURE, lambda n: n.node("Clip", "x", n.constant(-0.5), n.constant(0.7))),
    "computed weights": (PICTURE, lambda n: n.node("Conv", "x", n.node("Slice", "x", *n.places([0], [2], [2])), pads=[1] * 4)),
    "hard sigmoid": (PICTURE, lambda n: n.node("HardSigmoid", "x", alpha=1 / 6, beta=0.5)),
    "hard swish": (PICTURE, lambda n: n.node("HardSwish", "x")),
    "leaky": (PICTURE, lambda n: n.node("LeakyRelu", "x", alpha=0.2)),
    "prelu": (PICTURE, lambda n: n.node("PRelu", "x", n.weights(4, 1, 1))),
    "silu": (PICTURE, lambda n: n.node("Mul", "x", n.node("Sigmoid", "x"))),
    "a value a pixel": (PICTURE, lambda n: n.node("Add", n.conv("x", 4, 4, 1), n.weights(8, 9))),
    "squeeze and excite": (PICTURE, lambda n: n.node("Mul", "x", n.node("Sigmoid", n.node("GlobalAveragePool", "x")))),
    "reflect": (PICTURE, lambda n: n.node("Pad", "x", n.constant([0, 0, 1, 2, 0, 0, 3, 0], kind=np.int64), mode="reflect")),
    "slice": (PICTURE, lambda n: n.node("Slice", "x", *n.places([1, 7], [4, 0], [1, 2], [2, -3]))),
    "split": (PICTURE, lambda n: n.node("Concat", *n.node("Split", "x", outputs=2, axis=1)[::-1], axis=1)),
    "gather": (PICTURE, lambda n: n.node("Gather", "x", n.constant([3, 0, 1], kind=np.int64), axis=1)),
    "resize": (PICTURE, lambda n: n.node("Resize", "x", "", n.constant([1, 1, 2, 2]), mode="linear")),
    "pixel shuffle": (PICTURE, lambda n: n.node("DepthToSpace", "x", blocksize=2, mode="CRD")),
    "layer norm": (SEQUENCE, lambda n: n.node("LayerNormalization", "x", n.weights(6), n.weights(6))),
    "instance norm": (PICTURE, lambda n: n.node("InstanceNormalization", "x", n.weights(4), n.weights(4))),
    "attention": (SEQUENCE, attention),
    "lstm": (SEQUENCE, lambda n: lstm(n, "forward", 1)),
    "lstm both ways": (SEQUENCE, lambda n: lstm(n, "bidirectional", 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", BUILDERS)
def test_an_operator_computes_what_onnxruntime_does(name: str) -> None:
    shape, build = BUILDERS[name]
    net = Net(shape)
    agrees(net.bytes(build(net)))


@pytest.mark.parametrize("opset", [9, 11, 13])
def test_softmax_of_old_opsets_is_over_all_that_follows(opset: int) -> None:
    net = Net((1, 2, 3, 4), opset)
    agrees(net.bytes(net.node("Softmax", "x", axis=1)))


# ── quantised files ───────────────────────────────────────────────────────────────────────────────────────────────


def quantised(unsigned: bool) -> bytes:
    """A convolution and a dense layer between QuantizeLinear and DequantizeLinear."""
    net, kind = Net((1, 3, 6, 6)), np.uint8 if unsigned else np.int8

    def through(x: str, scale: float) -> str:
        s, z = net.constant(scale), net.constant(128 if unsigned else 0, kind=kind)
        return str(net.node("DequantizeLinear", net.node("QuantizeLinear", x, s, z), s, z))

    def matrix(*shape: int, scales: int) -> str:
        w = net.constant(net.rng.integers(-127, 128, shape), kind=np.int8)
        s = net.constant(net.rng.uniform(0.005, 0.01, scales))
        return str(net.node("DequantizeLinear", w, s, net.constant(np.zeros(scales), kind=np.int8), axis=0))

    x = net.node("Conv", through("x", 0.03), matrix(4, 3, 3, 3, scales=4), net.weights(4))
    x = through(net.node("Relu", x), 0.05)
    x = net.node("Gemm", net.node("Flatten", x), matrix(5, 64, scales=5), net.weights(5), transB=1)
    return net.bytes(through(x, 0.2))


@pytest.mark.parametrize("unsigned", [False, True])
def test_a_quantised_file_becomes_int8_within_a_step(unsigned: bool) -> None:
    imported = agrees(quantised(unsigned), tolerance=0.05)
    assert operators(imported) == ["quantize", "conv_2d", "reshape", "dense", "dequantize"]
    kinds = {n.op.name: imported.graph.tensors[n.outputs[0]].dtype for n in imported.graph.nodes}
    assert kinds["conv_2d"] == kinds["dense"] == "int8"


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────


def refusal(source: Any) -> PuceError:
    with pytest.raises(PuceError) as caught:
        load(source) if isinstance(source, Path) else onnx.load(source)
    return caught.value


def test_an_unknown_operator_names_its_node() -> None:
    net = Net((1, 3))
    error = refusal(net.bytes(net.node("Relu", net.node("Gelu", "x"))))
    assert isinstance(error, Unsupported)
    assert str(error) == (
        "Gelu_0 (model.onnx, node 0, Gelu): the operator Gelu is not supported.\n"
        "Use ReLU, ReLU6 or HardSwish: they cost little in int8, and fine-tuning recovers the accuracy within a few epochs."
    )


def test_operators_of_others_are_named_with_their_domain() -> None:
    net = Net((1, 3))
    error = refusal(net.bytes(net.node("Requant", "x", domain="my.own")))
    assert error.fact == "the operator my.own.Requant is not supported."


@pytest.mark.parametrize(
    ("shape", "fact"),
    [
        ((2, 3, 8, 8), "this has a batch of 2 pictures, or axes that no operator of ours has: the shape is [2, 3, 8, 8]."),
        ((1, 3, -1, 8), "the input's shape is not fixed: 1x3x?x8."),
    ],
)
def test_batches_and_open_sizes_are_refused(shape: tuple[int, ...], fact: str) -> None:
    net = Net(shape)
    assert refusal(net.bytes(net.conv("x", 3, 2))).fact == fact


def test_values_in_another_file_are_never_read(tmp_path: Path) -> None:
    from onnx import ModelProto

    secret = tmp_path / "secret"
    secret.write_bytes(bytes(4 * 6))
    net = Net((1, 2))
    model = ModelProto.FromString(net.bytes(net.node("MatMul", "x", net.weights(2, 3))))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", str(secret)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    error = refusal(path)
    assert error.place == "k0 (model.onnx)" and error.fact.startswith("its values lie in another file, which is not read")


def test_a_constant_that_would_fill_the_memory_is_refused() -> None:
    net = Net((1, 2))
    huge = net.node("ConstantOfShape", net.constant([1 << 20, 1 << 20], kind=np.int64))
    error = refusal(net.bytes(net.node("Add", "x", huge)))
    assert isinstance(error, BadInput) and "a constant of [1048576, 1048576]" in error.fact


def test_a_circle_of_nodes_is_bad_input() -> None:
    net = Net((1, 2))
    net.nodes += [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    assert refusal(net.bytes("a")).fact == "it reads a, which nothing before it computes."


@pytest.mark.parametrize("data", [b"", b"no model", bytes(range(256)) * 10])
def test_other_files_are_bad_input(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert isinstance(refusal(path), BadInput)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    error = refusal(b"anything")
    assert isinstance(error, MissingExtra) and error.remedy == "pip install 'puce[onnx]'"


def test_every_word_that_an_operator_claims_is_read() -> None:
    claimed = {word for op in REGISTRY.values() for word in op.onnx}
    assert claimed <= onnx.KNOWN
