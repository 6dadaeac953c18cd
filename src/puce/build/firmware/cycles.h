/* SPDX-License-Identifier: Apache-2.0 */
/* The core's own cycle counter: 32 bits, wraps; differences below 2^32 are right. */
#ifndef PUCE_CYCLES_H
#define PUCE_CYCLES_H
#include <stdint.h>

void cycles_start(void);
uint32_t cycles_now(void);

#endif
