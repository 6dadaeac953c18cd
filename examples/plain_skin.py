# SPDX-License-Identifier: Apache-2.0
"""Make the set "melanoma or plain skin": the second class is cut from the corners of pictures of benign lesions.

python examples/plain_skin.py isic9-clean melanoma-or-skin
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

BENIGN = ("nevus", "pigmented benign keratosis", "dermatofibroma")
SIDE = 96


def main(source: Path, target: Path) -> None:
    for name in ("melanoma", "plain skin"):
        (target / name).mkdir(parents=True, exist_ok=True)
    for file in pictures(source, "melanoma"):
        save(Image.open(file), target / "melanoma" / file.name)
    for name in BENIGN:
        for file in pictures(source, name):
            corner = plainest_corner(Image.open(file).convert("RGB"))
            if corner is not None:
                save(corner, target / "plain skin" / f"{name} {file.name}")
    for name in ("melanoma", "plain skin"):
        print(f"{name}: {len(list((target / name).iterdir()))} pictures")


def pictures(source: Path, name: str) -> Iterator[Path]:
    """The files of a class, in any split."""
    return (file for file in sorted(source.rglob("*")) if file.parent.name == name and file.is_file())


def plainest_corner(picture: Image.Image) -> Image.Image | None:
    """A third of the picture's side, from the most even corner that is neither lesion nor the black rim of the lens."""
    w, h = picture.size
    third = min(w, h) // 3
    best, best_spread = None, 14.0
    for left in (0, w - third):
        for top in (0, h - third):
            corner = picture.crop((left, top, left + third, top + third))
            values = np.asarray(corner, np.float64)
            spread = values.std(axis=(0, 1)).max()
            if values.mean() > 110 and values.min() > 40 and spread < best_spread:
                best, best_spread = corner, spread
    return best


def save(picture: Image.Image, path: Path) -> None:
    """One size and one format for both classes, or the files themselves would tell them apart."""
    w, h = picture.size
    side = min(w, h)
    left, top = (w - side) // 2, (h - side) // 2
    square = picture.convert("RGB").crop((left, top, left + side, top + side))
    square.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(path.with_suffix(".png"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    main(arguments.source, arguments.target)
