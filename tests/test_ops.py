# SPDX-License-Identifier: Apache-2.0
"""The contract of an operator, checked on all of them: shapes, windows, limits, and the NumPy reference against LiteRT."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterator
from importlib import resources
from typing import Any

import numpy as np
import pytest

from puce.errors import Unsupported
from puce.export.tflite import to_bytes
from puce.frontends import tflite
from puce.ir import Array, Call, Graph, Quantization, Tensor
from puce.ops import (
    REGISTRY,
    Limit,
    Op,
    _pairs,
    _reduce,
    _single,
    arg_max,
    average_pool_2d,
    batch_matmul,
    batch_norm,
    cast,
    concatenation,
    conv_2d,
    dense,
    depth_to_space,
    depthwise_conv_2d,
    dequantize,
    div,
    gather,
    l2_normalization,
    lstm,
    make,
    max_pool_2d,
    mean,
    mirror_pad,
    pack,
    pad,
    prelu,
    quantize,
    reshape,
    resize,
    rsqrt,
    softmax,
    space_to_depth,
    split,
    transpose,
    transpose_conv,
    unpack,
)
from puce.ops import (
    slice as slice_,
)
from puce.packing import staircase
from puce.spatial import padding_name

SEEDS = {name: zlib.crc32(name.encode()) for name in REGISTRY}  # the same whatever other operators there are
LITERT_SAMPLES, PICTURES = 30, 4
KERNELS = resources.files("puce") / "kernels"
FLOAT_ONLY = {"batch_norm", "div", "neg", "square"}  # TFLite has no int8 form of them either

every_operator = pytest.mark.parametrize("name", sorted(REGISTRY))
every_tflite_operator = pytest.mark.parametrize("name", sorted(n for n, op in REGISTRY.items() if op.forms))


def drawn(op: Op, count: int) -> Iterator[tuple[str, Call, np.random.Generator]]:
    """The first samples of an operator, each with words that say how to draw it again."""
    seed = SEEDS[op.name]
    rng, values = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    print(f"{op.name}: samples of seed {seed}, values of seed {seed + 1}")
    for i, call in enumerate(itertools.islice(op.samples(rng), count)):
        yield f"{op.name}, seed {seed}, sample {i}: {call.attrs}, {call.inputs} -> {call.outputs}", call, values


def values(rng: np.random.Generator, t: Tensor, pictures: int) -> Array:
    shape = (pictures, *t.shape)
    if t.dtype == "float32":
        return rng.normal(0, rng.choice([0.1, 1, 10]), shape).astype(np.float32)
    info = np.iinfo(t.dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(t.dtype)


def one_node(op: Op, call: Call) -> Graph:
    tensors = {t.name: t for t in (*call.inputs, *call.outputs)}
    outputs = tuple(t.name for t in call.outputs)
    node = make(op.name, "node", [t.name for t in call.inputs], outputs, call.attrs)
    return Graph((node,), tensors, tuple(t.name for t in call.data), outputs)


def tflite_can_say_it(op: Op, call: Call) -> bool:
    """TFLite's windows know only SAME and VALID."""
    a = call.attrs
    if op.form_of(call) is None:
        return False
    if not (hasattr(a, "padding") and hasattr(a, "stride")):
        return True
    kernel = a.kernel if hasattr(a, "kernel") else call.inputs[1].shape[-3:-1]
    return padding_name(a.padding, call.x.shape[:2], kernel, a.stride, getattr(a, "dilation", (1, 1))) is not None


def drawn_for_tflite(op: Op) -> Iterator[tuple[str, Call, np.random.Generator]]:
    """LITERT_SAMPLES samples that a .tflite file can hold; fewer fail the test rather than pass unseen."""
    found = 0
    for words, call, rng in drawn(op, 40 * LITERT_SAMPLES):
        if found < LITERT_SAMPLES and tflite_can_say_it(op, call):
            found += 1
            yield words, call, rng
    assert found == LITERT_SAMPLES, f"only {found} samples of {op.name} can stand in a .tflite file"


