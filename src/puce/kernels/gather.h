/* SPDX-License-Identifier: Apache-2.0
   Gather: y is [outer, n, inner], x [outer, deep, inner] bytes; place j of y is place at[j] of x. */
#ifndef PUCE_GATHER_H
#define PUCE_GATHER_H

#include "puce_kernel.h"

PUCE_KERNEL void puce_gather(const void *x, void *y, const uint16_t *at, int outer, int deep, int n, int inner)
{
    uint8_t *to = (uint8_t *)y;
    for (int o = 0; o < outer; o++)
        for (int j = 0; j < n; j++, to += inner)
            __builtin_memcpy(to, (const uint8_t *)x + (o * deep + at[j]) * inner, (size_t)inner);
}

#endif
