# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10 through 64 numbers and back: a dense autoencoder, and a convolutional one that must beat principal components.

python examples/e3_autoencoder.py            # 20 epochs each
python examples/e3_autoencoder.py --quick    # a few pictures, one minute
"""

import argparse
from pathlib import Path

import puce


def main(quick: bool, out: Path) -> None:
    pictures = puce.load_data("cifar10")
    if quick:
        pictures = pictures.first(1000, 200)
    print(pictures)

    for model in ("autoencoder", "conv-autoencoder"):
        # Mean squared error of the pictures that come back, with the best that any linear code of 64 numbers can do
        # (principal components) printed beside it.
        trained = puce.train(pictures, model, epochs=2 if quick else 20, batch=100 if quick else 256, augment="none", out=out)
        print(model)
        print(trained)

        # Originals above, what came back below, and the loss by epoch.
        print("page:", puce.report(trained.run).html)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    main(arguments.quick, arguments.out)
