# SPDX-License-Identifier: Apache-2.0
"""Arguments and options that several verbs share, each worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

DatasetName = Annotated[
    str,
    typer.Argument(
        metavar="DATASET",
        show_default=False,
        help="A name (`puce data list`), a folder with one sub-folder a class, a zip of one, or a CSV list (file,label).",
    ),
]
ModelFile = Annotated[
    str, typer.Argument(metavar="MODEL", show_default=False, help="A .keras, .h5 or .tflite file, or a run folder.")
]
BoardName = Annotated[
    str, typer.Option("--board", "-b", metavar="BOARD", show_default=False, help="A board of `puce boards`, or your own .toml.")
]
OptionalBoard = Annotated[
    str | None,
    typer.Option("--board", "-b", metavar="BOARD", show_default=False, help="A board of `puce boards`, or your own .toml."),
]
RunsFolder = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder that gets the run's folder.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the last run of this kind that was cut off.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the weights and of the order of the pictures.")]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="DIR", show_default=False, help="A folder with local copies of data sets; else PUCE_DATA."
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="PATTERN",
        show_default=False,
        help="Pictures whose names agree in what this matches (a patient, a burst) stay in one split.",
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        "--size", metavar="N", show_default=False, help="Pictures in files become NxN (or HxW): centre crop, then resize."
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        "--classes",
        metavar="LIST",
        show_default=False,
        help='Choose and merge folders: "melanoma, benign=nevus+dermatofibroma".',
    ),
]
HeldOut = Annotated[
    float | None,
    typer.Option(
        "--held-out",
        metavar="SHARE",
        show_default=False,
        help="Split anew, by class: this share for the test, as many pictures for validation.",
    ),
]
Warning_ = Annotated[
    str,
    typer.Option(
        "--warning", metavar="TEXT", show_default=False, help="What users of the network must read: in report and C header."
    ),
]
Reject = Annotated[
    float | None,
    typer.Option(
        "--reject", metavar="P", show_default=False, help="Below this probability: not recognised; in the C as _decide()."
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        show_default=False,
        help="Start from these but for the last layer: a .h5, .keras or run folder, or imagenet.",
    ),
]
Alpha = Annotated[float | None, typer.Option("--alpha", metavar="X", show_default=False, help="Width of a MobileNet: 0.25.")]
Balance = Annotated[
    bool | None, typer.Option("--balance", metavar="", show_default=False, help="Weigh pictures by the rarity of their class.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else, on standard output.")]
Epochs = Annotated[
    int | None, typer.Option("--epochs", metavar="N", min=1, show_default=False, help="At most so many; else 60.")
]
Optimize = Annotated[
    Literal["speed", "balanced", "ram", "flash"],
    typer.Option("--optimize", "-O", help="What the kernels are chosen for; `puce analyze --why` shows the choice."),
]
FedByRows = Annotated[bool, typer.Option("--fed-by-rows", help="Take the picture row by row, as a camera gives it: less RAM.")]
TestCount = Annotated[
    int | None,
    typer.Option("--count", "-n", metavar="N", min=1, show_default=False, help="The first N test pictures; else all."),
]
