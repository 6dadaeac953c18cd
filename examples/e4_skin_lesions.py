# SPDX-License-Identifier: Apache-2.0
"""Melanoma against benign lesions, from a folder of pictures to the firmware of an Arduino Nano 33 BLE Sense.

    python examples/e4_skin_lesions.py ISIC                          # a folder with one sub-folder a diagnosis
    python examples/e4_skin_lesions.py ISIC --weights imagenet       # start from what another network knows
    python examples/e4_skin_lesions.py ISIC --quick                  # a small network, a few epochs

Not a medical device. docs/how-to/skin.md tells what the figures are worth.
"""

import argparse
from pathlib import Path

import puce

CLASSES = "benign=nevus+pigmented benign keratosis+dermatofibroma+vascular lesion+seborrheic keratosis, melanoma"
WARNING = "Not a medical device: an exercise on a few hundred pictures. Show a mole that worries you to a doctor."


def main(folder: Path, weights: str | None, quick: bool, out: Path) -> None:
    # Copies under two diagnoses, copies in training and test: a clean copy without them is what everything stands on.
    clean = out / "skin-clean"
    print(puce.check_data(folder, fix=clean))

    # The clean copy, split anew by class: 60 % for training, 20 % for choices, 20 % for one last measurement.
    lesions = puce.load_data(clean, size=48 if quick else 96, classes=CLASSES, held_out=0.2, warning=WARNING)
    print(lesions)

    # Train, quantise, compile, and run every test picture on the emulated board. Below 80 % nobody is told anything.
    result = puce.run(
        lesions,
        board="arduino-nano-33-ble",
        model="tiny-cnn" if quick else "mobilenet-v1",
        weights=None if quick else weights,
        epochs=3 if quick else None,
        balance=True,
        reject=0.8,
        out=out,
    )
    print(result)

    # Beside accuracy what "always benign" would get; how many melanomas are found when 90 % of the benign are left alone.
    print(puce.evaluate(result.run, lesions, positive="melanoma"))

    # Every picture as a point: what the last layer reads.
    print(puce.show_data(lesions, html=out / "skin.html", model=result.run))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    main(arguments.folder, arguments.weights, arguments.quick, arguments.out)
