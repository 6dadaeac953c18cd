# SPDX-License-Identifier: Apache-2.0
"""A camera's bytes to a network's input, as C: the declared crop, resize and table, fed row by row or by whole frames."""

from __future__ import annotations

import numpy as np

from .. import __version__
from ..data.preprocessing import Camera
from ..ir import Array
from .model import kernel_files
from .names import identifier
from .tables import plain, table

HEADER = "preprocess.h"


def camera_files(camera: Camera, name: str) -> dict[str, str]:
    """Write NAME_camera.h, NAME_camera.c, a self-test for the target, and the kernel headers that they include.

    The C equals `camera.apply` byte for byte, in integers alone. It keeps as many resized rows as one row of the input
    needs, so that a frame is never whole in RAM.
    """
    name = identifier(name, "model")
    files = {
        f"{name}_camera.h": _header(camera, name),
        f"{name}_camera.c": _source(camera, name),
        f"{name}_camera_self_test.c": _self_test(camera, name),
    }
    return files | kernel_files({HEADER})


def ram_bytes(camera: Camera) -> int:
    """Static bytes: the line, the ring of resized rows, and two counters."""
    w, c = camera.shape[1:]
    return camera.box.width * c + camera.rows.count * w * c + 8


def _way(camera: Camera) -> str:
    f, b, (h, w, c) = camera.frame, camera.box, camera.shape
    crop = f"crop {b.width}x{b.height} at column {b.left}, row {b.top}"
    return f"{f.format} {f.width}x{f.height} -> {'grey' if c == 1 else 'RGB'} -> {crop} -> bilinear {w}x{h} -> int8 by table"


def _header(camera: Camera, name: str) -> str:
    u, f, (h, w, c) = name.upper(), camera.frame, camera.shape
    return "\n".join([
        f"/* {name}_camera.h: from the camera to the input of {name}, made by puce {__version__}. Do not edit.",
        plain(f"   {_way(camera)}."),
        f"   RAM {ram_bytes(camera)} bytes, static; not re-entrant. */",
        f"#ifndef {u}_CAMERA_H", f"#define {u}_CAMERA_H", "", "#include <stdint.h>", "",
        f"#define {u}_CAMERA_ROWS {f.height}",
        f"#define {u}_CAMERA_ROW_BYTES {f.row_bytes}",
        f"#define {u}_CAMERA_INPUT_ROWS {h}",
        f"#define {u}_CAMERA_INPUT_ROW_BYTES {w * c}", "",
        "#ifdef __cplusplus", 'extern "C" {', "#endif", "",
        f"/* A whole frame, {f.height} rows of {f.row_bytes} bytes, to the whole input, [{h}, {w}, {c}]. */",
        f"void {name}_from_camera(const uint8_t *frame, int8_t *input);", "",
        "/* The same as the rows arrive: begin(); then push() each row from the top, and after each push pull() until it",
        "   returns 0. A row may be overwritten after its push. Each pull that returns 1 has written one row of the input. */",
        f"void {name}_camera_begin(void);",
        f"void {name}_camera_push(const uint8_t *row);",
        f"int {name}_camera_pull(int8_t *row);", "",
        f"/* In {name}_camera_self_test.c: a made-up frame gives the bytes that puce's Python gives: 0 when it does. */",
        f"int {name}_camera_self_test(void);", "",
        "#ifdef __cplusplus", "}", "#endif", "#endif", "",
    ])  # fmt: skip


