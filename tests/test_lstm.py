# SPDX-License-Identifier: Apache-2.0
"""The LSTM from float32 to a verified core: quantisation, the .tflite file, the table of its activations.

Truths: NumPy reference, C on the emulated core; outside witness: LiteRT's reference kernels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import puce
from puce import boards, passes
from puce.build import build_firmware
from puce.device import Emulator
from puce.export.tflite import to_bytes
from puce.fixedpoint import dequantize
from puce.fixedpoint import quantize as quantize_array
from puce.frontends import load
from puce.ir import Array, Graph, Tensor
from puce.ops import make
from puce.ops._words import CURVE, curve, curves
from puce.ops.dense import Attrs as Dense
from puce.ops.lstm import Attrs, settle
from puce.passes.last_step import SpellOutLastStep
from puce.quantize import calibrate, to_int8
from puce.quantize.calibrate import inner_name


def network(cells: int = 12, gain: float = 1.0) -> Graph:
    """[9, 6] -> an LSTM with every step, one with the last, four answers."""
    rng = np.random.default_rng(4)
    tensors = {"x": Tensor("x", (9, 6))}
    nodes = []

    def add(op: str, name: str, x: str, attrs: Attrs | Dense, shape: tuple[int, ...], *constants: tuple[int, ...]) -> str:
        names = [f"{name}/{i}" for i in range(len(constants))]
        for n, c in zip(names, constants, strict=True):
            tensors[n] = Tensor.constant(n, (gain * rng.normal(size=c) / np.sqrt(c[-1])).astype(np.float32))
        tensors[name] = Tensor(name, shape)
        nodes.append(make(op, name, (x, *names), (name,), attrs))
        return name

    y = add("lstm", "first", "x", Attrs(), (9, cells), (4, cells, 6), (4, cells, cells), (4, cells))
    y = add("lstm", "second", y, Attrs(whole=False), (8,), (4, 8, cells), (4, 8, 8), (4, 8))
    y = add("dense", "answer", y, Dense(), (4,), (4, 8), (4,))
    return Graph(tuple(nodes), tensors, ("x",), (y,), "network")


def sequences(count: int) -> Array:
    return np.random.default_rng(5).normal(size=(count, 9, 6)).astype(np.float32)


def int8_network(graph: Graph) -> Graph:
    graph = passes.run(graph)
    return to_int8(graph, calibrate(graph, sequences(64)))


def test_the_rules_of_the_specification() -> None:
    graph = passes.run(network())
    ranges = calibrate(graph, sequences(64))
    int8 = to_int8(graph, ranges)
    first = int8.nodes[0]
    x, w, r, b = int8.call(first).inputs
    assert (w.dtype, r.dtype, b.dtype) == ("int8", "int8", "int32")
    for t in (w, r):
        assert (t.q.axis, len(t.q.scale), set(t.q.zero_point)) == (0, 4, {0}), "one scale a gate"
        assert t.data is not None
        assert [int(np.abs(gate).max()) for gate in t.data] == [127] * 4
    assert b.q.scale == tuple(float(np.float32(x.q.s * s)) for s in w.q.scale)
    cells = ranges[inner_name(first)]
    most = max(-cells.low, cells.high)
    assert 0 < most <= 2.0**first.attrs.cell_bits, "the cell state fits its power of two"


@pytest.mark.parametrize(("most", "bits"), [(0.0, 2), (0.7, 2), (4.0, 2), (4.1, 3), (8.0, 3), (9.0, 4), (27.0, 4)])
def test_the_cell_state_has_the_least_power_of_two_within_limits(most: float, bits: int) -> None:
    assert settle(Attrs(), most).cell_bits == bits


def test_int8_stays_near_float() -> None:
    graph, x = network(), sequences(200)
    int8 = int8_network(graph)
    (wanted,) = graph.evaluate(x)
    got = dequantize(int8.evaluate(quantize_array(x, int8.tensors["x"]))[0], int8.tensors["answer"])
    assert float(np.abs(got - wanted).mean()) < 0.01 * float(np.abs(wanted).max())


@pytest.mark.parametrize(("cells", "gain"), [(12, 1.0), (7, 1.0), (12, 4.0)], ids=["plain", "odd cells", "saturating gates"])
def test_litert_gives_the_same_bytes(cells: int, gain: float, tmp_path: Path) -> None:
    """Its kernels keep the state from one inference to the next until they are told not to."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    int8 = int8_network(network(cells, gain))
    file = tmp_path / "network.tflite"
    file.write_bytes(to_bytes(int8))
    interpreter = Interpreter(str(file), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    q = quantize_array(sequences(100), int8.tensors["x"])
    (wanted,) = int8.evaluate(q)
    for x, y in zip(q, wanted, strict=True):
        interpreter.reset_all_variables()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x[None])
        interpreter.invoke()
        np.testing.assert_array_equal(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0], y)
    read = passes.run(passes.run(load(file).graph), passes.LOWERING)
    assert [(n.op.name, getattr(n.attrs, "whole", None)) for n in read.nodes] == [
        ("lstm", True), ("lstm", False), ("dense", None),
    ]  # fmt: skip
    np.testing.assert_array_equal(read.evaluate(q)[0], wanted)


