/* SPDX-License-Identifier: Apache-2.0 */
/* From reset to main: vector table, memory, floating-point unit. Names with _puce_ come from the linker script. */
#include <stdint.h>

extern uint32_t _puce_stack_top, _puce_data_start, _puce_data_end, _puce_bss_start, _puce_bss_end;
extern const uint32_t _puce_data_load;

int main(void);
void Reset_Handler(void);
void Fault_Handler(void);
void SysTick_Handler(void);

void Fault_Handler(void) {
    for (;;) __asm__ volatile("bkpt 0");
}

void Reset_Handler(void) {
    const uint32_t *from = &_puce_data_load;
#if PUCE_HAS_FPU
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: full access to CP10 and CP11 */
    __asm__ volatile("dsb\n isb");
#endif
    for (volatile uint32_t *to = &_puce_data_start; to < &_puce_data_end;) *to++ = *from++;
    for (volatile uint32_t *to = &_puce_bss_start; to < &_puce_bss_end;) *to++ = 0;
    main();
    for (;;) {
    }
}

#if PUCE_HAS_DWT
#define SYSTICK Fault_Handler
#else
#define SYSTICK SysTick_Handler
#endif

typedef void (*handler)(void);
/* Initial stack pointer, then the 15 exceptions of the architecture. No interrupt of the chip is used. */
__attribute__((section(".vectors"), used)) static const handler vectors[16] = {
    (handler)&_puce_stack_top, Reset_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler,
    Fault_Handler,             0,             0,             0,             0,             Fault_Handler,
    Fault_Handler,             0,             Fault_Handler, SYSTICK,
};