def litert(model: bytes, *inputs: Array) -> tuple[Array, ...]:
    """Every output of LiteRT's reference kernels, one picture at a time.

    It has no reference kernel of ELU, whose table the optimised one builds in the same way.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    def opened(resolver: OpResolverType) -> Interpreter:
        return Interpreter(model_content=model, experimental_op_resolver_type=resolver, num_threads=1)

    try:
        interpreter = opened(OpResolverType.BUILTIN_REF)
    except ValueError as error:
        assert "opcode 'ELU'" in str(error), error
        interpreter = opened(OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    places = [d["index"] for d in interpreter.get_input_details()]
    results = [d["index"] for d in interpreter.get_output_details()]
    answers: list[list[Array]] = [[] for _ in results]
    for i in range(len(inputs[0])):
        interpreter.reset_all_variables()
        for place, x in zip(places, inputs, strict=True):
            interpreter.set_tensor(place, x[i : i + 1])
        interpreter.invoke()
        for answer, result in zip(answers, results, strict=True):
            answer.append(interpreter.get_tensor(result)[0].copy())
    return tuple(np.stack(answer) for answer in answers)


def alike(got: Array, want: Array) -> bool:
    """The same integers; float32 within 1e-5 of the largest value, infinities and not-a-numbers where they should be."""
    if got.dtype != np.float32:
        return np.array_equal(got, want)
    finite = np.isfinite(want)
    largest = np.abs(want[finite]).max(initial=1e-30)
    same = np.array_equal(got[~finite], want[~finite], equal_nan=True)
    return same and bool(np.all(np.abs(got[finite] - want[finite]) <= 1e-5 * largest))


@every_operator
def test_samples_are_legal_and_have_the_inferred_shape(name: str) -> None:
    op, kinds = REGISTRY[name], set()
    for words, call, rng in drawn(op, 100):
        op.check(call.attrs, call.inputs, words)
        inferred = op.infer(call.attrs, call.inputs)
        assert [(t.shape, t.dtype) for t in inferred] == [(t.shape, t.dtype) for t in call.outputs], words
        assert len(op.windows(call)) == len(call.data), words
        assert op.macs(call) >= 0 and op.macc(call) >= 0, words
        results = op.reference(call, *(values(rng, t, 2) for t in call.data))
        assert [(y.shape[1:], str(y.dtype)) for y in results] == [(t.shape, t.dtype) for t in call.outputs], words
        kinds.add(call.x.dtype)
    expected = {"float32"} if name in FLOAT_ONLY else {"dequantize": {"int8", "uint8"}}.get(name, {"int8", "float32"})
    assert kinds >= expected


@every_operator
def test_an_output_row_depends_on_its_window_only(name: str) -> None:
    """All that streaming trusts: rows outside the window of a firing may hold anything."""
    op, checked, streams = REGISTRY[name], 0, False
    for words, call, rng in drawn(op, 40):
        inputs, spans = [values(rng, t, 1) for t in call.data], op.windows(call)
        wanted = op.reference(call, *inputs)
        streams |= any(span.kind == "rows" for span in spans)
        for y in range(call.y.rows):
            others = []
            for x, t, span in zip(inputs, call.data, spans, strict=True):
                if span.kind != "rows" or len(t.shape) != 3:
                    others.append(x)
                    continue
                seen = list(span.rows(y, t.rows))
                other = values(rng, t, 1)
                other[:, seen] = x[:, seen]
                others.append(other)
                checked += len(seen) < t.rows
            for got, want, t in zip(op.reference(call, *others), wanted, call.outputs, strict=True):
                row = (slice(None), y) if t.rows == call.y.rows > 1 else slice(None)
                assert np.array_equal(got[row], want[row], equal_nan=True), words
    assert checked > 30 or not streams  # the others have one firing


@every_tflite_operator
def test_reference_equals_litert(name: str) -> None:
    """Level: NumPy. Witness: LiteRT's reference kernels; int8 the same bytes, float32 within 1e-5 of the largest value."""
    pytest.importorskip("ai_edge_litert")
    op = REGISTRY[name]
    for words, call, rng in drawn_for_tflite(op):
        inputs = [values(rng, t, PICTURES) for t in call.data]
        for got, want in zip(op.reference(call, *inputs), litert(to_bytes(one_node(op, call)), *inputs), strict=True):
            assert got.shape == want.shape and got.dtype == want.dtype, words
            assert alike(got, want), f"{words}: {np.sum(got != want)} of {got.size} values differ"


