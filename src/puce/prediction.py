# SPDX-License-Identifier: Apache-2.0
"""Picture files -> classes, with the NumPy reference: exactly what the board would answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import passes
from .data import Preprocessing
from .data.preprocessing import fitted
from .errors import BadInput
from .ir import Array, Graph
from .quantized import ENCODINGS, decode, encode, quantized_preprocessing

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "WEBP", "TIFF")
PIXEL_LIMIT = 50_000_000


def read_picture(path: Path, shape: tuple[int, ...]) -> Array:
    """A picture as uint8 [h, w, c]: cropped at the centre and resized as in training, grey where c is 1, RGB where it is 3."""
    from PIL import Image, ImageOps

    h, w, c = shape
    try:
        with Image.open(path, formats=FORMATS) as picture:
            if picture.width * picture.height > PIXEL_LIMIT:
                raise BadInput(str(path), f"{picture.width}x{picture.height} pixels are too many.", "Give a smaller picture.")
            whole = np.asarray(ImageOps.exif_transpose(picture).convert("L" if c == 1 else "RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(
            str(path), f"this is not a picture that can be read ({error}).", f"Give one of: {', '.join(FORMATS)}."
        ) from error
    return fitted(whole.reshape(*whole.shape[:2], c), (h, w))


def predict_images(
    graph: Graph, images: Sequence[str | Path], classes: Sequence[str] | None, pixels: Preprocessing | None = None
) -> list[tuple[str, tuple[str, ...], tuple[float, ...], Array]]:
    """For each picture its name, the classes by falling probability, the probabilities, and uint8 [h, w, c] as it is seen.

    `pixels` is how they enter, where a run tells it; an integer input tells it by itself.
    """
    graph = passes.run(graph)
    x, y = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    if len(x.shape) != 3 or x.shape[2] not in (1, 3):
        raise BadInput(graph.name, f"its input {x.shape} is not a picture.", "predict works on networks that look at pictures.")
    names = tuple(classes) if classes else tuple(map(str, range(y.size)))
    if len(names) != y.size:
        raise BadInput("classes", f"{len(names)} names for {y.size} outputs.", "Give one name for each output, in order.")
    preprocessing = pixels or (ENCODINGS[0] if x.dtype == "float32" else quantized_preprocessing(x))
    pictures = np.stack([read_picture(Path(i), x.shape) for i in images])
    (raw,) = graph.evaluate(encode(pictures, preprocessing, x))
    results = []
    for image, scores, seen in zip(images, decode(raw, y).reshape(len(images), -1), pictures, strict=True):
        p = scores if scores.min() >= 0 and abs(scores.sum() - 1) < 0.05 else _softmax(scores)
        order = np.argsort(-p, kind="stable")
        results.append((str(image), tuple(names[i] for i in order), tuple(float(p[i]) for i in order), seen))
    return results


def _softmax(x: Array) -> Array:
    e: Array = np.exp(x - x.max())
    total: Array = e / e.sum()
    return total
