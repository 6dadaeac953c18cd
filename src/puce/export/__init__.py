# SPDX-License-Identifier: Apache-2.0
"""What leaves the house: model files and projects for other tools, one file a format."""