def test_add_equals_litert_on_all_pairs() -> None:
    """Level: NumPy. Witness: LiteRT's reference kernels; every pair of int8 values, under ten quantisations."""
    pytest.importorskip("ai_edge_litert")
    plane = (256, 256, 1)
    first, second = (v.astype(np.int8).reshape(1, *plane) for v in np.mgrid[-128:128, -128:128])
    op, uses = REGISTRY["add"], 0
    for words, call, _ in drawn(op, 30):
        if call.x.dtype != "int8" or uses == 10:
            continue
        uses += 1
        inputs, (y,) = tuple(t.like(t.name, plane) for t in call.inputs), call.outputs
        wide = Call(call.attrs, inputs, (y.like("y", plane),))
        (want,) = litert(to_bytes(one_node(op, wide)), first, second)
        assert np.array_equal(op.reference(wide, first, second)[0], want), words
    assert uses == 10


def test_mean_multiplier_is_cut_not_rounded() -> None:
    """One case in thousands tells the two apart: found by search, and decided by LiteRT."""
    pytest.importorskip("ai_edge_litert")
    x = Tensor("x", (10, 6, 1), "int8", Quantization((0.06113681569695473,), (-102,)))
    call = Call(mean.Attrs(), (x,), (Tensor("y", (1,), "int8", Quantization((0.04801170900464058,), (-102,))),))
    pixels = np.full(60, 23)
    pixels[:14] += 1
    picture = pixels.astype(np.int8).reshape(1, 10, 6, 1)
    assert mean.reference(call, picture)[0].item() == 57
    assert litert(to_bytes(one_node(REGISTRY["mean"], call)), picture)[0].item() == 57


@every_tflite_operator
def test_tflite_form_reads_back(name: str) -> None:
    op = REGISTRY[name]
    for words, call, rng in drawn_for_tflite(op):
        graph = one_node(op, call)
        back = tflite.read(to_bytes(graph))
        assert [n.op for n in back.nodes] == [op], words
        assert back.nodes[0].attrs == call.attrs, words
        inputs = [values(rng, t, 2) for t in call.data]
        ends = zip(back.evaluate(*inputs), graph.evaluate(*inputs), strict=True)
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in ends), words


@every_operator
def test_operator_is_documented_and_its_kernels_exist(name: str) -> None:
    op = REGISTRY[name]
    module = __import__(f"puce.ops.{name}", fromlist=["OP"])
    assert module.OP is op and (module.__doc__ or "").strip()
    assert op.summary.endswith(".")
    assert all((limit.__doc__ or "").endswith(".") for limit in op.limits)
    for kernel in op.kernels:
        source = (KERNELS / kernel.header).read_text(encoding="utf-8")
        assert re.search(rf"PUCE_KERNEL void {kernel.name}\(", source), f"{kernel.name} is not in {kernel.header}"
    assert not (op.view and op.kernels)
    if op.view or name == "batch_norm":  # batch_norm never reaches the emitter: it is folded away
        return
    used = set()
    for words, call, _ in drawn(op, 200):
        accepted = [k.name for k in op.kernels if k.accepts(call)]
        assert accepted, f"no kernel accepts {words}"
        used.update(accepted)
        assert all(k.arguments(call) for k in op.kernels if k.accepts(call))
    assert used == {k.name for k in op.kernels}, "no sample reaches the other kernels"


