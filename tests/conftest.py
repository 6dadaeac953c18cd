# SPDX-License-Identifier: Apache-2.0
"""What several tests share: the folder of real models and pictures, which does not travel with the source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder that PUCE_TEST_DATA names, or shared/data beside the repository; the test is skipped without it."""
    folder = Path(os.environ.get("PUCE_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real models are not here: PUCE_TEST_DATA names no folder, and ../shared/data is none")
    return folder
