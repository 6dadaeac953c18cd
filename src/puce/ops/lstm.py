# SPDX-License-Identifier: Apache-2.0
"""LSTM over a sequence of vectors, TFLite's UnidirectionalSequenceLSTM without peepholes, projection or normalisation.

LiteRT's rule for int8 (its 8x8_16 form), from its reference kernels and checked by experiment: each gate is the sum of two
requantised products, each saturated to int16 with 3 integer bits; sigmoid and tanh are gemmlowp's, in 16 bits; the cell
state is int16 with a scale that is a power of two; the output is output gate * tanh(cell), requantised once.

State: LiteRT keeps the state tensors (`is_variable`) from one inference to the next until `reset_all_variables()`, which
makes them real zero, in int8 the zero point. Here every inference starts from that: a sequence has one answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import sampling
from ..activation import float_literal
from ..errors import Unsupported
from ..fixedpoint import quantize_multiplier, requantize, rounding_shift, wrap_int32
from ..ir import Array, Call, Quantization, Tensor
from ..packing import in_pairs
from . import WHOLE, Constant, Imported, Inner, KerasLayer, Kernel, Op, Rule, TfliteForm, register
from ._words import curve, curves, saturate

GATES = ("input", "forget", "cell", "output")
GATE_SCALE = np.float32(2.0**-12)  # of a gate before its activation: 3 integer bits
TANH = 4  # of TFLite's ActivationFunctionType
PLACES = (*range(1, 9), *range(12, 16), 18, 19)  # of weights, biases and states among the inputs of TFLite's operator
ABSENT = Tensor.constant("", np.zeros(0, np.float32))


@dataclass(frozen=True)
class Attrs:
    cell_bits: int = 3  # integer bits of the int16 cell state; its scale is 2^(cell_bits - 15)
    cell_clip: float = 0.0  # the cell state is kept within; 0 for no clip
    whole: bool = True  # every step's output, or the last one's only


def infer(a: Attrs, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    (steps, _), cell = inputs[0].shape, inputs[1].shape[1]
    return (inputs[0].like("y", (steps, cell) if a.whole else (cell,)),)


# ── reference ─────────────────────────────────────────────────────────────────────────────────────────────────────


def multipliers(call: Call) -> Array:
    """[gate, 4]: multiplier and shift of the inputs' sum, of the states' sum; from float32 products, as LiteRT has them."""
    rows = []
    for w, r in zip(call.inputs[1].q.scale, call.inputs[2].q.scale, strict=True):
        ratios = [np.float32(s) * np.float32(t.q.s) / GATE_SCALE for s, t in ((w, call.x), (r, call.y))]
        rows.append([v for ratio in ratios for v in quantize_multiplier(float(ratio))])
    return np.array(rows, np.int64)


def output_multiplier(call: Call) -> tuple[int, int]:
    return quantize_multiplier(float(np.float32(2.0**-15 / float(np.float32(call.y.q.s)) * 2.0**-15)))


def clip_of(call: Call) -> int:
    """The clip in steps of the cell state."""
    return int(min(call.attrs.cell_clip * 2.0 ** (15 - call.attrs.cell_bits), 32767))


def int8_states(call: Call, x: Array) -> list[Array]:
    """Sums in float64 are exact, and far faster in NumPy than integers; those of the inputs are all made at once."""
    m, scales, clip = call.attrs.cell_bits, multipliers(call), clip_of(call)
    (s, tanh_gate), (_, tanh_cell) = curves(3), curves(m)
    sums, r = products(call, x.astype(np.float64) - call.x.q.z)
    firsts = [saturate(requantize(sums[:, :, g].astype(np.int64), *scales[g, :2])) for g in range(4)]
    cell = r.shape[1] // 4
    h, c, outputs = np.full((len(x), cell), call.y.q.z, np.int64), np.zeros((len(x), cell), np.int64), []
    for t in range(x.shape[1]):
        second = ((h - call.y.q.z).astype(np.float64) @ r).astype(np.int64).reshape(len(x), 4, cell)
        gates = [saturate(firsts[g][:, t] + requantize(second[:, g], *scales[g, 2:])) + 32768 for g in range(4)]
        added = rounding_shift(s[gates[0]] * tanh_gate[gates[2]], 15 + m)
        c = saturate(rounding_shift(s[gates[1]] * c, 15) + added)
        c = np.clip(c, -clip, clip) if clip else c
        out = requantize(s[gates[3]] * tanh_cell[c + 32768], *output_multiplier(call)) + call.y.q.z
        h = np.clip(out, -128, 127)
        outputs.append(h.astype(np.int8))
    return outputs


def products(call: Call, x: Array) -> tuple[Array, Array]:
    """The inputs' part of every gate before its activation, [n, step, gate, cell], and the states' matrix [cell, 4 * cell]."""
    w, r, b = (call.constant(i).astype(np.float64) for i in (1, 2, 3))
    sums = x @ np.ascontiguousarray(w.reshape(-1, w.shape[2]).T) + b.reshape(-1)
    return sums.reshape(*x.shape[:2], 4, -1), np.ascontiguousarray(r.reshape(-1, r.shape[2]).T)


def sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def float_states(call: Call, x: Array) -> tuple[list[Array], list[Array]]:
    """The outputs and the cell states, of every step."""
    sums, r = products(call, x)
    h, outputs, cells = np.zeros((len(x), len(r))), [], []
    c, clip = h, call.attrs.cell_clip
    for t in range(x.shape[1]):
        i, f, g, o = (sums[:, t] + (h @ r).reshape(len(x), 4, -1)).transpose(1, 0, 2)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        c = np.clip(c, -clip, clip) if clip > 0 else c
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h.astype(np.float32))
        cells.append(c)
    return outputs, cells


def cell_states(call: Call, x: Array) -> Array:
    return np.stack(float_states(call, x.astype(np.float64))[1], axis=1)


def settle(a: Attrs, most: float) -> Attrs:
    """As LiteRT's converter: the least power of two that holds the cell state; it saturates at 16, where tanh is 1.

    Not below 4: a finer step than 2^-13 would change nothing, and the fast kernel's table has no finer one.
    """
    bits = math.ceil(math.log2(most)) if most > 0 else 0
    return replace(a, cell_bits=min(max(bits, 2), 4))


def reference(call: Call, x: Array) -> tuple[Array, ...]:
    outputs = float_states(call, x.astype(np.float64))[0] if x.dtype == np.float32 else int8_states(call, x)
    return (np.stack(outputs, axis=1) if call.attrs.whole else outputs[-1],)


def macs(call: Call) -> int:
    return call.x.shape[0] * (call.inputs[1].size + call.inputs[2].size)


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def int8_constants(call: Call) -> tuple[Constant, ...]:
    w, r, b = (call.constant(i).astype(np.int64) for i in (1, 2, 3))
    start = np.stack([b - call.x.q.z * w.sum(axis=2), -call.y.q.z * r.sum(axis=2)], axis=2)
    return (
        Constant("weights", call.constant(1), "[gate][cell][in]"),
        Constant("recurrent", call.constant(2), "[gate][cell][cell]"),
        Constant("start", start.astype(np.int32), "[gate][cell]: where the sums of inputs and of states start"),
        Constant("scale", multipliers(call).astype(np.int32), "a gate: multiplier, shift of inputs, of states"),
    )


def source_bounds(call: Call) -> list[tuple[Array, Array]]:
    """Least and greatest of every sum [gate, cell] over inputs, bias in, and over states."""
    result = []
    for i, zero, b in ((1, call.x.q.z, call.constant(3).astype(np.int64)), (2, call.y.q.z, np.int64(0))):
        w = call.constant(i).astype(np.int64)
        up, down = np.maximum(w, 0).sum(axis=2), np.minimum(w, 0).sum(axis=2)
        low, high = up * (-128 - zero) + down * (127 - zero) + b, up * (127 - zero) + down * (-128 - zero) + b
        result.append((low, high))
    return result


def dsp_accepts(call: Call) -> bool:
    """Whether two cells share a halfword exactly, and every ratio of scales is below 1/2: a rounding shift to the right."""
    if call.x.dtype != "int8" or call.inputs[1].shape[1] % 2 or call.attrs.cell_bits < 2:
        return False
    weights_pair = min(call.constant(i).min() for i in (1, 2)) >= -127
    most = max(int(np.abs(edge).max()) for pair in source_bounds(call) for edge in pair)
    shifts = multipliers(call)[:, (1, 3)]
    output = -23 <= output_multiplier(call)[1] <= -1  # the zero point rides on the rounding constant
    return bool(weights_pair and 257 * most < 2**31 and shifts.max() <= -1 and shifts.min() >= -22 and output)


def in_stream(call: Call) -> Array:
    """int32, of two cells after the other: the input's starts and weights, then the state's, as lstm_dsp.h reads them."""
    start = int8_constants(call)[2].values.astype(np.int64)  # [gate, cell, source]
    parts = []
    for i, source in ((1, 0), (2, 1)):
        w = call.constant(i)
        gates, cell, n = w.shape
        words = in_pairs(np.pad(w, ((0, 0), (0, 0), (0, -n % 4))).reshape(gates * cell, -1))  # [gate * cell / 2, inputs / 2]
        ordered = words.reshape(gates, cell // 2, -1, 2).transpose(1, 2, 0, 3).reshape(cell // 2, -1)
        low, high = start[:, 0::2, source].T, start[:, 1::2, source].T
        parts += [wrap_int32(np.concatenate([256 * high + low, low], axis=1)).astype(np.int32), ordered]
    return np.concatenate(parts, axis=1)


def in_roundings(call: Call) -> Array:
    """int32 [source, gate, 5]: multiplier, half of the last place, right shift; the kernel keeps results in the others."""
    m = multipliers(call).reshape(4, 2, 2).transpose(1, 0, 2)
    right, none = -m[:, :, 1], np.zeros((2, 4), np.int64)
    return np.stack([m[:, :, 0], 1 << (right - 1), right, none, none], axis=2).astype(np.int32)


def dsp_constants(call: Call) -> tuple[Constant, ...]:
    note = "two cells after the other: of the input, of the state, where the sums start; weights [in / 4][gate][0 2, 1 3]"
    return (
        Constant("stream", in_stream(call), note),
        Constant("rounding", in_roundings(call), "of inputs, of states, a gate: multiplier, half, right shift, 2 for results"),
        Constant("curve", curve(), "2 / (1 + exp(-k / 2^12)) in 1/2^13: sigmoid and tanh of every LSTM", shared=True),
    )


def dsp_scratch(call: Call) -> int:
    n, cell = call.x.shape[1], call.inputs[1].shape[1]
    filled = cell + -cell % 4
    return 240 + 2 * filled + (n + 4 - n % 4 if n % 4 else 0) + (0 if call.attrs.whole else 2 * filled)


def float_constants(call: Call) -> tuple[Constant, ...]:
    notes = (("weights", "[gate][cell][in]"), ("recurrent", "[gate][cell][cell]"), ("bias", "[gate][cell]"))
    return tuple(Constant(name, call.constant(i), note) for i, (name, note) in enumerate(notes, 1))


def sizes(call: Call) -> str:
    (steps, n), cell = call.x.shape, call.inputs[1].shape[1]
    return f"/*steps, in, cell*/ {steps}, {n}, {cell}, /*every step*/ {int(call.attrs.whole)}"


def int8_arguments(call: Call) -> str:
    multiplier, shift = output_multiplier(call)
    return (
        f"{sizes(call)}, /*integer bits, clip*/ {call.attrs.cell_bits}, {clip_of(call)}, "
        f"/*multiplier*/ {multiplier}, {shift}, /*zero point*/ {call.y.q.z}"
    )


def float_arguments(call: Call) -> str:
    return f"{sizes(call)}, /*clip*/ {float_literal(call.attrs.cell_clip)}"


KERNELS = (
    Kernel(
        "puce_lstm_s8_dsp", "lstm_dsp.h", dsp_accepts, int8_arguments, dsp_constants,
        scratch=dsp_scratch, needs=frozenset({"dsp"}),
    ),
    Kernel(
        "puce_lstm_s8", "lstm.h", lambda call: call.x.dtype == "int8", int8_arguments, int8_constants,
        scratch=lambda call: 4 * call.inputs[1].shape[1],
    ),
    Kernel(
        "puce_lstm_f32", "lstm.h", lambda call: call.x.dtype == "float32", float_arguments, float_constants,
        scratch=lambda call: 12 * call.inputs[1].shape[1],
    ),
)  # fmt: skip


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def weights_fit(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The input must be a sequence [steps, in], with weights [4, cell, in], [4, cell, cell] and bias [4, cell]."
    x, w, r, b = inputs
    if len(x.shape) != 2 or len(w.shape) != 3:
        return False
    cell = w.shape[1]
    return w.shape == (4, cell, x.shape[1]) and r.shape == (4, cell, cell) and b.shape == (4, cell)


def cell_state_has_few_integer_bits(a: Attrs, inputs: Sequence[Tensor]) -> bool:
    "The cell state's scale must be a power of two from 2^-15 to 2^-11, and its clip not negative."
    return 0 <= a.cell_bits <= 4 and 0 <= a.cell_clip < math.inf


# ── file formats ──────────────────────────────────────────────────────────────────────────────────────────────────


def gate_tensors(t: Tensor, name: str) -> list[Tensor]:
    """One constant a gate of a stacked one."""
    assert t.data is not None
    q = [None] * 4 if t.quantization is None else [Quantization((s,)) for s in t.q.scale]
    return [Tensor.constant(f"{gate}_{name}", t.data[g], q[g]) for g, gate in enumerate(GATES)]


def file_constants(call: Call) -> tuple[Tensor, ...]:
    """The 24 inputs of TFLite's operator."""
    cell = call.inputs[1].shape[1]
    integer = call.x.dtype == "int8"
    h = Tensor.constant("output_state", np.zeros((1, cell), call.x.dtype), call.y.quantization)
    scale = Quantization((2.0 ** (call.attrs.cell_bits - 15),))
    c = Tensor.constant("cell_state", np.zeros((1, cell), "int16" if integer else "float32"), scale if integer else None)
    w, r, b = (gate_tensors(t, n) for t, n in zip(call.inputs[1:], ("weights", "recurrent", "bias"), strict=True))
    return (call.x, *w, *r, *[ABSENT] * 3, *b, *[ABSENT] * 2, h, c, *[ABSENT] * 4)


