# SPDX-License-Identifier: Apache-2.0
"""The sets that have a name: digits travels in the package, the others come from a copy or their official address."""

from __future__ import annotations

import hashlib
import zipfile
from importlib import resources
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from .dataset import Dataset
from .download import Source, cache, download, local, renamed_when_whole
from .official import REMEDY, idx, records
from .splits import stratified

Array = np.ndarray[Any, np.dtype[Any]]

# The checksum that Keras's own loader publishes.
MNIST = Source(
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    11_490_434,
)
# The binary version on purpose: the Python version is pickles, and those execute.
CIFAR10 = Source(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    170_052_171,
)
# Its page publishes MD5 alone.
CIFAR100 = Source("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", 168_513_733)
# Addresses and MD5 are those of the set's own README (Zalando Research).
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_MNIST = (
    Source(f"{_FASHION}train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
    Source(f"{_FASHION}train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe", 29_515),
    Source(f"{_FASHION}t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79", 4_422_102),
    Source(f"{_FASHION}t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310", 5_148),
)
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_TEST_SHA256 = {
    "da362006b99671213d1a5d856cab2bedf64d40bad4501630ee60f4ceb2d3ec7f": ("CIFAR-10 (Krizhevsky 2009), the official pictures."),
    "d37f658b9d9e3bc6856342ce28feb9b646f4b82ddc848ba11d94f8e699afe800": (
        "JPEG CIFAR-10, quality 75 (about 30 dB): networks trained on the original pictures lose 10 to 12 points on it."
    ),
}
"""By the SHA-256 of the first 1 000 test pictures."""

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard",
    "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum",
    "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
)  # fmt: skip

VALIDATION_FRACTION = 0.1


def digits(data_dir: Path | None = None) -> Dataset:
    """scikit-learn's 1 797 handwritten digits, 8x8x1, split 70/10/20.

    A raw value is the count of set pixels in a 4x4 block, 0 to 16. It becomes round(v * 255 / 16): one to one, and 0
    and 16 fall on the ends of uint8, so that the same preprocessing serves as for any camera picture.
    """
    with np.load(BytesIO((resources.files("puce") / "data" / "digits.npz").read_bytes())) as file:
        x = np.rint(file["images"][..., None] * (255 / 16)).astype(np.uint8)
        y = file["labels"].astype(np.int64)
    test, validation, train = stratified(y, (ceil(0.2 * len(y)), ceil(0.1 * len(y))))
    return Dataset(
        "digits",
        tuple(str(k) for k in range(10)),
        *(x[train], y[train]),
        *(x[validation], y[validation]),
        *(x[test], y[test]),
        notes=(
            "Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, UCI, CC BY 4.0), as in scikit-learn.",
            "Split 70/10/20 by class with a fixed seed; values 0..16 spread to 0..255.",
        ),
    )


def mnist(data_dir: Path | None = None) -> Dataset:
    """The 70 000 digits of LeCun, Cortes and Burges, 28x28x1: official test set, a tenth of training for validation."""
    arrays = _four_files("mnist", data_dir) or _official(
        local("mnist.npz", data_dir) or download(MNIST, (data_dir or cache()) / "mnist.npz", "mnist.npz, 11 MB", data_dir),
        *_IDX_SHAPES,
    )
    note = "MNIST (LeCun, Cortes, Burges; CC BY-SA 3.0); official test set, validation is a tenth of training."
    return _with_validation("mnist", tuple(str(k) for k in range(10)), arrays, (note,))


def fashion_mnist(data_dir: Path | None = None) -> Dataset:
    """Zalando's 70 000 articles of clothing, 28x28x1: official test set, a tenth of training for validation."""
    path = local("fashion_mnist.npz", data_dir)
    arrays = _official(path, *_IDX_SHAPES) if path else _four_files("fashion_mnist", data_dir)
    if arrays is None:
        folder = (data_dir or cache()) / "fashion_mnist"
        for source in FASHION_MNIST:
            target = folder / source.url.rsplit("/", 1)[1]
            if not target.is_file():
                download(source, target, f"fashion_mnist, {source.bytes_total / 1e6:.1f} MB", data_dir)
        arrays = _four_files("fashion_mnist", data_dir)
    assert arrays is not None
    note = "Fashion-MNIST (Xiao, Rasul, Vollgraf 2017; MIT); official test set, validation is a tenth of training."
    return _with_validation("fashion_mnist", FASHION_CLASSES, arrays, (note,))


def cifar10(data_dir: Path | None = None) -> Dataset:
    """Krizhevsky's 60 000 pictures, 32x32x3: official test set, a tenth of training for validation."""
    path = _cifar_npz("cifar10", CIFAR10, 1, data_dir)
    arrays = _official(path, (50_000, 32, 32, 3), (10_000, 32, 32, 3))
    found = hashlib.sha256(np.ascontiguousarray(arrays[2][:1000]).data).hexdigest()
    unknown = "CIFAR-10 from a local copy whose pictures are neither the official ones nor a known copy of them."
    notes = (CIFAR10_TEST_SHA256.get(found, unknown), "Official test set; validation is a tenth of training.")
    return _with_validation("cifar10", CIFAR10_CLASSES, arrays, notes)


