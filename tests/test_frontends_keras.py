# SPDX-License-Identifier: Apache-2.0
"""Keras files and objects -> Graph: the numbers Keras predicts, the parameters it counts, and clear refusals."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from puce import passes
from puce.errors import BadInput, PuceError, Unsupported
from puce.frontends import ImportedModel, load
from puce.frontends.keras_files import CONFIG, WEIGHTS
from puce.ir import Array
from puce.zoo._keras import keras as import_keras

SAVE_AGAIN = "Save it again from the training script: model.save('model.keras')."


# Keras turns TensorFlow's variables into NumPy arrays in a way that NumPy 2 calls old.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def keras() -> Any:
    module = import_keras()
    module.utils.set_random_seed(1)
    return module


def sequential(keras: Any) -> Any:
    """Normalisation before an activation and after one, pooling of both kinds, dropout."""
    k = keras.layers
    return keras.Sequential([
        k.Input((12, 10, 3), name="picture"),
        k.Rescaling(1 / 255, offset=-0.5),
        k.Conv2D(8, 3, padding="same", use_bias=False, name="first"),
        k.BatchNormalization(),
        k.ReLU(max_value=6),
        k.Conv2D(6, (3, 2), strides=2, activation="relu", name="second"),
        k.BatchNormalization(scale=False),
        k.MaxPooling2D(2),
        k.Dropout(0.5),
        k.Flatten(),
        k.Dense(5, activation="softmax", name="answer"),
    ], name="student")  # fmt: skip


def residual(keras: Any) -> Any:
    """Branches, a sum of three, a depthwise and a separable layer, a frame of zeros, a global mean."""
    k = keras.layers
    x = picture = k.Input((9, 9, 4), name="picture")
    x = k.ZeroPadding2D(((1, 0), (2, 1)))(x)
    x = k.DepthwiseConv2D(3, depth_multiplier=2, activation="relu")(x)
    left = k.SeparableConv2D(6, 3, padding="same", name="separable")(x)
    right = k.Conv2D(6, 1)(x)
    x = k.Add(name="sum")([left, right, left])
    x = k.Activation("relu")(k.BatchNormalization()(x))
    x = k.Dense(7)(x)
    x = k.GlobalAveragePooling2D(keepdims=True)(x)
    return keras.Model(picture, k.Softmax()(k.Reshape((-1,))(x)), name="residual")


def nested(keras: Any) -> Any:
    """A model in a model in a model, frozen in part, with layers of the same class, and one layer called twice."""
    k = keras.layers
    inner = keras.Sequential([k.Input((8, 8, 4)), k.Conv2D(4, 3, name="conv"), k.BatchNormalization(name="norm")], name="inner")
    x = start = k.Input((10, 10, 4))
    shared = k.Conv2D(4, 3, padding="same", name="twice")
    middle = keras.Model(start, inner(k.Conv2D(4, 3, name="conv")(shared(shared(x)))), name="middle")
    inner.trainable = False
    picture = k.Input((12, 12, 1), name="picture")
    x = k.Conv2D(4, 3, name="conv")(picture)
    x = k.GlobalMaxPooling2D()(middle(x))
    return keras.Model(picture, [k.Dense(3, name="classes")(x), k.Dense(1, name="size")(x)], name="outer")


BUILDERS: tuple[Callable[[Any], Any], ...] = (sequential, residual, nested)


def shaken(model: Any) -> Any:
    """The model with weights that look trained: no variance of 1, no mean of 0."""
    rng = np.random.default_rng(7)
    model.set_weights(
        [rng.uniform(0.2, 1.0, w.shape) * rng.choice([1, 1, -1], w.shape[-1:]) ** (w.ndim > 1) for w in model.get_weights()]
    )
    return model


def pictures(imported: ImportedModel, count: int = 4) -> list[Array]:
    rng = np.random.default_rng(3)
    graph = imported.graph
    return [rng.normal(size=(count, *graph.tensors[t].shape)).astype(np.float32) for t in graph.inputs]


def check_equal(model: Any, imported: ImportedModel) -> None:
    xs = pictures(imported)
    wanted = model.predict(xs[0] if len(xs) == 1 else xs, verbose=0)
    for graph in (imported.graph, passes.run(imported.graph)):
        got = graph.evaluate(*xs)
        for w, y in zip(wanted if isinstance(wanted, list) else [wanted], got, strict=True):
            np.testing.assert_allclose(y, w, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(w).max())))


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("form", ["model.keras", "model.h5", "object"])
def test_the_graph_computes_what_keras_predicts(keras: Any, tmp_path: Path, build: Callable[[Any], Any], form: str) -> None:
    model = shaken(build(keras))
    path = tmp_path / form
    if form.endswith(".h5"):
        keras.src.legacy.saving.legacy_h5_format.save_model_to_hdf5(model, str(path))  # save() warns that .h5 is old
    elif form != "object":
        model.save(path)
    imported = load(model if form == "object" else path)
    check_equal(model, imported)
    assert imported.parameters == model.count_params()


def test_names_are_those_of_the_user_with_the_models_around(keras: Any) -> None:
    imported = load(nested(keras))
    graph = imported.graph
    assert graph.inputs == ("picture",)
    assert [n.origin for n in graph.nodes if n.op.name == "conv_2d"] == [
        *("conv", "middle/twice", "middle/twice", "middle/conv", "middle/inner/conv"),
    ]
    assert imported.by_layer == {
        "conv": 40, "middle/twice": 148, "middle/conv": 148, "middle/inner/conv": 148, "middle/inner/norm": 16,
        "classes": 15, "size": 5,
    }  # fmt: skip
    first, second = (n for n in graph.nodes if n.origin == "middle/twice")
    assert first.inputs[1:] == second.inputs[1:], "a layer that is called twice has its weights once"


def test_normalization_layer_uses_what_it_has_seen(keras: Any) -> None:
    layer = keras.layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 0.25])
    model = keras.Sequential([keras.layers.Input((3, 3, 2)), layer, keras.layers.Conv2D(2, 2)])
    check_equal(model, load(model))


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────


def refusal(source: Any) -> PuceError:
    with pytest.raises(PuceError) as caught:
        load(source)
    return caught.value


def test_a_lambda_layer_is_named_and_answered(keras: Any, tmp_path: Path) -> None:
    k = keras.layers
    model = keras.Sequential([k.Input((4, 4, 1)), k.Conv2D(2, 3), k.Lambda(lambda x: x * 2, name="twice"), k.Flatten()])
    model.save(tmp_path / "model.keras")
    error = refusal(tmp_path / "model.keras")
    assert isinstance(error, Unsupported)
    assert str(error) == (
        "twice (model.keras, layer 3): a Lambda layer is not supported.\n"
        "A Lambda layer runs Python code, which no file can carry safely. Use Rescaling or Normalization for scaling, "
        "Reshape for shapes, or do it before the model."
    )


def test_an_unknown_activation_is_named(keras: Any) -> None:
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, activation="gelu", name="hidden")], name="net")
    assert str(refusal(model)).startswith("hidden (net, layer 2): the activation gelu is not supported.\nUse relu or relu6")


def test_a_variable_picture_size_is_refused(keras: Any) -> None:
    model = keras.Sequential([keras.layers.Input((None, None, 3), name="any"), keras.layers.Conv2D(2, 3)], name="net")
    assert str(refusal(model)) == (
        "any (net): the input's shape is not fixed: ?x?x3.\n"
        "Build the model again with keras.Input(shape=...) of fixed sizes, and load the same weights into it."
    )


def test_a_limit_of_an_operator_names_the_layer(keras: Any) -> None:
    k = keras.layers
    x = start = k.Input((4, 4, 4))
    branches = [k.Conv2D(2, 1)(x), k.Conv2D(2, 3, padding="same")(x)]
    model = keras.Model(start, k.Permute((2, 1, 3), name="turn")(k.Concatenate(axis=-1, name="side")(branches)), name="net")
    config = json.loads(model.to_json())
    next(e for e in config["config"]["layers"] if e["config"]["name"] == "turn")["config"]["dims"] = [2, 2, 3]
    model.to_json = lambda: json.dumps(config)
    error = refusal(model)
    assert isinstance(error, Unsupported) and error.place == "turn (net, layer 5)"
    assert error.fact.startswith("The order must name each axis of a picture once, at most four of them. Got ")


def test_a_subclassed_model_is_refused(keras: Any) -> None:
    class Own(keras.Model):  # type: ignore[misc]
        pass

    assert "only code" in refusal(Own()).fact


@pytest.fixture(scope="module")
def archive(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("archive") / "model.keras"
    sequential(keras).save(path)
    return path.read_bytes()


def repacked(archive: bytes, change: Callable[[dict[str, bytes]], object]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as old:
        members = {i.filename: old.read(i) for i in old.infolist()}
    change(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in members.items():
            new.writestr(name, data)
    return out.getvalue()


def test_every_truncation_is_bad_input(archive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    for length in [*range(0, 200, 7), *range(200, len(archive), len(archive) // 40)]:
        path.write_bytes(archive[:length])
        assert isinstance(refusal(path), BadInput), length


def test_a_truncated_h5_is_bad_input(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "mlperf_tiny" / "pretrainedResnet.h5").read_bytes()
    path = tmp_path / "model.h5"
    path.write_bytes(data[: len(data) // 2])
    error = refusal(path)
    assert isinstance(error, BadInput) and error.place == "model.h5" and error.remedy == SAVE_AGAIN


def test_mutated_archives_never_end_in_a_traceback(archive: bytes, tmp_path: Path) -> None:
    """Bytes of the configuration and of the weights are changed at random; seed 5, number in the message."""
    rng = np.random.default_rng(5)
    path = tmp_path / "model.keras"
    refused = 0
    for number in range(150):

        def change(members: dict[str, bytes], name: str = (CONFIG, WEIGHTS)[number % 2]) -> None:
            data = bytearray(members[name])
            for at in rng.integers(0, len(data), 3):
                data[at] = int(rng.integers(32, 127))
            members[name] = bytes(data)

        path.write_bytes(repacked(archive, change))
        try:
            load(path)
        except PuceError as error:
            refused += 1
            assert error.remedy, number
    assert refused > 20


def test_a_bomb_is_not_unpacked(archive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(repacked(archive, lambda m: m.update({CONFIG: b" " * (17 << 20)})))
    assert refusal(path).fact == "config.json unpacks to more than 16 MiB."


def test_a_missing_member_is_named(archive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(repacked(archive, lambda m: m.pop(WEIGHTS)))
    assert refusal(path).fact == "a .keras archive holds model.weights.h5 once; this one has it 0 times."


def test_members_outside_the_folder_are_never_written(archive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "in" / "model.keras"
    path.parent.mkdir()
    path.write_bytes(repacked(archive, lambda m: m.update({"../evil": b"1", "/tmp/evil": b"1"})))
    load(path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["in", "model.keras"]


def test_weights_that_are_links_out_of_the_file_are_refused(archive: bytes, tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["values"] = np.zeros((6, 5), np.float32)

    def change(members: dict[str, bytes]) -> None:
        buffer = io.BytesIO(members[WEIGHTS])
        with h5py.File(buffer, "r+") as file:
            del file["layers/dense/vars/0"]
            file["layers/dense/vars/0"] = h5py.ExternalLink(str(secret), "values")
        members[WEIGHTS] = buffer.getvalue()

    path = tmp_path / "model.keras"
    path.write_bytes(repacked(archive, change))
    assert refusal(path).fact == "the weights layers/dense/vars/0 are a link to another place."


def test_a_configuration_with_the_wrong_types_names_the_layer(archive: bytes, tmp_path: Path) -> None:
    def change(members: dict[str, bytes]) -> None:
        config = json.loads(members[CONFIG])
        config["config"]["layers"][2]["config"]["strides"] = {"rows": 1}
        members[CONFIG] = json.dumps(config).encode()

    path = tmp_path / "model.keras"
    path.write_bytes(repacked(archive, change))
    error = refusal(path)
    assert isinstance(error, BadInput) and error.place == "first (model.keras, layer 3)"


def test_weights_without_a_model_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "only.h5", "w") as file:
        file["dense/kernel"] = np.zeros((2, 2), np.float32)
    assert refusal(tmp_path / "only.h5").fact == "the file has weights, but no architecture (no attribute model_config)."


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"")
    assert "suffix '.pt'" in refusal(tmp_path / "model.pt").fact
    assert refusal(tmp_path / "none.keras").fact == "there is no such file."
    assert "SavedModel" in refusal(tmp_path).fact


# ── models of others ──────────────────────────────────────────────────────────────────────────────────────────────

COUNTS = {
    "mlperf_tiny/pretrainedResnet.h5": 78_666,
    "mlperf_tiny/vww_96.h5": 221_794,
    "mlperf_tiny/ad01.h5": 269_992,
    "models/keras_h5/dfa6066b_yamnet_256_f32.h5": 135_104,  # nested; Keras 3 itself refuses it
    "models/keras_h5/d0f428c1_mnist_resnet.h5": 22_930,  # a + b written as such
}


@pytest.mark.parametrize("name", COUNTS)
def test_files_of_keras_2_are_read(shared_data: Path, name: str) -> None:
    imported = load(shared_data / name)
    assert imported.parameters == COUNTS[name]
    graph = passes.run(imported.graph)
    (x,) = pictures(imported, 2)
    (wanted,), (got,) = imported.graph.evaluate(x), graph.evaluate(x)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5 * float(np.abs(wanted).max()))


def test_every_keras_file_is_read_or_refused_with_a_remedy(shared_data: Path) -> None:
    read = 0
    for path in sorted((shared_data / "models" / "keras_h5").glob("*.h5")):
        try:
            load(path)
            read += 1
        except Unsupported as error:
            assert path.name in error.place and error.remedy, path.name
    assert read >= 21
