# SPDX-License-Identifier: Apache-2.0
"""One picture file, judged by its content: decoded whole and upright, or the reason why it cannot be used."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM")
"""White list: Pillow also opens formats whose files can expand without bound (FITS, PDF, EPS)."""
PIXEL_LIMIT = 50_000_000
GREY_MODES = {"1", "L", "LA", "I;16"}


@dataclass(frozen=True, eq=False)
class Opened:
    """A decoded picture: `image` is a Pillow image in mode L or RGB; the rest says how the file held it.

    `coarseness` is the mean of a JPEG's first quantisation table (0 for other formats): it tells cameras and editors apart.
    """

    image: Any
    mode: str
    format: str
    coarseness: float

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.height, self.image.width


def open_picture(path: Path) -> Opened:
    """Decode a file. Raise ValueError, with the reason in words, where it cannot be used for training."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own pixel warning: our limit is lower and final
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > PIXEL_LIMIT:
                    raise ValueError(f"{image.width}x{image.height} pixels, more than {PIXEL_LIMIT // 1_000_000} million")
                if image.mode == "CMYK":
                    raise ValueError("CMYK, colours of print that no screen defines: save it as RGB")
                kind, mode, coarseness = str(image.format), image.mode, _coarseness(image)
                image.load()
                upright = ImageOps.exif_transpose(image)
                return Opened(upright.convert("L" if upright.mode in GREY_MODES else "RGB"), mode, kind, coarseness)
    except UnidentifiedImageError as error:
        raise ValueError(f"not a picture in {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"more than {PIXEL_LIMIT // 1_000_000} million pixels") from error
    except (OSError, SyntaxError, EOFError, MemoryError, IndexError, TypeError, OverflowError) as error:
        raise ValueError(f"broken picture ({error})") from error


def _coarseness(image: Any) -> float:
    tables = getattr(image, "quantization", None) or {}
    first = next(iter(tables.values()), ())
    return sum(first) / len(first) if len(first) else 0.0