def picture(*shape: int, dtype: Any = "float32") -> Tensor:
    return Tensor("x", shape, dtype)


def scaled(*shape: int) -> Tensor:
    return Tensor("x", shape, "int16", Quantization((0.5,)))


def wide_weights(*shape: int) -> Tensor:
    return Tensor.constant("w", np.zeros(shape, np.int16), Quantization((0.5,)))


def weights(*shape: int, dtype: Any = "float32") -> Tensor:
    return Tensor.constant("w", np.zeros(shape, dtype))


BROKEN: list[tuple[str, Limit, Any, list[Tensor]]] = [
    ("add", _pairs.two_operands, _pairs.Attrs(), [picture(4)]),
    ("add", _pairs.two_operands, _pairs.Attrs(), [picture(4), picture(4, dtype="int8")]),
    ("add", _pairs.shapes_broadcast, _pairs.Attrs(), [picture(4, 4, 2), picture(4, 4, 3)]),
    ("average_pool_2d", max_pool_2d.window_fits, average_pool_2d.Attrs((5, 5)), [picture(4, 4, 2)]),
    ("batch_norm", batch_norm.input_is_float, batch_norm.Attrs(), [picture(4, dtype="int8"), weights(4), weights(4)]),
    ("batch_norm", batch_norm.one_scale_and_offset_a_channel, batch_norm.Attrs(), [picture(4), weights(3), weights(4)]),
    ("conv_2d", conv_2d.input_has_rows_columns_channels, conv_2d.Attrs(), [picture(4), weights(1, 1, 1, 4)]),
    ("conv_2d", conv_2d.channels_match, conv_2d.Attrs(), [picture(4, 4, 2), weights(1, 1, 1, 4)]),
    ("conv_2d", conv_2d.window_fits, conv_2d.Attrs(), [picture(4, 4, 2), weights(1, 5, 5, 2)]),
    (
        "conv_2d", conv_2d.padding_is_smaller_than_the_kernel, conv_2d.Attrs(padding=(3, 0, 0, 0)),
        [picture(4, 4, 2), weights(1, 3, 3, 2)],
    ),
    (
        "conv_2d", conv_2d.sums_fit_32_bits, conv_2d.Attrs(),
        [picture(9, 9, 1000, dtype="int8"), weights(1, 9, 9, 1000, dtype="int8")],
    ),
    ("dense", dense.sizes_match, conv_2d.Attrs(), [picture(4, 4, 2), weights(3, 32)]),
    ("dense", dense.many_vectors_have_narrow_weights, dense.Attrs(), [picture(4, 4, 2), wide_weights(3, 2)]),
    ("dense", dense.sizes_match, conv_2d.Attrs(), [picture(4), weights(3, 32)]),
    ("dense", dense.sums_fit_32_bits, conv_2d.Attrs(), [picture(70000, dtype="int8"), weights(1, 70000, dtype="int8")]),
    ("depthwise_conv_2d", depthwise_conv_2d.channels_divide, conv_2d.Attrs(), [picture(4, 4, 2), weights(3, 3, 3)]),
    ("depthwise_conv_2d", depthwise_conv_2d.window_fits, conv_2d.Attrs(), [picture(4, 4, 2), weights(5, 5, 2)]),
    (
        "depthwise_conv_2d", depthwise_conv_2d.padding_is_smaller_than_the_kernel, conv_2d.Attrs(padding=(0, 0, 0, 3)),
        [picture(4, 4, 2), weights(3, 3, 2)],
    ),
    (
        "depthwise_conv_2d", depthwise_conv_2d.sums_fit_32_bits, conv_2d.Attrs(),
        [picture(300, 300, 1, dtype="int8"), weights(300, 300, 1, dtype="int8")],
    ),
    ("dequantize", dequantize.input_is_quantized, dequantize.Attrs(), [picture(4)]),
    ("div", div.operands_are_float, _pairs.OrderedAttrs(), [picture(4, dtype="int8"), picture(4, dtype="int8")]),
    ("prelu", prelu.slopes_are_constant, prelu.Attrs(), [picture(4), picture(4)]),
    ("max_pool_2d", max_pool_2d.input_has_rows_columns_channels, max_pool_2d.Attrs(), [picture(4)]),
    ("max_pool_2d", max_pool_2d.kernel_and_stride_are_positive, max_pool_2d.Attrs((0, 2)), [picture(4, 4, 2)]),
    (
        "max_pool_2d", max_pool_2d.padding_is_smaller_than_the_kernel, max_pool_2d.Attrs(padding=(2, 2, 0, 0)),
        [picture(4, 4, 2)],
    ),
    ("max_pool_2d", max_pool_2d.window_fits, max_pool_2d.Attrs((2, 5)), [picture(4, 4, 2)]),
    ("arg_max", arg_max.axis_is_of_a_picture, arg_max.Attrs(1), [picture(4)]),
    ("l2_normalization", l2_normalization.sums_fit_32_bits, l2_normalization.Attrs(), [picture(40000, dtype="int8")]),
    ("mean", _reduce.axes_are_of_a_picture, mean.Attrs(), [picture(4)]),
    ("mean", mean.sums_fit_32_bits, mean.Attrs(), [picture(3000, 3000, 1, dtype="int8")]),
    ("pad", pad.padded_axes_exist, pad.Attrs((1, 0, 0, 0)), [picture(4, 2)]),
    ("pad", pad.padding_is_not_negative, pad.Attrs((0, 0, -1, 0)), [picture(4, 4, 2)]),
    ("pad", pad.value_is_of_the_type, pad.Attrs(value=0.5), [picture(4, dtype="int32")]),
    ("concatenation", concatenation.two_to_eight_computed_inputs, concatenation.Attrs(0), [picture(4)]),
    ("concatenation", concatenation.shapes_agree, concatenation.Attrs(0), [picture(4, 2), picture(4, 3)]),
    ("concatenation", concatenation.scales_agree, concatenation.Attrs(0), [picture(4, dtype="int16"), scaled(4)]),
    ("pack", pack.all_alike, pack.Attrs(0), [picture(4), picture(5)]),
    ("split", split.sizes_add_up, split.Attrs(0, (1, 2)), [picture(4)]),
    ("unpack", unpack.one_output_a_place, unpack.Attrs(0, 4), [picture(4)]),
    ("slice", slice_.bounds_are_inside, slice_.Attrs((2,), (3,), (1,), (3,)), [picture(4)]),
    ("transpose", transpose.order_is_a_permutation, transpose.Attrs((0, 0)), [picture(4, 2)]),
    ("mirror_pad", mirror_pad.axes_exist, mirror_pad.Attrs((1, 0, 0, 0)), [picture(4, 2)]),
    ("mirror_pad", mirror_pad.mirror_is_long_enough, mirror_pad.Attrs((4, 0, 0, 0)), [picture(4, 4, 2)]),
    ("gather", gather.places_exist, gather.Attrs(0, (4,), (1,)), [picture(4)]),
    ("cast", cast.types_differ, cast.Attrs("float32"), [picture(4)]),
    ("space_to_depth", space_to_depth.blocks_fill_the_picture, space_to_depth.Attrs(3), [picture(4, 4, 2)]),
    ("depth_to_space", depth_to_space.channels_fill_the_blocks, depth_to_space.Attrs(2), [picture(4, 4, 2)]),
    ("resize", resize.input_has_rows_columns_channels, resize.Attrs((2, 2)), [picture(4)]),
    ("resize", resize.corners_or_centers, resize.Attrs((2, 2), "nearest", True, True), [picture(4, 4, 2)]),
    ("resize", resize.bilinear_of_int8_or_float, resize.Attrs((2, 2), "bilinear"), [picture(4, 4, 2, dtype="uint8")]),
    (
        "transpose_conv", transpose_conv.channels_match, transpose_conv.Attrs((1, 1), (4, 4)),
        [picture(4, 4, 2), weights(1, 1, 1, 4)],
    ),
    (
        "transpose_conv", transpose_conv.size_and_stride_are_positive, transpose_conv.Attrs((0, 1), (4, 4)),
        [picture(4, 4, 2), weights(1, 1, 1, 2)],
    ),
    (
        "transpose_conv", transpose_conv.sums_fit_32_bits, transpose_conv.Attrs((1, 1), (9, 9)),
        [picture(1, 1, 1000, dtype="int8"), weights(1, 9, 9, 1000, dtype="int8")],
    ),
    ("batch_matmul", batch_matmul.operands_fit, batch_matmul.Attrs(), [picture(4), picture(3, 4)]),
    (
        "batch_matmul", batch_matmul.sums_fit_32_bits, batch_matmul.Attrs(),
        [picture(40000, dtype="int8"), weights(1, 40000, dtype="int8")],
    ),
    ("lstm", lstm.weights_fit, lstm.Attrs(), [picture(4, 3), weights(4, 2, 3), weights(4, 2, 3), weights(4, 2)]),
    (
        "lstm", lstm.cell_state_has_few_integer_bits, lstm.Attrs(5),
        [picture(4, 3), weights(4, 2, 3), weights(4, 2, 2), weights(4, 2)],
    ),
    ("quantize", quantize.types_are_known, quantize.Attrs("int32"), [picture(4)]),
    ("reshape", reshape.sizes_match, reshape.Attrs((5,)), [picture(4)]),
    ("neg", _single.input_is_float, _single.Attrs(), [picture(4, dtype="int8")]),
    ("rsqrt", rsqrt.no_byte_is_negative, _single.Attrs(), [picture(4, dtype="uint8")]),
    ("softmax", softmax.beta_is_positive, softmax.Attrs(0.0), [picture(4)]),
    ("softmax", softmax.sum_fits_32_bits, softmax.Attrs(), [picture(5000, dtype="int8")]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "limit", "attrs", "inputs"), BROKEN, ids=lambda v: getattr(v, "__name__", None))
