# SPDX-License-Identifier: Apache-2.0
"""The exponential, exp(x) - 1 and the inverse root of the float kernels against double precision, over their whole range.

Level: C on this computer.
"""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from puce.build import build_library
from puce.ir import Array

UNITS = 2.0  # in the last place, of a float32

SOURCE = """#include "exp.h"
void run(const float *x, float *y, int n);
void run(const float *x, float *y, int n)
{
    for (int i = 0; i < n; i++) y[i] = FUNCTION(x[i]);
}
"""

CASES: dict[str, tuple[Callable[[Array], Array], Array]] = {
    "puce_exp_f32": (np.exp, np.linspace(-87.3, 88.7, 400_001)),
    "puce_expm1_f32": (np.expm1, np.concatenate([np.linspace(-20, 80, 200_001), np.linspace(-1, 1, 200_001)])),
    "puce_inverse_root": (lambda x: 1 / np.sqrt(x), np.exp(np.linspace(-86, 88, 400_001))),
}


def compute(function: str, x: Array, folder: Path) -> Array:
    for name in ("exp.h", "puce_kernel.h"):
        with resources.as_file(resources.files("puce") / "kernels" / name) as header:
            shutil.copy(header, folder)
    source = folder / "exp_case.c"
    source.write_text(SOURCE.replace("FUNCTION", function))
    library = ctypes.CDLL(str(build_library([source], folder, folder / "exp_case.so", sanitize=True)))
    y = np.zeros_like(x)
    library.run(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data), ctypes.c_int(len(x)))
    return y


@pytest.mark.parametrize("function", CASES)
def test_error_is_within_two_units_in_the_last_place(function: str, tmp_path: Path) -> None:
    truth, points = CASES[function]
    x = points.astype(np.float32)
    y = compute(function, x, tmp_path)
    want = truth(x.astype(np.float64))
    error = np.abs(y - want) / np.spacing(np.abs(want).astype(np.float32))
    assert error.max() <= UNITS, (x[error.argmax()], error.max())


def test_ends_of_the_range_are_those_of_expf(tmp_path: Path) -> None:
    x = np.array([0, -0.0, 88.7, 89, 1e30, np.inf, -100, -104, -1e30, -np.inf, np.nan], np.float32)
    y = compute("puce_exp_f32", x, tmp_path)
    assert np.array_equal(y[[0, 1, 3, 4, 5, 7, 8, 9]], np.array([1, 1, np.inf, np.inf, np.inf, 0, 0, 0], np.float32))
    assert np.isfinite(y[2]) and 0 < y[6] < 1e-43 and np.isnan(y[10])
