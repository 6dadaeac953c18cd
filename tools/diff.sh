#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Golden models on another commit (main where none is named) against the working tree: C text, flash, RAM, cycles.
# A refactoring shows an empty diff.
set -euo pipefail
cd "$(dirname "$0")/.."
base=${1:-main}
python=${PYTHON:-python}
work=$(mktemp -d)
trap 'git worktree remove --force "$work/base" > /dev/null 2>&1 || true; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/base" "$base"
# the models and the measuring are the working tree's, the compiler is each side's own
PYTHONPATH="$work/base/src" "$python" tools/measure.py "$work/before" > "$work/before.json"
PYTHONPATH="$PWD/src" "$python" tools/measure.py "$work/after" > "$work/after.json"
if diff -u "$work/before.json" "$work/after.json" && diff -ru "$work/before" "$work/after"; then
    echo "no difference to $base"
fi