def intermediates(call: Call) -> tuple[Tensor, ...]:
    """Of the integer form: four that only a normalisation would use, and the scale of the hidden state."""
    if call.x.dtype == "float32":
        return ()
    gates = [Tensor(f"{g}_intermediate", (0,), "float32") for g in GATES]
    return (*gates, Tensor("hidden_intermediate", (0,), "int8", call.y.quantization))


def encode(call: Call) -> Mapping[str, Any]:
    return {
        "FusedActivationFunction": TANH, "CellClip": call.attrs.cell_clip, "ProjClip": 0.0, "TimeMajor": False,
        "AsymmetricQuantizeInputs": False,
    }  # fmt: skip


def stacked(name: str, parts: Sequence[Tensor]) -> Tensor:
    arrays = [t.data for t in parts if t.data is not None]
    scales = tuple(t.q.s for t in parts if t.quantization is not None)
    q = Quantization(scales, tuple(t.q.z for t in parts), 0) if len(scales) == 4 else None
    return Tensor.constant(name, np.stack(arrays), q)


def decode(options: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Attrs, tuple[Tensor, ...]]:
    """Inputs by place: x, 1-8 matrices, 12-15 biases, 18 and 19 states; in int8 the scale of the hidden state is 28."""
    x, y, name, integer = inputs[0], outputs[0], outputs[0].name, inputs[0].dtype == "int8"
    there = {i for i, t in enumerate(inputs) if t.name}
    rest = [inputs[i] for i in PLACES if i < len(inputs)]
    plain = {i for i in there if i < 24} == {0, *PLACES} and all(t.data is not None for t in rest)
    if not plain or options.TimeMajor() or options.FusedActivationFunction() != TANH:
        fact = "an LSTM with peepholes, projection, normalisation or coupled gates, or of another activation, is not computed."
        raise Unsupported(name, fact, "Use the LSTM layer of Keras as it is.")
    bits = 3
    if integer:
        (h, c), hidden = rest[12:], inputs[28]
        bits = round(15 + math.log2(c.q.s))
        if h.quantization != y.quantization or hidden.quantization != y.quantization or c.q.s != 2.0 ** (bits - 15):
            fact = "output, output state and hidden state must have one scale, the cell state one that is a power of two."
            raise Unsupported(name, fact, "Convert the model with TensorFlow's own int8 quantisation.")
        if any(t.q.z for t in rest[:8]):
            raise Unsupported(name, "its weights are not symmetric.", "Convert with TensorFlow's own int8 quantisation.")
    parts = (("weights", rest[:4]), ("recurrent", rest[4:8]), ("bias", rest[8:12]))
    constants = tuple(stacked(f"{name}/{part}", tensors) for part, tensors in parts)
    return Attrs(bits, float(options.CellClip())), (x, *constants)


