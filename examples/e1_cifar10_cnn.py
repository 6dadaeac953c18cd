# SPDX-License-Identifier: Apache-2.0
"""A CNN for CIFAR-10, with French class names: train it, look at its mistakes, show it a picture of your own.

python examples/e1_cifar10_cnn.py                      # up to 30 epochs
python examples/e1_cifar10_cnn.py --picture chat.jpg   # ... and what it says of your picture
python examples/e1_cifar10_cnn.py --quick              # a few pictures, one minute
"""

import argparse
from dataclasses import replace
from pathlib import Path

from PIL import Image

import puce

FRENCH = ("avion", "automobile", "oiseau", "chat", "cerf", "chien", "grenouille", "cheval", "bateau", "camion")


def main(quick: bool, picture: Path | None, out: Path) -> None:
    pictures = replace(puce.load_data("cifar10"), class_names=FRENCH)
    if quick:
        pictures = pictures.first(1500, 300)
    print(pictures)

    # Three blocks (32, 64, 128), Adam at 0.001 halved where it stops helping, early stopping with the best weights.
    trained = puce.train(
        pictures,
        "lab-cnn",
        epochs=1 if quick else 30,
        batch=32,
        learning_rate=0.001,
        schedule="plateau",
        patience=10,
        label_smoothing=0.0,
        augment="none",
        out=out,
    )

    # Accuracy with its interval, precision and recall by class, the confusion matrix, how far its probabilities hold.
    print(puce.evaluate(trained.run, pictures, in_c=False))

    # Sample grid, curves, heat map, 5x5 predictions (green right, red wrong): one page, in French.
    print("page:", puce.report(trained.run, lang="fr").html)

    # Without a picture of yours, the first test picture stands in. Below 50 % the answer is "not recognised".
    if picture is None:
        picture = out / "essai.png"
        Image.fromarray(pictures.x_test[0]).save(picture)
    for answer in puce.predict(trained.run, [picture], reject_below=0.5):
        print(answer)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    main(arguments.quick, arguments.picture, arguments.out)
