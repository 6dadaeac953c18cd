# SPDX-License-Identifier: Apache-2.0
"""The log of fourteen CIFAR-10 variants: each has exactly the parameter count of the log, for 32x32x3 and ten classes.

Where the log does not give the whole structure it was searched for; docs/mission.md says how, and which are not the
only ones with that count. The log gives no dropout: 0.25 in front of each pooling is the base network's.
"""

from __future__ import annotations

from dataclasses import replace

from ._plan import Plan, builders, groups

_D = 0.25
_SIX = groups((32, 32), (64, 64), (128, 128))
PLANS = {
    "variant-0": Plan((*_SIX[:-1], replace(_SIX[-1], normalised=False)), ((1024, _D), (512, _D)), flatten=True),
    "variant-1": Plan(groups((32, 32), (64, 64)), flatten=True),
    "variant-2": Plan(groups((32, 32), (32, 32)), flatten=True),
    "variant-3": Plan(groups((32, 32), (32, 32), normalised="block"), ((64, _D),), flatten=True),
    "variant-4": Plan(groups((16, 16), (32, 32), normalised="block"), ((256, _D), (64, _D))),
    "variant-5": Plan(_SIX, ((128, _D),), flatten=True),
    "variant-6": Plan(
        groups((32, 32), (64, 64), (128, 128), (256, 256), normalised="block"),
        ((32, 0.0), (32, 0.0)),
        flatten=True,
        dense_normalised=True,
    ),
    "variant-7": Plan(groups((16, 16), (32, 32), (64, 64), (128, 128)), ((128, _D),), dense_normalised=True),
    "variant-8": Plan(groups((32,) * 3, (32,) * 3, (96,) * 3, (144,) * 3), ((32, 0.0),)),
    "variant-9": Plan(groups((32, 48, 64), (56, 80, 104), (104, 104, 208), normalised="none"), ((128, _D),)),
    "variant-10": Plan(groups((16, 40), (24, 40), (36, 64), normalised="none")),
    "variant-11": Plan(groups((32, 64), (32, 64), (40, 88), normalised="none"), ((128, _D), (128, _D))),
    "variant-12": Plan(groups((16, 32), (24, 40), (80, 112), normalised="none")),
    "variant-13": Plan(groups((16, 24, 32), (24, 32, 40), (24, 40, 56)), ((128, _D),), flatten=True),
}
MODELS = builders(PLANS, "The log's {}: {} convolutions, made for 32x32x3.")
