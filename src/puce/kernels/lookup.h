/* SPDX-License-Identifier: Apache-2.0
   An element-wise operator of bytes as a table: n bytes replaced by what the compiler computed for each of the 256.
   y may be x. */
#ifndef PUCE_LOOKUP_H
#define PUCE_LOOKUP_H

#include "puce_kernel.h"

PUCE_KERNEL void puce_lookup(const void *x, void *y, const uint8_t *table, int n)
{
    for (int i = 0; i < n; i++) ((uint8_t *)y)[i] = table[((const uint8_t *)x)[i]];
}

#endif
