/* SPDX-License-Identifier: Apache-2.0
   Sums, means, extremes and their places. The streaming ones take in one input row [w, c] a firing and keep what they
   have in `state` [c]; the last of h firings writes the output [c]. The others take x as [k0][r0][k1][r1][k2], where
   the axes r vanish. */
#ifndef PUCE_REDUCE_H
#define PUCE_REDUCE_H

#include "puce_kernel.h"

PUCE_KERNEL int32_t puce_element(const void *x, int i, int is_unsigned)
{
    return is_unsigned ? ((const uint8_t *)x)[i] : ((const int8_t *)x)[i];
}

PUCE_KERNEL uint8_t puce_finished_sum(int32_t sum, int is_unsigned, int y_zero, int32_t multiplier, int32_t shift)
{
    const int low = is_unsigned ? 0 : -128;
    return (uint8_t)puce_clamp(puce_requantize(sum, multiplier, shift) + y_zero, low, low + 255);
}

/* The multiplier of a mean holds 1 / (h * w) too. A sum fits int32 while h * w < 2^23. */
PUCE_KERNEL void puce_mean_8(const void *x, void *y, void *state, int row, int h, int w, int c, int is_unsigned,
                             int x_zero, int y_zero, int32_t multiplier, int32_t shift)
{
    int32_t *sums = state;
    for (int i = 0; i < c; i++) {
        int32_t sum = row > 0 ? sums[i] : -x_zero * h * w;
        for (int ix = 0; ix < w; ix++) sum += puce_element(x, ix * c + i, is_unsigned);
        sums[i] = sum;
        if (row == h - 1) ((uint8_t *)y)[i] = puce_finished_sum(sum, is_unsigned, y_zero, multiplier, shift);
    }
}

PUCE_KERNEL void puce_mean_f32(const float *x, float *y, void *state, int row, int h, int w, int c, int values)
{
    float *sums = state;
    for (int i = 0; i < c; i++) {
        float sum = row > 0 ? sums[i] : 0.0f;
        for (int ix = 0; ix < w; ix++) sum += x[ix * c + i];
        sums[i] = sum;
        if (row == h - 1) y[i] = sum / (float)values;
    }
}

PUCE_KERNEL void puce_mean_of_axes_8(const void *x, void *y, int k0, int r0, int k1, int r1, int k2, int is_unsigned,
                                     int x_zero, int y_zero, int32_t multiplier, int32_t shift)
{
    for (int i = 0; i < k0 * k1 * k2; i++) {
        const int first = (i / (k1 * k2) * r0 * k1 + i / k2 % k1) * r1 * k2 + i % k2;
        int32_t sum = -x_zero * r0 * r1;
        for (int j0 = 0; j0 < r0; j0++)
            for (int j1 = 0; j1 < r1; j1++) sum += puce_element(x, first + (j0 * k1 * r1 + j1) * k2, is_unsigned);
        ((uint8_t *)y)[i] = puce_finished_sum(sum, is_unsigned, y_zero, multiplier, shift);
    }
}

PUCE_KERNEL void puce_mean_of_axes_f32(const float *x, float *y, int k0, int r0, int k1, int r1, int k2, int values)
{
    for (int i = 0; i < k0 * k1 * k2; i++) {
        const float *first = x + (i / (k1 * k2) * r0 * k1 + i / k2 % k1) * r1 * k2 + i % k2;
        float sum = 0.0f;
        for (int j0 = 0; j0 < r0; j0++)
            for (int j1 = 0; j1 < r1; j1++) sum += first[(j0 * k1 * r1 + j1) * k2];
        y[i] = sum / (float)values;
    }
}

/* The largest (sign 1) or the smallest (sign -1). */
PUCE_KERNEL void puce_reduce_extreme_8(const void *x, void *y, void *state, int row, int h, int w, int c,
                                       int is_unsigned, int sign)
{
    uint8_t *known = state;
    for (int i = 0; i < c; i++) {
        int32_t best = row > 0 ? puce_element(known, i, is_unsigned) : puce_element(x, i, is_unsigned);
        for (int ix = 0; ix < w; ix++) {
            const int32_t q = puce_element(x, ix * c + i, is_unsigned);
            best = sign * q > sign * best ? q : best;
        }
        known[i] = (uint8_t)best;
        if (row == h - 1) ((uint8_t *)y)[i] = (uint8_t)best;
    }
}

PUCE_KERNEL void puce_reduce_extreme_f32(const float *x, float *y, void *state, int row, int h, int w, int c, int sign)
{
    float *known = state;
    for (int i = 0; i < c; i++) {
        float best = row > 0 ? known[i] : x[i];
        for (int ix = 0; ix < w; ix++) {
            const float q = x[ix * c + i];
            best = (sign > 0 ? q > best : q < best) ? q : best;
        }
        known[i] = best;
        if (row == h - 1) y[i] = best;
    }
}

PUCE_KERNEL void puce_reduce_extreme_of_axes_8(const void *x, void *y, int k0, int r0, int k1, int r1, int k2,
                                               int is_unsigned, int sign)
{
    for (int i = 0; i < k0 * k1 * k2; i++) {
        const int first = (i / (k1 * k2) * r0 * k1 + i / k2 % k1) * r1 * k2 + i % k2;
        int32_t best = puce_element(x, first, is_unsigned);
        for (int j0 = 0; j0 < r0; j0++)
            for (int j1 = 0; j1 < r1; j1++) {
                const int32_t q = puce_element(x, first + (j0 * k1 * r1 + j1) * k2, is_unsigned);
                best = sign * q > sign * best ? q : best;
            }
        ((uint8_t *)y)[i] = (uint8_t)best;
    }
}

PUCE_KERNEL void puce_reduce_extreme_of_axes_f32(const float *x, float *y, int k0, int r0, int k1, int r1, int k2,
                                                 int sign)
{
    for (int i = 0; i < k0 * k1 * k2; i++) {
        const float *first = x + (i / (k1 * k2) * r0 * k1 + i / k2 % k1) * r1 * k2 + i % k2;
        float best = *first;
        for (int j0 = 0; j0 < r0; j0++)
            for (int j1 = 0; j1 < r1; j1++) {
                const float q = first[(j0 * k1 * r1 + j1) * k2];
                best = (sign > 0 ? q > best : q < best) ? q : best;
            }
        y[i] = best;
    }
}

/* x is [outer][n][inner]; the first of equal ones wins. */
PUCE_KERNEL void puce_arg_max_8(const void *x, int32_t *y, int outer, int n, int inner, int is_unsigned)
{
    for (int i = 0; i < outer * inner; i++) {
        const int first = i / inner * n * inner + i % inner;
        int best = 0;
        for (int j = 1; j < n; j++)
            if (puce_element(x, first + j * inner, is_unsigned) > puce_element(x, first + best * inner, is_unsigned)) best = j;
        y[i] = best;
    }
}

PUCE_KERNEL void puce_arg_max_f32(const float *x, int32_t *y, int outer, int n, int inner)
{
    for (int i = 0; i < outer * inner; i++) {
        const float *first = x + i / inner * n * inner + i % inner;
        int best = 0;
        for (int j = 1; j < n; j++)
            if (first[j * inner] > first[best * inner]) best = j;
        y[i] = best;
    }
}

#endif
