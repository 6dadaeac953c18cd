# SPDX-License-Identifier: Apache-2.0
"""puce: from a folder of pictures to a verified classifier inside a microcontroller.

    import puce
    result = puce.run("digits", board="stm32l4r9i-disco")      # everything: train, quantise, compile, prove, report

    data = puce.load_data("digits")                            # or a folder with one sub-folder a class
    puce.check_data("pictures", fix="pictures-clean")          # copies, leaks, wrong labels, shortcuts
    model = puce.load_model("model.keras")                     # .keras, .h5, .tflite, a run folder, a Keras model
    print(puce.analyze(model, board="stm32l4r9i-disco"))       # flash, RAM, cycles, layer by layer
    puce.quantize("model.keras", "digits", out="model.int8.tflite")
    puce.compile("model.int8.tflite", board="stm32l4r9i-disco", out="firmware")
    puce.validate("model.int8.tflite", "digits", on="emulator", board="stm32l4r9i-disco")
    puce.evaluate("runs/2026-11-21-digits", "digits")          # float, int8 and C on the same pictures
    puce.compare(["runs/one", "runs/two"], out=["runs.html"])
    puce.diff("model.keras", "model.int8.tflite", "digits")    # layer by layer: where they part

Everything heavy is imported by the function that needs it.
"""

import sys
from types import ModuleType

from .api import (
    analyze,
    check_data,
    compare,
    compile,
    diff,
    evaluate,
    load_data,
    load_model,
    predict,
    quantize,
    report,
    run,
    show_data,
    sweep,
    train,
    validate,
)
from .errors import PuceError

__version__ = "0.1.0"

__all__ = [
    "PuceError",
    "__version__",
    "analyze",
    "check_data",
    "compare",
    "compile",
    "diff",
    "evaluate",
    "load_data",
    "load_model",
    "predict",
    "quantize",
    "report",
    "run",
    "show_data",
    "sweep",
    "train",
    "validate",
]


class _Package(ModuleType):
    """Keeps `puce.run` the function where `puce/run/` is a package too: importing a part does not replace a verb."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
