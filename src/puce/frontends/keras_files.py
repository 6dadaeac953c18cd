# SPDX-License-Identifier: Apache-2.0
"""Opens .keras, .h5 and live Keras models as plain data (configuration and weights); executes nothing that they hold."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from ..ir import Array

Path_ = tuple[str, ...]  # the names of the models around a layer, then its own
Json = Mapping[str, Any]

CONFIG, WEIGHTS, ABOUT = "config.json", "model.weights.h5", "metadata.json"
CONFIG_LIMIT = 16 << 20  # bytes; the configuration of a 1 000-layer network has about 1 MB
WEIGHTS_LIMIT = 1 << 30  # bytes; no microcontroller holds a hundredth of it
MODELS = frozenset({"Functional", "Model", "Sequential"})
WRAPPED = ("forward_layer", "backward_layer", "layer", "cell")  # groups inside that of a layer, in Keras's order
SAVE_AGAIN = "Save it again from the training script: model.save('model.keras')."


@dataclass(frozen=True, eq=False)
class Source:
    """A model as data: `config` is {"class_name", "config"}, `weights` those of each layer in Keras's order."""

    name: str
    config: Json
    weights: Mapping[Path_, tuple[Array, ...]]
    version: int = 3  # of Keras, the first number


def open_source(source: str | Path | Any) -> Source:
    """Open a path, or a Keras model object (without importing Keras: it is asked for its own description)."""
    if not isinstance(source, str | Path):
        return open_object(source)
    path = Path(source)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(str(path), f"the file cannot be read: {error.strerror}.", "Check the path.") from error
    return open_archive(data, path.name) if data[:2] == b"PK" else open_h5(data, path.name)


# ── live objects ──────────────────────────────────────────────────────────────────────────────────────────────────


def open_object(model: Any) -> Source:
    kinds = {k.__name__ for k in type(model).__mro__}
    if not (hasattr(model, "to_json") and kinds & {"Functional", "Sequential"}):
        raise BadInput(
            type(model).__name__,
            "this is neither a file nor a Sequential or Functional Keras model; a subclassed model has no description "
            "of its layers, only code.",
            "Build it with keras.Sequential or keras.Model(inputs, outputs).",
        )
    config = json.loads(model.to_json())
    config["class_name"] = "Sequential" if "Sequential" in kinds else "Functional"
    return Source(str(model.name), config, dict(object_weights(model, ())))


def object_weights(model: Any, path: Path_) -> Iterator[tuple[Path_, tuple[Array, ...]]]:
    for layer in model.layers:
        place = (*path, layer.name)
        if hasattr(layer, "layers"):
            yield from object_weights(layer, place)
        else:
            yield place, tuple(np.asarray(w) for w in layer.get_weights())


# ── .keras: a zip of config.json and model.weights.h5 ─────────────────────────────────────────────────────────────


def open_archive(data: bytes, name: str) -> Source:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            config = parse_config(member(archive, CONFIG, CONFIG_LIMIT, name), name)
            weights = member(archive, WEIGHTS, WEIGHTS_LIMIT, name)
            about = parsed(member(archive, ABOUT, CONFIG_LIMIT, name)) if ABOUT in archive.namelist() else {}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise BadInput(name, f"the .keras archive is damaged: {error}.", SAVE_AGAIN) from error
    with Hdf5(weights, name) as file:
        return Source(name, config, dict(file.archived(config, "", ())), first_number(about.get("keras_version", "3"), 3))


def member(archive: zipfile.ZipFile, wanted: str, limit: int, name: str) -> bytes:
    """One member, read by its exact name: nothing is ever extracted to disk, so other members cannot matter."""
    found = [i for i in archive.infolist() if i.filename == wanted]
    if len(found) != 1:
        fact = f"a .keras archive holds {wanted} once; this one has it {len(found)} times."
        raise BadInput(name, fact, SAVE_AGAIN)
    with archive.open(found[0]) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise BadInput(name, f"{wanted} unpacks to more than {limit >> 20} MiB.", "It is no model for a microcontroller.")
    return data


def parse_config(text: bytes | str, name: str) -> Json:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(name, f"the model's configuration is not JSON: {error}.", SAVE_AGAIN) from error
    if not (isinstance(config, dict) and isinstance(config.get("config"), dict | list)):
        raise BadInput(name, "the configuration describes no Keras model.", SAVE_AGAIN)
    return config


def layer_entries(model: Json) -> Sequence[Json]:
    """The layers of a model's description; Keras 1 and 2.0 write those of a Sequential as a bare list."""
    config = model["config"]
    entries: Sequence[Json] = config if isinstance(config, list) else config["layers"]
    return entries


def entry_name(entry: Json) -> str:
    name = entry.get("name") or entry["config"]["name"]
    return str(name)


