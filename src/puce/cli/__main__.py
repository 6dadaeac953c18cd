# SPDX-License-Identifier: Apache-2.0
"""`python -m puce.cli`: the command line where no `puce` is on the PATH."""

from . import main

main()
