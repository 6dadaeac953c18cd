# SPDX-License-Identifier: Apache-2.0
"""puce: from a folder of pictures to a verified classifier inside a microcontroller."""

__version__ = "0.1.0"
