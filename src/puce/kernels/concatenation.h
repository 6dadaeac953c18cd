/* SPDX-License-Identifier: Apache-2.0
   Two to eight tensors side by side along an axis: y is [outer, a + b + ...], part k is [outer, n_k] bytes. */
#ifndef PUCE_CONCATENATION_H
#define PUCE_CONCATENATION_H

#include "puce_kernel.h"

/* One part. `table`, or null, says what each byte of it becomes under the output's scale. Returns the next part's place. */
PUCE_KERNEL uint8_t *puce_part(const void *x, uint8_t *y, const uint8_t *table, int part, int outer, int step, int n)
{
    const uint8_t *from = (const uint8_t *)x;
    for (int o = 0; o < outer; o++) {
        if (!table) __builtin_memcpy(y + o * step, from + o * n, (size_t)n);
        else
            for (int i = 0; i < n; i++) y[o * step + i] = table[256 * part + from[o * n + i]];
    }
    return y + n;
}

PUCE_KERNEL void puce_concatenate_2(const void *a, const void *b, void *y, const uint8_t *table, int outer, int
                                    step, int n0, int n1)
{
    uint8_t *to = puce_part(a, (uint8_t *)y, table, 0, outer, step, n0);
    puce_part(b, to, table, 1, outer, step, n1);
}

PUCE_KERNEL void puce_concatenate_3(const void *a, const void *b, const void *c, void *y, const uint8_t *table,
                                    int outer, int step, int n0, int n1, int n2)
{
    uint8_t *to = puce_part(a, (uint8_t *)y, table, 0, outer, step, n0);
    to = puce_part(b, to, table, 1, outer, step, n1);
    puce_part(c, to, table, 2, outer, step, n2);
}

PUCE_KERNEL void puce_concatenate_4(const void *a, const void *b, const void *c, const void *d, void *y, const
                                    uint8_t *table, int outer, int step, int n0, int n1, int n2, int n3)
{
    uint8_t *to = puce_part(a, (uint8_t *)y, table, 0, outer, step, n0);
    to = puce_part(b, to, table, 1, outer, step, n1);
    to = puce_part(c, to, table, 2, outer, step, n2);
    puce_part(d, to, table, 3, outer, step, n3);
}

PUCE_KERNEL void puce_concatenate_5(const void *a, const void *b, const void *c, const void *d, const void *e,
                                    void *y, const uint8_t *table, int outer, int step, int n0, int n1, int n2,
                                    int n3, int n4)
{
    uint8_t *to = puce_part(a, (uint8_t *)y, table, 0, outer, step, n0);
    to = puce_part(b, to, table, 1, outer, step, n1);
    to = puce_part(c, to, table, 2, outer, step, n2);
    to = puce_part(d, to, table, 3, outer, step, n3);
    puce_part(e, to, table, 4, outer, step, n4);
}

PUCE_KERNEL void puce_concatenate_6(const void *a, const void *b, const void *c, const void *d, const void *e,
                                    const void *f, void *y, const uint8_t *table, int outer, int step, int n0,
                                    int n1, int n2, int n3, int n4, int n5)
{
    uint8_t *to = puce_part(a, (uint8_t *)y, table, 0, outer, step, n0);
    to = puce_part(b, to, table, 1, outer, step, n1);
    to = puce_part(c, to, table, 2, outer, step, n2);
    to = puce_part(d, to, table, 3, outer, step, n3);
    to = puce_part(e, to, table, 4, outer, step, n4);
    puce_part(f, to, table, 5, outer, step, n5);
}

PUCE_KERNEL void puce_concatenate_7(const void *a, const void *b, const void *c, const void *d, const void *e,
                                    const void *f, const void *g, void *y, const uint8_t *table, int outer, int
                                    step, int n0, int n1, int n2, int n3, int n4, int n5, int n6)
{
    uint8_t *to = puce_part(a, (uint8_t *)y, table, 0, outer, step, n0);
    to = puce_part(b, to, table, 1, outer, step, n1);
    to = puce_part(c, to, table, 2, outer, step, n2);
    to = puce_part(d, to, table, 3, outer, step, n3);
    to = puce_part(e, to, table, 4, outer, step, n4);
    to = puce_part(f, to, table, 5, outer, step, n5);
    puce_part(g, to, table, 6, outer, step, n6);
}

PUCE_KERNEL void puce_concatenate_8(const void *a, const void *b, const void *c, const void *d, const void *e,
                                    const void *f, const void *g, const void *h, void *y, const uint8_t *table,
                                    int outer, int step, int n0, int n1, int n2, int n3, int n4, int n5, int n6,
                                    int n7)
{
    uint8_t *to = puce_part(a, (uint8_t *)y, table, 0, outer, step, n0);
    to = puce_part(b, to, table, 1, outer, step, n1);
    to = puce_part(c, to, table, 2, outer, step, n2);
    to = puce_part(d, to, table, 3, outer, step, n3);
    to = puce_part(e, to, table, 4, outer, step, n4);
    to = puce_part(f, to, table, 5, outer, step, n5);
    to = puce_part(g, to, table, 6, outer, step, n6);
    puce_part(h, to, table, 7, outer, step, n7);
}

#endif
