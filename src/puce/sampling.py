# SPDX-License-Identifier: Apache-2.0
"""Random tensors for operators' samples: small, quantised as real ones are, never degenerate by accident."""

from __future__ import annotations

import numpy as np

from .activation import Activation
from .ir import DType, Quantization, Tensor

Rng = np.random.Generator


def integer(rng: Rng, low: int, high: int) -> int:
    """Uniform in low .. high, both included."""
    return int(rng.integers(low, high + 1))


def dtype(rng: Rng) -> DType:
    return "int8" if rng.random() < 0.7 else "float32"


def fused(rng: Rng) -> Activation:
    options: tuple[Activation, ...] = ("none", "relu", "relu6")
    return options[integer(rng, 0, 2)]


def scale(rng: Rng, low: float = 0.003, high: float = 0.3) -> float:
    """A float32 scale, log-uniform."""
    return float(np.float32(np.exp(rng.uniform(np.log(low), np.log(high)))))


def quantization(rng: Rng) -> Quantization:
    return Quantization((scale(rng),), (integer(rng, -128, 127),))


def activation(rng: Rng, name: str, shape: tuple[int, ...], kind: DType) -> Tensor:
    """A tensor to be computed: int8 ones are quantised."""
    return Tensor(name, shape, kind, quantization(rng) if kind != "float32" else None)


def weights(rng: Rng, shape: tuple[int, ...], kind: DType, axis: int | None) -> Tensor:
    """Constant weights: float normal, or symmetric int8 with one scale per slice along `axis`, some slices all zero."""
    if kind == "float32":
        return Tensor.constant("w", rng.normal(size=shape).astype(np.float32))
    n = 1 if axis is None else shape[axis]
    data = rng.integers(-127, 128, shape).astype(np.int8)
    if axis is not None and rng.random() < 0.2:
        np.moveaxis(data, axis, 0)[integer(rng, 0, n - 1)] = 0
    return Tensor.constant("w", data, Quantization(tuple(scale(rng, 0.001, 0.1) for _ in range(n)), (0,) * n, axis))


def sometimes_wide(rng: Rng, w: Tensor) -> Tensor:
    """Now and then, int8 weights become int16: those of old uint8 networks, less their zero point."""
    if w.dtype != "int8" or w.data is None or rng.random() > 0.25:
        return w
    return Tensor.constant(w.name, (2 * w.data.astype(np.int16) - 1).clip(-255, 255), w.quantization)


def bias(rng: Rng, n: int, x: Tensor, w: Tensor) -> Tensor:
    """A bias of `n` values: float, or int32 with scale x * w."""
    if x.dtype == "float32":
        return Tensor.constant("b", rng.normal(size=n).astype(np.float32))
    scales = tuple(float(np.float32(x.q.s * s)) for s in w.q.scale)
    data = rng.integers(-5000, 5001, n).astype(np.int32)
    return Tensor.constant("b", data, Quantization(scales, (0,) * len(scales), 0 if len(scales) > 1 else None))


def spread(rng: Rng, x: Tensor, w: Tensor, taps: int) -> Quantization:
    """An output quantisation under which a sum of `taps` products neither saturates always nor vanishes."""
    typical = x.q.s * float(np.median(w.q.scale)) * 73 * 73 * np.sqrt(taps)
    return Quantization((float(np.float32(typical / 40 * np.exp(rng.uniform(-1, 1)))),), (integer(rng, -128, 127),))


def anything(rng: Rng, name: str, shape: tuple[int, ...], kinds: tuple[DType, ...]) -> Tensor:
    """A tensor to be computed, of any of these types; the first and the second are the most frequent."""
    i = integer(rng, 0, 1) if rng.random() < 0.6 else integer(rng, 0, len(kinds) - 1)
    kind = kinds[i]
    if kind in ("float32", "int32"):
        return Tensor(name, shape, kind)
    if kind == "int16":
        return Tensor(name, shape, kind, Quantization((scale(rng),), (0,)))
    return Tensor(name, shape, kind, Quantization((scale(rng),), (integer(rng, 0, 255) - (128 if kind == "int8" else 0),)))
