# SPDX-License-Identifier: Apache-2.0
"""Board -> linker script."""

from __future__ import annotations

from puce.boards import Board

# GNU ld and lld both read this. Each section ends on 16 bytes, so that promised sizes are sums. The stack lies lowest in its
# bank: when it overflows it leaves the RAM, which faults, instead of spoiling data.
SECTIONS = """\
ENTRY(Reset_Handler)
SECTIONS {{
  .text : ALIGN(16) {{ KEEP(*(.vectors)) *(SORT_BY_ALIGNMENT(.text*)) . = ALIGN(16); }} > flash
  .rodata : ALIGN(16) {{ *(SORT_BY_ALIGNMENT(.rodata*)) . = ALIGN(16); }} > flash
  .stack (NOLOAD) : ALIGN(16) {{ _puce_stack_bottom = .; . = . + {stack}; _puce_stack_top = .; }} > {first}
  .data : ALIGN(16) {{ _puce_data_start = .; *(SORT_BY_ALIGNMENT(.data*))
    . = ALIGN(16); _puce_data_end = .; }} > {first} AT > flash
  _puce_data_load = LOADADDR(.data);
  .bss (NOLOAD) : ALIGN(16) {{ _puce_bss_start = .; *(SORT_BY_ALIGNMENT(.bss*) COMMON)
    . = ALIGN(16); _puce_bss_end = .; }} > {first}
{banks}
  /DISCARD/ : {{ *(.ARM.exidx*) *(.ARM.extab*) *(.eh_frame*) *(.debug*) *(.comment) }}
}}
"""
BANK = "  .puce_bank_{name} (NOLOAD) : ALIGN(16) {{ *(SORT_BY_ALIGNMENT(.puce_bank_{name})) . = ALIGN(16); }} > {name}"


def linker_script(board: Board, stack_bytes: int) -> str:
    """Write the linker script of a board with so many bytes of stack."""
    flash = board.flash
    regions = [f"  flash (rx) : ORIGIN = {flash.start + flash.reserved_bytes:#010x}, LENGTH = {flash.usable_bytes:#x}"]
    regions += [f"  {bank.name} (rw) : ORIGIN = {bank.start:#010x}, LENGTH = {bank.bytes:#x}" for bank in board.banks]
    banks = "\n".join(BANK.format(name=bank.name) for bank in board.banks)
    sections = SECTIONS.format(stack=stack_bytes, first=board.banks[0].name, banks=banks)
    return "MEMORY {\n" + "\n".join(regions) + "\n}\n" + sections
