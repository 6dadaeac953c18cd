# SPDX-License-Identifier: Apache-2.0
"""ELF or shared library -> outputs, cycles, stack; every device behind one interface. Never sees a graph."""

from puce.device.cycles import CycleReport, FunctionCycles
from puce.device.emulator import Emulator
from puce.device.host import Host
from puce.device.interface import Device, PictureKind
from puce.device.protocol import Hello, Reply
from puce.device.qemu import Qemu

__all__ = ["CycleReport", "Device", "Emulator", "FunctionCycles", "Hello", "Host", "PictureKind", "Qemu", "Reply"]
