/* SPDX-License-Identifier: Apache-2.0
   Softmax: n vectors of c values each. y may be x. */
#ifndef PUCE_SOFTMAX_H
#define PUCE_SOFTMAX_H

#include "exp.h"

/* a * b as fractions of 2^31, rounded. */
PUCE_KERNEL int32_t puce_fraction_product(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* 2^62 / (2^31 + a) for 0 <= a: the reciprocal of 1 + a / 2^31 as a fraction, by three steps of Newton's method. */
PUCE_KERNEL int32_t puce_reciprocal_of_one_plus(int32_t a)
{
    const int32_t half = (int32_t)(((uint32_t)a + 0x80000000u) >> 1);  /* (1 + a) / 2, in 1/2 .. 1 */
    int32_t x = 1515870810 - puce_fraction_product(half, 1010580540);  /* 48/17 - 32/17 * half, times 2^29 */
    for (int step = 0; step < 3; step++)
        x += 4 * puce_fraction_product(x, (1 << 29) - puce_fraction_product(half, x));
    return x >= (1 << 30) ? INT32_MAX : 2 * x;
}

/* exps[d] is exp(-d * scale * beta) times 2^31; values further than `entries` below the largest count as zero.
   The sum has 19 bits after the point: it fits int32 while c < 4096. */
PUCE_KERNEL void puce_softmax_s8(const int8_t *x, int8_t *y, const int32_t *exps, int n, int c, int entries)
{
    for (int v = 0; v < n; v++, x += c, y += c) {
        int32_t top = -128, sum = 0, zeros = 0;
        for (int i = 0; i < c; i++) top = x[i] > top ? x[i] : top;
        for (int i = 0; i < c; i++)
            if (top - x[i] < entries) sum += (int32_t)(((uint32_t)exps[top - x[i]] + (1u << 11)) >> 12);
        while (!((uint32_t)sum << zeros & 0x80000000u)) zeros++;
        const int32_t inverse = puce_reciprocal_of_one_plus((int32_t)(((uint32_t)sum << zeros) - 0x80000000u));
        const int right = 35 - zeros;
        for (int i = 0; i < c; i++) {
            int32_t q = 0;
            if (top - x[i] < entries && right < 32) {
                const uint32_t p = (uint32_t)puce_fraction_product(inverse, exps[top - x[i]]);
                q = (int32_t)((p + (1u << (right - 1))) >> right);
            }
            y[i] = (int8_t)puce_clamp(q - 128, -128, 127);
        }
    }
}

PUCE_KERNEL void puce_softmax_f32(const float *x, float *y, int n, int c, float beta)
{
    for (int v = 0; v < n; v++, x += c, y += c) {
        float top = x[0], sum = 0.0f;
        for (int i = 1; i < c; i++) top = x[i] > top ? x[i] : top;
        for (int i = 0; i < c; i++) {
            y[i] = puce_exp_f32((x[i] - top) * beta);
            sum += y[i];
        }
        for (int i = 0; i < c; i++) y[i] /= sum;
    }
}

#endif
