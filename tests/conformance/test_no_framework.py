# SPDX-License-Identifier: Apache-2.0
"""`puce compile` in an environment that holds the compiler alone: no TensorFlow, no Keras, no LiteRT."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BOARD = "nucleo-h743zi"
FRAMEWORKS = ("tensorflow", "keras", "ai_edge_litert", "torch", "jax")
FILES = (
    "mlperf_tiny/pretrainedResnet_quant.tflite",
    "mlperf_tiny/kws_ref_model.tflite",
    "mlperf_tiny/vww_96_int8.tflite",
    "mlperf_tiny/ad01_int8.tflite",
    "mlperf_tiny/str_ww_ref_model.tflite",
    "mlperf_tiny/pretrainedResnet.h5",
)
BLOCKED = f"import sys; sys.modules.update(dict.fromkeys({FRAMEWORKS!r})); from puce.cli import main; sys.exit(main())"


def compile_with(command: list[str], model: Path, folder: Path) -> None:
    """The ELF stands there and no framework was asked for."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*command, "compile", str(model), "--board", BOARD, "-o", str(folder), "--json"],
        capture_output=True, text=True, cwd=folder.parent, env=environment, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(json.loads(done.stdout)["elf"]).read_bytes().startswith(b"\x7fELF")


@pytest.mark.parametrize("name", ["mlperf_tiny/ad01_int8.tflite", "mlperf_tiny/ad01.h5"])
def test_compile_imports_no_framework(name: str, shared_data: Path, tmp_path: Path) -> None:
    """With None in sys.modules an import of the name raises, wherever it stands."""
    compile_with([sys.executable, "-c", BLOCKED], shared_data / name, tmp_path / "c")


@pytest.mark.slow
def test_compile_in_an_environment_of_its_own(shared_data: Path, tmp_path: Path) -> None:
    """`pip install .` and nothing else; then files of every format that needs no extra."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(ROOT)], check=True, timeout=900)
    absent = "import importlib.util as u, sys; sys.exit(any(map(u.find_spec, sys.argv[1:])))"
    subprocess.run([python, "-c", absent, *FRAMEWORKS, "onnx"], check=True)
    for i, name in enumerate(FILES):
        compile_with([python, "-m", "puce.cli"], shared_data / name, tmp_path / f"c{i}")
