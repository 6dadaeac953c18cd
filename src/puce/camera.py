# SPDX-License-Identifier: Apache-2.0
"""A model and a camera's frame -> the C between them, beside the model's own files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from . import passes
from .data import Preprocessing
from .data.preprocessing import Camera, Frame
from .emit.preprocess import camera_files
from .errors import BadInput
from .ir import Graph
from .quantized import encode, quantized_preprocessing
from .run import atomic


def camera_of(graph: Graph, frame: Frame, pixels: Preprocessing | None = None) -> Camera:
    """Declare the way from a frame to the graph's input: centre crop to its aspect, bilinear, the input's own table.

    `pixels` is how bytes enter the network, where a run tells it; the input's own range tells it else.
    Raise BadInput where the input is no int8 picture of one or three channels.
    """
    x = passes.run(graph).tensors[graph.inputs[0]]
    if x.dtype != "int8" or len(x.shape) != 3 or x.shape[2] not in (1, 3):
        fact = f"its input is {x.dtype} {list(x.shape)}, no int8 picture of 1 or 3 channels."
        raise BadInput(graph.name, fact, "Quantise it first: `puce quantize MODEL --data DATASET`.")
    h, w, c = x.shape
    every = np.arange(256, dtype=np.uint8)
    return Camera.centred(frame, (h, w, c), tuple(encode(every, pixels or quantized_preprocessing(x), x).tolist()))


def write_camera(graph: Graph, frame: str, folder: Path, name: str, pixels: Preprocessing | None = None) -> tuple[Path, ...]:
    """Write the camera's C files into a model's folder and return their paths; `frame` is FORMAT:WIDTHxHEIGHT."""
    files = camera_files(camera_of(graph, Frame.parse(frame), pixels), name)
    for file, text in files.items():
        with atomic(folder / file) as part:
            part.write_text(text, encoding="utf-8")
    return tuple(folder / file for file in files if "_camera" in file)
