# SPDX-License-Identifier: Apache-2.0
"""A small model written by hand to the contract of puce_model.h, for tests of what builds and runs any model."""

from __future__ import annotations

from pathlib import Path

H, W = 8, 8
OUTPUTS = 10
WEIGHTS = (3, -5, 7, 11, -13, 17, 19, -23, 29, 31)

HEADER = """\
#include <stddef.h>
#include <stdint.h>
#define PUCE_MODEL_NAME "fake"
#define PUCE_MODEL_FINGERPRINT 0x12345678u
#define PUCE_MODEL_INPUT_BYTES 64
#define PUCE_MODEL_OUTPUT_BYTES 10
#define PUCE_MODEL_INPUT_TYPE 'b'
#define PUCE_MODEL_OUTPUT_TYPE 'b'
#define PUCE_MODEL_ROWS 8
#define PUCE_MODEL_ROW_BYTES 8
#define PUCE_MODEL_FED_BY_ROWS {fed_by_rows}
int8_t *fake_input(void);
const int8_t *fake_run(const int8_t *picture);
void fake_begin(void);
const int8_t *fake_feed_row(const int8_t *row);
static inline void *puce_model_input(void) {{ return fake_input(); }}
static inline const void *puce_model_run(void) {{ return fake_run(fake_input()); }}
static inline void puce_model_begin(void) {{ fake_begin(); }}
static inline const void *puce_model_feed_row(const void *row) {{ return fake_feed_row(row); }}
"""

SOURCE = """\
#include "puce_model.h"
static int8_t input[64] __attribute__((aligned(4)));
static int8_t outputs[10];
static int32_t rows[8] __attribute__((section(".puce_bank_{bank}")));
static const int8_t weights[10] = {{{weights}}};
static uint32_t fed;
int8_t *fake_input(void) {{ return input; }}
static __attribute__((noinline)) void layer_0(const int8_t *row, int32_t *sum) {{
    int32_t s = 0;
    for (int32_t i = 0; i < 8; i++) s += row[i] * (i + 1);
    *sum = s;
}}
static __attribute__((noinline)) void layer_1(void) {{
    for (int32_t i = 0; i < 10; i++) {{
        int32_t s = 0;
        for (int32_t r = 0; r < 8; r++) s += rows[r] * (weights[i] + r);
        outputs[i] = (int8_t)((s >> 3) & 127);
    }}
}}
void fake_begin(void) {{ fed = 0; }}
const int8_t *fake_feed_row(const int8_t *row) {{
    layer_0(row, &rows[fed]);
    if (++fed < 8) return NULL;
    layer_1();
    return outputs;
}}
const int8_t *fake_run(const int8_t *picture) {{
    const int8_t *found = NULL;
    fake_begin();
    for (int32_t r = 0; r < 8; r++) found = fake_feed_row(picture + 8 * r);
    return found;
}}
"""


def write(folder: Path, bank: str, *, fed_by_rows: bool = False) -> Path:
    """Write the model into a folder; return its one source. Its row sums lie in the named bank."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "puce_model.h").write_text(HEADER.format(fed_by_rows=int(fed_by_rows)))
    source = folder / "fake.c"
    source.write_text(SOURCE.format(bank=bank, weights=", ".join(map(str, WEIGHTS))))
    return source


def reference(picture: bytes) -> bytes:
    """What the model answers to an int8 picture."""
    x = [value - 256 if value > 127 else value for value in picture]
    rows = [sum(x[8 * r + i] * (i + 1) for i in range(8)) for r in range(8)]
    return bytes((sum(rows[r] * (weight + r) for r in range(8)) >> 3) & 127 for weight in WEIGHTS)
