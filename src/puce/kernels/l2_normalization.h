/* SPDX-License-Identifier: Apache-2.0
   L2 normalisation: n vectors of c values, each divided by its length. y may be x. */
#ifndef PUCE_L2_NORMALIZATION_H
#define PUCE_L2_NORMALIZATION_H

#include "exp.h"

/* a * b as fractions of 2^31, rounded. */
PUCE_KERNEL int32_t puce_root_product(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* x * 2^left where that fits, else the end of the range. */
PUCE_KERNEL int32_t puce_saturating_left(int32_t x, int left)
{
    const int32_t most = INT32_MAX >> left;
    return x > most ? INT32_MAX : x < -most - 1 ? INT32_MIN : (int32_t)((uint32_t)x << left);
}

/* 1 / sqrt(value) as multiplier * 2^(shift - 31), by five steps of Newton's method on numbers of 3 integer bits:
   x = 3/2 x - a/2 x^3, then x sqrt(1/2). The value is brought to 2^27 .. 2^29 first. */
PUCE_KERNEL int32_t puce_inverse_root_8(int32_t value, int32_t *shift)
{
    *shift = 0;
    if (value <= 1) return INT32_MAX;
    int right = 11;
    for (; value >= 1 << 29; right++) value /= 4;
    for (; value < 1 << 27; right--) value *= 4;
    const int32_t half = (value >> 1) / 2 + (value >> 1) % 2;
    int32_t x = 1 << 28;
    for (int step = 0; step < 5; step++) {
        const int32_t cube = puce_saturating_left(puce_root_product(puce_root_product(x, x), x), 6);
        x = puce_saturating_left(puce_root_product((1 << 28) + (1 << 27), x) - puce_root_product(half, cube), 3);
    }
    x = puce_root_product(x, 1518500250); /* sqrt(1/2) */
    *shift = right < 0 ? 0 : -right;
    return right < 0 ? (int32_t)((uint32_t)x << -right) : x;
}

/* A sum of squares fits int32 while c <= 33 000. The output's scale is 1/128. */
PUCE_KERNEL void puce_l2_normalization_8(const void *x, void *y, int n, int c, int is_unsigned, int x_zero)
{
    const uint8_t *in = x;
    uint8_t *out = y;
    const int low = is_unsigned ? 0 : -128, y_zero = is_unsigned ? 128 : 0;
    for (int v = 0; v < n; v++, in += c, out += c) {
        int32_t sum = 0, shift;
        for (int i = 0; i < c; i++) {
            const int32_t d = (is_unsigned ? in[i] : (int8_t)in[i]) - x_zero;
            sum += d * d;
        }
        const int32_t multiplier = puce_inverse_root_8(sum, &shift);
        for (int i = 0; i < c; i++) {
            const int32_t d = (is_unsigned ? in[i] : (int8_t)in[i]) - x_zero;
            out[i] = (uint8_t)puce_clamp(puce_requantize(is_unsigned ? d * 128 : d, multiplier, is_unsigned ? shift : shift + 7) + y_zero, low, low + 255);
        }
    }
}

PUCE_KERNEL void puce_l2_normalization_f32(const float *x, float *y, int n, int c)
{
    for (int v = 0; v < n; v++, x += c, y += c) {
        float sum = 0.0f;
        for (int i = 0; i < c; i++) sum += x[i] * x[i];
        const float factor = puce_inverse_root(sum > 1e-6f ? sum : 1e-6f);
        for (int i = 0; i < c; i++) y[i] = x[i] * factor;
    }
}

#endif