def test_limit_is_told_in_its_own_words(name: str, limit: Limit, attrs: Any, inputs: list[Tensor]) -> None:
    got = ", ".join("x".join(map(str, t.shape)) for t in inputs if t.data is None)
    with pytest.raises(Unsupported) as caught:
        REGISTRY[name].check(attrs, inputs, "layer_1 (model.tflite, operator 3)")
    assert str(caught.value) == (
        f"layer_1 (model.tflite, operator 3): {limit.__doc__} Got {attrs} on {got}.\n"
        f"Change the layer, or see `puce ops {name}` for what is possible."
    )


def test_every_limit_has_a_use_that_breaks_it() -> None:
    broken = {limit for _, limit, _, _ in BROKEN}
    assert {f"{op.name}: {limit.__doc__}" for op in REGISTRY.values() for limit in op.limits if limit not in broken} == set()


@pytest.mark.parametrize("scale", [2.0**-40, 3e-5, 0.37, 0.5, 1.0, 12345.678, 2.0**31, 3e12])
def test_the_staircase_of_a_dense_layer_steps_where_one_rounding_does(scale: float) -> None:
    """Truth: the double product, rounded once, ties away from zero; also for scales beyond what 31 bits hold."""
    found = staircase(scale, 3, -128, 127, 100_000)
    assert found is not None
    multiplier, shift, offset = found
    x = np.unique(np.r_[-1000:1001, np.linspace(-100_000, 100_000, 4001).astype(np.int64)])
    rounded = np.copysign(np.floor(np.abs(x * scale) + 0.5), x) + 3
    got = [(int(v) * multiplier + offset) >> shift for v in x]
    np.testing.assert_array_equal(np.clip(got, -128, 127), np.clip(rounded, -128, 127))