def test_a_last_step_that_others_share_stays_a_slice() -> None:
    graph = SpellOutLastStep()(network())
    shared = Graph(graph.nodes, graph.tensors, graph.inputs, (*graph.outputs, graph.nodes[1].outputs[0]), "shared")
    for g, slices in ((graph, 0), (shared, 1)):
        lowered = passes.run(g, passes.LOWERING)
        assert sum(n.op.name == "slice" for n in lowered.nodes) == slices
        for before, after in zip(g.evaluate(sequences(3)), lowered.evaluate(sequences(3)), strict=True):
            np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_the_table_of_activations_is_exact_for_every_word(bits: int) -> None:
    words = np.arange(-32768, 32768)
    sigmoid, tanh = curves(bits)
    table, size = curve().astype(np.int64), np.abs(words)
    once = np.minimum(2 * table[size], 32767)
    np.testing.assert_array_equal(np.where(words >= 0, once, 32767 - once), sigmoid)
    twice = np.minimum(4 * (table[np.minimum(size << (bits - 2), CURVE)] - 8192), 32767)
    np.testing.assert_array_equal(np.sign(words) * twice, tanh)


KERNELS = Path(puce.__file__).parent / "kernels"
EVERY_WORD = """#include "lstm_dsp.h"
{table}
int differences(void);
int planted(void);
int differences(void)
{{
    int found = 0;
    for (int a = -32768; a < 32768; a++) {{
        found += puce_lstm_sigmoid_of(a, curve) != puce_sigmoid16(a);
        found += puce_lstm_tanh_of(a, curve, 0) != puce_tanh16(a, 2);
        found += puce_lstm_tanh_of(a, curve, 1) != puce_tanh16(a, 3);
        found += puce_lstm_tanh_of(a, curve, 2) != puce_tanh16(a, 4);
    }}
    return found;
}}
int planted(void)
{{
    return puce_lstm_sigmoid_of(4096, curve + 1) != puce_sigmoid16(4096);
}}
"""
GLUE = """#define PUCE_MODEL_NAME "words"
#define PUCE_MODEL_FINGERPRINT 0u
#define PUCE_MODEL_INPUT_BYTES 4
#define PUCE_MODEL_OUTPUT_BYTES 4
#define PUCE_MODEL_INPUT_TYPE 'b'
#define PUCE_MODEL_OUTPUT_TYPE 'b'
#define PUCE_MODEL_ROWS 1
#define PUCE_MODEL_ROW_BYTES 4
#define PUCE_MODEL_FED_BY_ROWS 0
static int memory;
static inline void *puce_model_input(void) { return &memory; }
static inline const void *puce_model_run(void) { return &memory; }
"""


def test_the_assembly_of_activations_is_exact_for_every_word(tmp_path: Path) -> None:
    """As C on the emulated core computes them without a table."""
    values = ", ".join(map(str, curve().tolist()))
    source = tmp_path / "every_word.c"
    table = f"static const int16_t curve[{CURVE + 1}] = {{{values}}};"
    source.write_text(EVERY_WORD.format(table=table), encoding="utf-8")
    (tmp_path / "puce_model.h").write_text(GLUE, encoding="utf-8")
    board = boards.load("stm32l4r9i-disco")
    firmware = build_firmware(
        [source], [tmp_path, KERNELS], board, tmp_path / "every_word.elf", stack_bytes=1024, keep=("differences", "planted")
    )
    with Emulator(firmware.elf, board) as device:
        assert device.call("planted") == 1, "a word that differs is counted"
        assert device.call("differences") == 0