def from_keras(layer: KerasLayer, inputs: Sequence[Tensor]) -> Imported:
    """Keras's matrices are [in, 4 * cell], gates in the same order."""
    config = layer.config
    words = config.get("activation", "tanh"), config.get("recurrent_activation", "sigmoid")
    if words != ("tanh", "sigmoid") or config.get("go_backwards") or config.get("stateful"):
        fact = f"an LSTM with the activations {words[0]} and {words[1]}, backwards or with a lasting state, is not computed."
        raise Unsupported(layer.name, fact, "Use LSTM(units) with Keras's own defaults.")
    kernel, recurrent, *rest = layer.weights
    cell = recurrent.shape[0]
    bias = rest[0] if rest else np.zeros(4 * cell, np.float32)
    w, r = (np.ascontiguousarray(m.T.reshape(4, cell, -1)) for m in (kernel, recurrent))
    a = Attrs(whole=bool(config.get("return_sequences")))
    return Imported(a, (("weights", w), ("recurrent", r), ("bias", bias.reshape(4, cell))))


# ── samples ───────────────────────────────────────────────────────────────────────────────────────────────────────


def samples(rng: np.random.Generator) -> Iterator[Call]:
    while True:
        kind = sampling.dtype(rng)
        steps, n, cell = sampling.integer(rng, 1, 7), sampling.integer(rng, 1, 20), sampling.integer(rng, 1, 12)
        x = sampling.activation(rng, "x", (steps, n), kind)
        clip = float(np.float32(rng.uniform(0.2, 10))) if rng.random() < 0.5 else 0.0
        a = Attrs(sampling.integer(rng, 0, 4) if kind == "int8" else 3, clip, rng.random() < 0.7)
        if kind == "float32":
            shapes = ("weights", (4, cell, n)), ("recurrent", (4, cell, cell)), ("bias", (4, cell))
            constants = [Tensor.constant(k, rng.normal(size=s).astype(np.float32)) for k, s in shapes]
            y = Tensor("y", (steps, cell) if a.whole else (cell,))
        else:
            w, r = (sampling.weights(rng, (4, cell, k), kind, 0) for k in (n, cell))
            w, r = (Tensor.constant(name, np.asarray(t.data), t.quantization) for name, t in (("weights", w), ("recurrent", r)))
            bias = rng.integers(-5000, 5001, (4, cell)).astype(np.int32)
            scales = tuple(float(np.float32(x.q.s * s)) for s in w.q.scale)
            constants = [w, r, Tensor.constant("bias", bias, Quantization(scales, (0,) * 4, 0))]
            q = Quantization((sampling.scale(rng, 0.004, 0.02),), (sampling.integer(rng, -20, 20),))
            y = Tensor("y", (steps, cell) if a.whole else (cell,), kind, q)
        yield Call(a, (x, *constants), (y,))


OP = register(Op(
    name="lstm",
    summary="LSTM over a sequence, from a state of zero: every step's output or the last one's.",
    infer=infer, reference=reference, windows=lambda call: (WHOLE,), samples=samples, kernels=KERNELS,
    formula=lambda call: "c = sigmoid(f) * c + sigmoid(i) * tanh(g), h = sigmoid(o) * tanh(c); i, f, g, o of in[t] and h",
    macs=macs, macc=macs,
    limits=(weights_fit, cell_state_has_few_integer_bits),
    rule=Rule("calibrated", weights=1, axis=0, bias=3, more=(2,), inner=Inner("cell state", cell_states, settle)),
    tflite=TfliteForm(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", "UnidirectionalSequenceLSTMOptions", encode, decode, file_constants,
        fits=lambda call: call.attrs.whole, variables=frozenset({18, 19}), intermediates=intermediates,
    ),
    keras={"LSTM": from_keras},
    onnx=("LSTM",),
))  # fmt: skip
