# SPDX-License-Identifier: Apache-2.0
"""MNIST by a CNN, and by an LSTM that reads a digit row by row: which is better, faster, smaller?

python examples/e2_mnist_cnn_or_lstm.py            # 10 epochs each
python examples/e2_mnist_cnn_or_lstm.py --quick    # a few pictures, one minute
"""

import argparse
from pathlib import Path

import puce


def main(quick: bool, out: Path) -> None:
    digits = puce.load_data("mnist")
    if quick:
        digits = digits.first(2000, 500)
    print(digits)

    # 225 418 parameters against 139 402: Adam, batches of 128, the same ten epochs for both.
    runs = [
        puce.train(
            digits,
            model,
            epochs=2 if quick else 10,
            batch=128,
            learning_rate=0.001,
            schedule="fixed",
            label_smoothing=0.0,
            augment="none",
            out=out,
        ).run
        for model in ("mnist-cnn", "mnist-lstm")
    ]

    # Accuracy with its interval, parameters, training time, and a paired test on the same test pictures.
    print(puce.compare(runs, out=[out / "cnn-or-lstm.html", out / "cnn-or-lstm.csv"]))

    # Each run's own page: curves and confusion matrix.
    for run in runs:
        print("page:", puce.report(run).html)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    main(arguments.quick, arguments.out)