def _source(camera: Camera, name: str) -> str:
    f, b, (h, w, c) = camera.frame, camera.box, camera.shape
    columns, rows = camera.columns, camera.rows
    values = np.array(camera.table, np.int8)
    tables = [
        table("first_column", columns.first, f"column i of the input begins at this column of the crop, {columns.count} taps"),
        table("column_weights", columns.weights, f"[{w}, {columns.count}], over 2^22"),
        table("first_row", rows.first, f"row i of the input begins at this row of the crop, {rows.count} taps"),
        table("row_weights", rows.weights, f"[{h}, {rows.count}], over 2^22"),
        table("value", values, "the int8 input for each byte"),
    ]
    return (
        f"/* {name}_camera.c: made by puce {__version__}. Do not edit: the same declaration gives the same file.\n"
        f"{plain(f'   {_way(camera)}.')} */\n"
        f'#include "{name}_camera.h"\n#include "{HEADER}"\n\n'
        + "\n".join(tables)
        + f"""
static uint8_t line[{b.width * c}];              /* the crop of one camera row: [{b.width}, {c}] */
static uint8_t ring[{rows.count * w * c}];              /* the last {rows.count} rows, resized: [{rows.count}, {w}, {c}] */
static int32_t pushed, pulled;

void {name}_camera_begin(void)
{{
    pushed = pulled = 0;
}}

void {name}_camera_push(const uint8_t *row)
{{
    const int32_t y = pushed++ - {b.top}; /* the row of the crop */
    if (y < 0 || y >= {b.height}) return;
    {_pixels(camera)}
    puce_resize_columns(line, ring + y % {rows.count} * {w * c}, {w}, {c}, {columns.count}, first_column, column_weights);
}}

int {name}_camera_pull(int8_t *row)
{{
    if (pulled == {h} || first_row[pulled] + {rows.count} > pushed - {b.top}) return 0;
    puce_resize_rows(ring, row, {w * c}, {rows.count}, first_row[pulled], row_weights + {rows.count} * pulled, value);
    pulled++;
    return 1;
}}

void {name}_from_camera(const uint8_t *frame, int8_t *input)
{{
    {name}_camera_begin();
    for (int y = 0; y < {f.height}; y++) {{
        {name}_camera_push(frame + y * {f.row_bytes});
        while ({name}_camera_pull(input)) input += {w * c};
    }}
}}
"""
    )


def _pixels(camera: Camera) -> str:
    f, b, c = camera.frame, camera.box, camera.shape[2]
    where = f"row, line, {b.left}, {b.width}, {c}"
    return {
        "grey": f"puce_pixels_grey({where});",
        "rgb888": f"puce_pixels_rgb888({where});",
        "rgb565": f"puce_pixels_rgb565({where}, 1);",
        "rgb565be": f"puce_pixels_rgb565({where}, 0);",
        "yuyv": f"puce_pixels_yuv422({where}, 0);",
        "uyvy": f"puce_pixels_yuv422({where}, 1);",
    }[f.format]


def noise(count: int) -> Array:
    """The bytes of the self-test's frame: the high byte of x -> 1664525 x + 1013904223 (Knuth; Numerical Recipes), from 1."""
    state, values = 1, np.empty(count, np.uint8)
    for i in range(count):
        state = (1664525 * state + 1013904223) & 0xFFFFFFFF
        values[i] = state >> 24
    return values


def digest(values: Array) -> int:
    """FNV-1a with 32 bits, over bytes."""
    h = 2166136261
    for byte in values.tobytes():
        h = (h ^ byte) * 16777619 & 0xFFFFFFFF
    return h


def _self_test(camera: Camera, name: str) -> str:
    f, (h, w, c) = camera.frame, camera.shape
    expected = digest(camera.apply(noise(f.height * f.row_bytes)[None]))
    return f"""/* {name}_camera_self_test.c: a frame of noise, row by row, and the FNV-1a of the input that it must give. */
#include "{name}_camera.h"

int {name}_camera_self_test(void)
{{
    static uint8_t row[{f.row_bytes}];
    static int8_t input[{w * c}];
    uint32_t state = 1u, digest = 2166136261u;
    int rows = 0;
    {name}_camera_begin();
    for (int y = 0; y < {f.height}; y++) {{
        for (int i = 0; i < {f.row_bytes}; i++) {{
            state = 1664525u * state + 1013904223u;
            row[i] = (uint8_t)(state >> 24);
        }}
        {name}_camera_push(row);
        while ({name}_camera_pull(input)) {{
            for (int i = 0; i < {w * c}; i++) digest = (digest ^ (uint8_t)input[i]) * 16777619u;
            rows++;
        }}
    }}
    return rows == {h} && digest == 0x{expected:08x}u ? 0 : 1;
}}
"""
