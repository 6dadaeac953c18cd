/* SPDX-License-Identifier: Apache-2.0
   One tensor cut along an axis into one to eight: x is [outer, a + b + ...], part k becomes [outer, n_k] bytes. */
#ifndef PUCE_SPLIT_H
#define PUCE_SPLIT_H

#include "puce_kernel.h"

/* One part. Returns where the next one begins. */
PUCE_KERNEL const uint8_t *puce_take(const uint8_t *x, void *y, int outer, int step, int n)
{
    for (int o = 0; o < outer; o++) __builtin_memcpy((uint8_t *)y + o * n, x + o * step, (size_t)n);
    return x + n;
}

PUCE_KERNEL void puce_split_1(const void *x, void *a, int outer, int step, int n0)
{
    puce_take((const uint8_t *)x, a, outer, step, n0);
}

PUCE_KERNEL void puce_split_2(const void *x, void *a, void *b, int outer, int step, int n0, int n1)
{
    const uint8_t *from = puce_take((const uint8_t *)x, a, outer, step, n0);
    puce_take(from, b, outer, step, n1);
}

PUCE_KERNEL void puce_split_3(const void *x, void *a, void *b, void *c, int outer, int step, int n0, int n1, int
                              n2)
{
    const uint8_t *from = puce_take((const uint8_t *)x, a, outer, step, n0);
    from = puce_take(from, b, outer, step, n1);
    puce_take(from, c, outer, step, n2);
}

PUCE_KERNEL void puce_split_4(const void *x, void *a, void *b, void *c, void *d, int outer, int step, int n0,
                              int n1, int n2, int n3)
{
    const uint8_t *from = puce_take((const uint8_t *)x, a, outer, step, n0);
    from = puce_take(from, b, outer, step, n1);
    from = puce_take(from, c, outer, step, n2);
    puce_take(from, d, outer, step, n3);
}

PUCE_KERNEL void puce_split_5(const void *x, void *a, void *b, void *c, void *d, void *e, int outer, int step,
                              int n0, int n1, int n2, int n3, int n4)
{
    const uint8_t *from = puce_take((const uint8_t *)x, a, outer, step, n0);
    from = puce_take(from, b, outer, step, n1);
    from = puce_take(from, c, outer, step, n2);
    from = puce_take(from, d, outer, step, n3);
    puce_take(from, e, outer, step, n4);
}

PUCE_KERNEL void puce_split_6(const void *x, void *a, void *b, void *c, void *d, void *e, void *f, int outer,
                              int step, int n0, int n1, int n2, int n3, int n4, int n5)
{
    const uint8_t *from = puce_take((const uint8_t *)x, a, outer, step, n0);
    from = puce_take(from, b, outer, step, n1);
    from = puce_take(from, c, outer, step, n2);
    from = puce_take(from, d, outer, step, n3);
    from = puce_take(from, e, outer, step, n4);
    puce_take(from, f, outer, step, n5);
}

PUCE_KERNEL void puce_split_7(const void *x, void *a, void *b, void *c, void *d, void *e, void *f, void *g, int
                              outer, int step, int n0, int n1, int n2, int n3, int n4, int n5, int n6)
{
    const uint8_t *from = puce_take((const uint8_t *)x, a, outer, step, n0);
    from = puce_take(from, b, outer, step, n1);
    from = puce_take(from, c, outer, step, n2);
    from = puce_take(from, d, outer, step, n3);
    from = puce_take(from, e, outer, step, n4);
    from = puce_take(from, f, outer, step, n5);
    puce_take(from, g, outer, step, n6);
}

PUCE_KERNEL void puce_split_8(const void *x, void *a, void *b, void *c, void *d, void *e, void *f, void *g, void
                              *h, int outer, int step, int n0, int n1, int n2, int n3, int n4, int n5, int n6,
                              int n7)
{
    const uint8_t *from = puce_take((const uint8_t *)x, a, outer, step, n0);
    from = puce_take(from, b, outer, step, n1);
    from = puce_take(from, c, outer, step, n2);
    from = puce_take(from, d, outer, step, n3);
    from = puce_take(from, e, outer, step, n4);
    from = puce_take(from, f, outer, step, n5);
    from = puce_take(from, g, outer, step, n6);
    puce_take(from, h, outer, step, n7);
}

#endif
