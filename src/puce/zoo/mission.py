# SPDX-License-Identifier: Apache-2.0
"""The CIFAR-10 network that students put on an STM32L4R9, and its descendants: convolution pairs, pooling, dense head."""

from __future__ import annotations

from ._plan import Plan, builders, pairs

_SIX = pairs((32, 32, 64, 64, 128, 128), 0.25, (2, 4, 5, 6))
PLANS = {
    "base": Plan(_SIX, ((1024, 0.3), (512, 0.3)), flatten=True),
    "model-1": Plan(_SIX, ((1024, 0.3), (512, 0.3))),
    "model-2": Plan(pairs((32, 32, 64, 64), 0.25, (2, 4)), ((512, 0.3),)),
    "model-2-1": Plan(pairs((32, 32, 64, 64), 0.2, (2, 4)), ((512, 0.2),)),
    "model-2-2": Plan(pairs((32, 32, 32, 32), 0.15, (2, 3, 4)), ((256, 0.15),)),
    "model-3": Plan(pairs((16, 16, 32, 32), 0.1, (2, 4)), ((128, 0.1),)),
    "model-3-1": Plan(pairs((16, 16, 16, 16), 0.05, (2, 4)), ((128, 0.06),)),
}
MODELS = builders(PLANS, "The mission's {}: {} convolutions, made for 32x32x3.")
