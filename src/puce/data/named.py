# SPDX-License-Identifier: Apache-2.0
"""The sets that have a name: digits travels in the package, mnist and cifar10 come from a copy or their address."""

from __future__ import annotations

import hashlib
import tarfile
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
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_TEST_SHA256 = {
    "da362006b99671213d1a5d856cab2bedf64d40bad4501630ee60f4ceb2d3ec7f": ("CIFAR-10 (Krizhevsky 2009), the official pictures."),
    "d37f658b9d9e3bc6856342ce28feb9b646f4b82ddc848ba11d94f8e699afe800": (
        "JPEG CIFAR-10, quality 75 (about 30 dB): networks trained on the original pictures lose 10 to 12 points on it."
    ),
}
"""By the SHA-256 of the first 1 000 test pictures."""

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
    path = local("mnist.npz", data_dir) or download(MNIST, (data_dir or cache()) / "mnist.npz", "mnist.npz, 11 MB", data_dir)
    arrays = _official(path, (60_000, 28, 28, 1), (10_000, 28, 28, 1))
    note = "MNIST (LeCun, Cortes, Burges; CC BY-SA 3.0); official test set, validation is a tenth of training."
    return _with_validation("mnist", tuple(str(k) for k in range(10)), arrays, (note,))


def cifar10(data_dir: Path | None = None) -> Dataset:
    """Krizhevsky's 60 000 pictures, 32x32x3: official test set, a tenth of training for validation."""
    path = local("cifar10.npz", data_dir) or _download_cifar10(data_dir)
    arrays = _official(path, (50_000, 32, 32, 3), (10_000, 32, 32, 3))
    found = hashlib.sha256(np.ascontiguousarray(arrays[2][:1000]).data).hexdigest()
    unknown = "CIFAR-10 from a local copy whose pictures are neither the official ones nor a known copy of them."
    notes = (CIFAR10_TEST_SHA256.get(found, unknown), "Official test set; validation is a tenth of training.")
    return _with_validation("cifar10", CIFAR10_CLASSES, arrays, notes)


def _official(path: Path, train_shape: tuple[int, ...], test_shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Read x_train, y_train, x_test, y_test. Raise BadInput for any other shape, type or label: nothing is unpickled."""
    remedy = "Delete the file, and it is downloaded again; or put the right copy there."
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            x_train, y_train, x_test, y_test = (archive[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise BadInput(str(path), f"is not a whole data set ({error}).", remedy) from error
    for x, y, shape in ((x_train, y_train, train_shape), (x_test, y_test, test_shape)):
        if x.dtype != np.uint8 or x.size != np.prod(shape) or y.size != shape[0] or y.dtype.kind not in "ui":
            raise BadInput(str(path), f"holds {x.dtype} {list(x.shape)}, not uint8 {list(shape)} with labels.", remedy)
        if y.min() < 0 or y.max() > 9:
            raise BadInput(str(path), f"has labels from {y.min()} to {y.max()}, not 0 to 9.", remedy)
    return (
        *(x_train.reshape(train_shape), y_train.reshape(-1).astype(np.int64)),
        *(x_test.reshape(test_shape), y_test.reshape(-1).astype(np.int64)),
    )


def _with_validation(name: str, classes: tuple[str, ...], arrays: tuple[Array, ...], notes: tuple[str, ...]) -> Dataset:
    x, y, x_test, y_test = arrays
    validation, train = stratified(y, (round(VALIDATION_FRACTION * len(y)),))
    return Dataset(name, classes, x[train], y[train], x[validation], y[validation], x_test, y_test, notes=notes)


def _download_cifar10(data_dir: Path | None) -> Path:
    """Fetch the archive, keep its pictures as cifar10.npz, and throw the archive away."""
    target = (data_dir or cache()) / "cifar10.npz"
    archive = download(CIFAR10, target.with_name("cifar-10-binary.tar.gz"), "cifar10, 170 MB", data_dir)
    records = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.name.endswith(".bin") else None
            if stream is not None:
                # One record: the label, then 1 024 bytes each of red, green and blue, row by row (cs.toronto.edu/~kriz).
                records[Path(member.name).stem] = np.frombuffer(stream.read(), np.uint8).reshape(-1, 3073)
    train = np.concatenate([records[f"data_batch_{i}"] for i in range(1, 6)])
    with renamed_when_whole(target) as part:
        x_train, y_train = _pictures_and_labels(train)
        x_test, y_test = _pictures_and_labels(records["test_batch"])
        np.savez(part, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    archive.unlink()
    return target


def _pictures_and_labels(records: Array) -> tuple[Array, Array]:
    pictures = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pictures), records[:, 0]
