/* SPDX-License-Identifier: Apache-2.0 */
/* DWT.CYCCNT where the core has it, else SysTick's 24 bits extended by its interrupt. */
#include "cycles.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#if PUCE_HAS_DWT

void cycles_start(void) {
    REGISTER(0xE000EDFCu) |= 1u << 24; /* DEMCR.TRCENA */
    REGISTER(0xE0001004u) = 0;         /* DWT.CYCCNT */
    REGISTER(0xE0001000u) |= 1u;       /* DWT.CTRL.CYCCNTENA */
}

uint32_t cycles_now(void) { return REGISTER(0xE0001004u); }

#else

volatile uint32_t puce_systick_wraps; /* an emulator without interrupts may write it */

void SysTick_Handler(void);
void SysTick_Handler(void) { puce_systick_wraps++; }

void cycles_start(void) {
    REGISTER(0xE000E014u) = 0x00FFFFFFu; /* reload */
    REGISTER(0xE000E018u) = 0;
    REGISTER(0xE000E010u) = 7u; /* core clock, interrupt, on */
}

uint32_t cycles_now(void) {
    uint32_t left, wraps;
    do { /* again if it wrapped between the two reads */
        wraps = puce_systick_wraps;
        left = REGISTER(0xE000E018u);
    } while (wraps != puce_systick_wraps);
    return (wraps << 24) + (0x00FFFFFFu - left);
}

#endif
