/* SPDX-License-Identifier: Apache-2.0
   Values moved, none changed: what slices, transpositions and other changes of layout have in common. */
#ifndef PUCE_COPY_H
#define PUCE_COPY_H

#include "puce_kernel.h"

/* y is [n0, n1, n2, n3] blocks of `block` bytes, one behind the other; block (i, j, k, l) lies in x at byte
   start + i * s0 + j * s1 + k * s2 + l * s3. */
PUCE_KERNEL void puce_copy(const void *x, void *y, int n0, int n1, int n2, int n3, int s0, int s1, int s2, int s3,
                           int start, int block)
{
    const uint8_t *from = (const uint8_t *)x + start;
    uint8_t *to = (uint8_t *)y;
    for (int i = 0; i < n0; i++)
        for (int j = 0; j < n1; j++)
            for (int k = 0; k < n2; k++)
                for (int l = 0; l < n3; l++, to += block)
                    __builtin_memcpy(to, from + i * s0 + j * s1 + k * s2 + l * s3, (size_t)block);
}

#endif