def snake_case(class_name: str) -> str:
    """Keras's name of a layer's group in model.weights.h5: MaxPooling2D -> max_pooling2d, ReLU -> re_lu."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


# ── HDF5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def open_h5(data: bytes, name: str) -> Source:
    with Hdf5(data, name) as file:
        text = file.root.attrs.get("model_config")
        if not isinstance(text, bytes | str):
            raise BadInput(
                name,
                "the file has weights, but no architecture (no attribute model_config).",
                "Save the whole model from the training script: model.save('model.keras'), not save_weights().",
            )
        config = parse_config(text, name)
        groups = file.root.get("model_weights")
        return Source(name, config, {} if groups is None else dict(file.legacy(config, groups)), version_of(file.root))


def version_of(root: Any) -> int:
    """The first number of the Keras that wrote an .h5; the oldest did not say."""
    text = root.attrs.get("keras_version", b"1")
    return first_number(text.decode("ascii", "replace") if isinstance(text, bytes) else text, 1)


def first_number(version: Any, default: int) -> int:
    word = str(version)[:1]
    return int(word) if word in tuple("123456789") else default


def parsed(text: bytes) -> Json:
    """What metadata.json says; nothing where it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class Hdf5:
    """An HDF5 file in memory, from which only numbers are read: no link or data set may lead out of it."""

    def __init__(self, data: bytes, name: str) -> None:
        import h5py

        self.h5py, self.name = h5py, name
        try:
            self.root: Any = h5py.File(io.BytesIO(data), "r")
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise BadInput(name, f"the file is no HDF5 file, or cut short: {error}.", SAVE_AGAIN) from error

    def __enter__(self) -> Hdf5:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self.root.close()
        if isinstance(error, OSError | RuntimeError | KeyError | ValueError | TypeError | AttributeError | IndexError):
            raise BadInput(self.name, f"the file is damaged: {error}.", SAVE_AGAIN) from error

    def numbers(self, group: Any, path: str) -> Array:
        """The data set at a path of hard links, as float32 or, where it holds integers, as it is."""
        for part in path.split("/"):
            link = group.get(part, getlink=True)
            if not isinstance(link, self.h5py.HardLink):
                raise BadInput(self.name, f"the weights {path} are a link to another place.", SAVE_AGAIN)
            group = group[part]
        data = group
        if not isinstance(data, self.h5py.Dataset) or data.is_virtual or data.external or data.dtype.kind not in "fiu":
            raise BadInput(self.name, f"the weights {path} are not an array of numbers in the file itself.", SAVE_AGAIN)
        if data.size * data.dtype.itemsize > WEIGHTS_LIMIT:
            raise BadInput(self.name, f"the weights {path} have {data.size} values.", "It is no model for a microcontroller.")
        values: Array = np.asarray(data[()])
        return values.astype(np.float32) if values.dtype.kind == "f" else values

    def archived(self, model: Json, group: str, path: Path_) -> Iterator[tuple[Path_, tuple[Array, ...]]]:
        """Weights in the layout of .keras: layers/<class>_<n>/vars/<i>, counted in the order of the model's layers."""
        used: dict[str, int] = {}
        top = f"{group}layers" if f"{group}layers" in self.root else f"{group}_layer_checkpoint_dependencies"
        for entry in layer_entries(model):
            kind = entry["class_name"]
            is_function = str(entry.get("module", "")).startswith("keras.src.ops")  # keras.ops.add(...): has no group
            if is_function or (kind == "InputLayer" and model["class_name"] == "Sequential"):
                continue
            base = snake_case(kind)
            used[base] = used.get(base, -1) + 1
            place = f"{top}/{base}_{used[base]}" if used[base] else f"{top}/{base}"
            here = (*path, entry_name(entry))
            if kind in MODELS:
                yield from self.archived(entry, f"{place}/", here)
            else:
                found = tuple(self.variables(place))
                if found:
                    yield here, found

    def variables(self, place: str) -> Iterator[Array]:
        """A layer's own weights, then those of the layers and cells that it wraps."""
        if f"{place}/vars" in self.root:
            for i in range(len(self.root[f"{place}/vars"])):
                yield self.numbers(self.root, f"{place}/vars/{i}")
        for inner in WRAPPED:
            if f"{place}/{inner}" in self.root:
                yield from self.variables(f"{place}/{inner}")

    def legacy(self, config: Json, groups: Any) -> Iterator[tuple[Path_, tuple[Array, ...]]]:
        """Weights in the layout of .h5: one group a top layer, whose attribute weight_names lists them in order."""
        for entry in layer_entries(config):
            name = entry_name(entry)
            group = groups.get(name)
            if group is None:
                continue
            names = [w.decode() if isinstance(w, bytes) else str(w) for w in group.attrs.get("weight_names", ())]
            if entry["class_name"] in MODELS:
                yield from self.nested(entry, group, names, (name,))
            else:
                yield (name,), tuple(self.numbers(group, w) for w in names)

    def nested(self, model: Json, group: Any, names: list[str], path: Path_) -> Iterator[tuple[Path_, tuple[Array, ...]]]:
        """An inner model's weights lie flat in one group, all trainable ones first: found by their layer's name."""
        for entry in layer_entries(model):
            here = (*path, entry_name(entry))
            if entry["class_name"] in MODELS:
                yield from self.nested(entry, group, names, here)
                continue
            own = own_weights(names, here)
            if own:
                yield here, tuple(self.numbers(group, w) for w in own)


def own_weights(names: Sequence[str], path: Path_) -> list[str]:
    """The weights of the layer at `path` among those of its outermost model.

    Keras 3 names them inner/layer/kernel, as deep as the inner model was when built; Keras 2 layer/kernel:0. So the
    longest end of the path that is a weight's whole address wins, then the longest that ends one.
    """
    parents = {w: w.rpartition("/")[0] for w in names}
    tails = ["/".join(path[i:]) for i in range(len(path))]
    for tail in tails:
        if tail in parents.values():
            return [w for w in names if parents[w] == tail]
    for tail in tails:
        found = [w for w in names if parents[w].endswith(f"/{tail}")]
        if found:
            return found
    return []