def cifar100(data_dir: Path | None = None) -> Dataset:
    """Krizhevsky's 60 000 pictures of 100 fine classes, 32x32x3: official test set, a tenth of training for validation."""
    path = _cifar_npz("cifar100", CIFAR100, 2, data_dir)
    arrays = _official(path, (50_000, 32, 32, 3), (10_000, 32, 32, 3), classes=100)
    notes = ("CIFAR-100 (Krizhevsky 2009), fine labels.", "Official test set; validation is a tenth of training.")
    return _with_validation("cifar100", CIFAR100_CLASSES, arrays, notes)


_IDX_SHAPES = ((60_000, 28, 28, 1), (10_000, 28, 28, 1))


def _four_files(folder: str, data_dir: Path | None) -> tuple[Array, ...] | None:
    """Read the four IDX files of an MNIST-like set, gzipped or not, from a folder of its name; None without them."""
    place = local(folder, data_dir) or local(folder.replace("_", "-"), data_dir)
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    files = [p for name in names for p in (place / name, place / f"{name}.gz") if p.is_file()] if place else []
    if place is None or len(files) < len(names):
        return None
    x_train, y_train, x_test, y_test = map(idx, files[:4])
    return _checked(place, (x_train, y_train, x_test, y_test), _IDX_SHAPES, 10)


def _official(path: Path, train: tuple[int, ...], test: tuple[int, ...], classes: int = 10) -> tuple[Array, ...]:
    """Read x_train, y_train, x_test, y_test. Raise BadInput for any other shape, type or label: nothing is unpickled."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = tuple(archive[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise BadInput(str(path), f"is not a whole data set ({error}).", REMEDY) from error
    return _checked(path, arrays, (train, test), classes)


def _checked(
    path: Path, arrays: tuple[Array, ...], shapes: tuple[tuple[int, ...], tuple[int, ...]], classes: int
) -> tuple[Array, ...]:
    x_train, y_train, x_test, y_test = arrays
    for x, y, shape in ((x_train, y_train, shapes[0]), (x_test, y_test, shapes[1])):
        if x.dtype != np.uint8 or x.size != np.prod(shape) or y.size != shape[0] or y.dtype.kind not in "ui":
            raise BadInput(str(path), f"holds {x.dtype} {list(x.shape)}, not uint8 {list(shape)} with labels.", REMEDY)
        if y.min() < 0 or y.max() >= classes:
            raise BadInput(str(path), f"has labels from {y.min()} to {y.max()}, not 0 to {classes - 1}.", REMEDY)
    return (
        *(x_train.reshape(shapes[0]), y_train.reshape(-1).astype(np.int64)),
        *(x_test.reshape(shapes[1]), y_test.reshape(-1).astype(np.int64)),
    )


def _with_validation(name: str, classes: tuple[str, ...], arrays: tuple[Array, ...], notes: tuple[str, ...]) -> Dataset:
    x, y, x_test, y_test = arrays
    validation, train = stratified(y, (round(VALIDATION_FRACTION * len(y)),))
    return Dataset(name, classes, x[train], y[train], x[validation], y[validation], x_test, y_test, notes=notes)


def _cifar_npz(name: str, source: Source, label_bytes: int, data_dir: Path | None) -> Path:
    """Find NAME.npz; else make it, in the cache, of the official archive or its folder, which is downloaded if need be.

    A downloaded archive is thrown away afterwards, the user's own is kept.
    """
    if found := local(f"{name}.npz", data_dir):
        return found
    stem = source.url.rsplit("/", 1)[1]
    own = local(stem, data_dir) or local("cifar-10-batches-bin" if name == "cifar10" else "cifar-100-binary", data_dir)
    target = (cache() if own else data_dir or cache()) / f"{name}.npz"
    place = own or download(source, target.with_name(stem), f"{name}, {source.bytes_total // 10**6} MB", data_dir)
    by_stem = records(place, label_bytes)
    training = [by_stem[k] for k in sorted(by_stem) if k == "train" or k.startswith("data_batch_")]
    test = [by_stem[k] for k in sorted(by_stem) if k in ("test", "test_batch")]
    if not training or not test:
        raise BadInput(str(place), "holds no training or no test records.", REMEDY)
    with renamed_when_whole(target) as part:
        x_train, y_train = (np.concatenate(arrays) for arrays in zip(*training, strict=True))
        np.savez(part, x_train=x_train, y_train=y_train, x_test=test[0][0], y_test=test[0][1])
    if own is None:
        place.unlink()
    return target
