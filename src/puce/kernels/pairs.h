/* SPDX-License-Identifier: Apache-2.0
   Element-wise operators of two operands, and how any broadcast of them is walked. y may be a or b where that operand
   is as large as y. A byte is signed or unsigned by a literal. */
#ifndef PUCE_PAIRS_H
#define PUCE_PAIRS_H

#include "puce_kernel.h"

/* Three nested loops of n[0], n[1], n[2] turns: how far a and b move in each. An operand in flash has `row` values for
   each firing. All are literals, so loops of one turn and steps of zero vanish. */
typedef struct {
    int n[3], a[3], b[3], row;
} puce_pairs;

/* Run the statement for each value y[k] of a[i] and b[j]. */
#define PUCE_EACH_PAIR(s, ...)                                                     \
    for (int i0 = 0, k = 0; i0 < (s).n[0]; i0++)                                   \
        for (int i1 = 0; i1 < (s).n[1]; i1++)                                      \
            for (int i2 = 0; i2 < (s).n[2]; i2++, k++) {                           \
                const int i = i0 * (s).a[0] + i1 * (s).a[1] + i2 * (s).a[2];       \
                const int j = i0 * (s).b[0] + i1 * (s).b[1] + i2 * (s).b[2];       \
                __VA_ARGS__;                                                       \
            }

PUCE_KERNEL int32_t puce_value(const void *x, int i, int is_unsigned)
{
    return is_unsigned ? ((const uint8_t *)x)[i] : ((const int8_t *)x)[i];
}

/* Where the constants of a firing begin. */
PUCE_KERNEL const void *puce_row_of(const void *b, int row, puce_pairs s)
{
    return (const uint8_t *)b + row * s.row;
}

/* The product of two real values, requantised. It fits int32: 255 * 255. */
PUCE_KERNEL void puce_mul_8(const void *a, const void *b, void *y, puce_pairs s, int is_unsigned, int a_zero, int b_zero,
                            int y_zero, int32_t multiplier, int32_t shift, int low, int high)
{
    PUCE_EACH_PAIR(s, {
        const int32_t p = (puce_value(a, i, is_unsigned) - a_zero) * (puce_value(b, j, is_unsigned) - b_zero);
        ((uint8_t *)y)[k] = (uint8_t)puce_clamp(puce_requantize(p, multiplier, shift) + y_zero, low, high);
    })
}

PUCE_KERNEL void puce_mul_constant_8(const void *a, void *y, const void *b, int row, puce_pairs s, int is_unsigned,
                                     int a_zero, int b_zero, int y_zero, int32_t multiplier, int32_t shift, int low,
                                     int high)
{
    puce_mul_8(a, puce_row_of(b, row, s), y, s, is_unsigned, a_zero, b_zero, y_zero, multiplier, shift, low, high);
}

PUCE_KERNEL void puce_mul_f32(const float *a, const float *b, float *y, puce_pairs s, float low, float high)
{
    PUCE_EACH_PAIR(s, y[k] = puce_clamp_f32(a[i] * b[j], low, high))
}

PUCE_KERNEL void puce_mul_constant_f32(const float *a, float *y, const float *b, int row, puce_pairs s, float low,
                                       float high)
{
    puce_mul_f32(a, b + row * s.row, y, s, low, high);
}

PUCE_KERNEL void puce_div_f32(const float *a, const float *b, float *y, puce_pairs s, int reverse, float low, float high)
{
    PUCE_EACH_PAIR(s, y[k] = puce_clamp_f32(reverse ? b[j] / a[i] : a[i] / b[j], low, high))
}

PUCE_KERNEL void puce_div_constant_f32(const float *a, float *y, const float *b, int row, puce_pairs s, int reverse,
                                       float low, float high)
{
    puce_div_f32(a, b + row * s.row, y, s, reverse, low, high);
}

/* A byte in the output's quantisation; a multiplier of 0 says that it is so already. */
PUCE_KERNEL int32_t puce_rescaled(int32_t q, int is_unsigned, int zero, int y_zero, int32_t multiplier, int32_t shift)
{
    const int low = is_unsigned ? 0 : -128;
    return multiplier == 0 ? q : puce_clamp(puce_requantize(q - zero, multiplier, shift) + y_zero, low, low + 255);
}

/* The larger (sign 1) or the smaller (sign -1) of two values. */
PUCE_KERNEL void puce_extreme_8(const void *a, const void *b, void *y, puce_pairs s, int is_unsigned, int sign,
                                int a_zero, int b_zero, int y_zero, int32_t a_multiplier, int32_t a_shift,
                                int32_t b_multiplier, int32_t b_shift)
{
    PUCE_EACH_PAIR(s, {
        const int32_t first = puce_rescaled(puce_value(a, i, is_unsigned), is_unsigned, a_zero, y_zero, a_multiplier, a_shift);
        const int32_t second = puce_rescaled(puce_value(b, j, is_unsigned), is_unsigned, b_zero, y_zero, b_multiplier, b_shift);
        ((uint8_t *)y)[k] = (uint8_t)(sign * first > sign * second ? first : second);
    })
}

PUCE_KERNEL void puce_extreme_constant_8(const void *a, void *y, const void *b, int row, puce_pairs s, int is_unsigned,
                                         int sign, int a_zero, int b_zero, int y_zero, int32_t a_multiplier,
                                         int32_t a_shift, int32_t b_multiplier, int32_t b_shift)
{
    puce_extreme_8(a, puce_row_of(b, row, s), y, s, is_unsigned, sign, a_zero, b_zero, y_zero, a_multiplier, a_shift,
                   b_multiplier, b_shift);
}

PUCE_KERNEL void puce_extreme_f32(const float *a, const float *b, float *y, puce_pairs s, int sign)
{
    PUCE_EACH_PAIR(s, y[k] = (sign > 0 ? a[i] > b[j] : a[i] < b[j]) ? a[i] : b[j])
}

PUCE_KERNEL void puce_extreme_constant_f32(const float *a, float *y, const float *b, int row, puce_pairs s, int sign)
{
    puce_extreme_f32(a, b + row * s.row, y, s, sign);
}

/* x where it is not negative, else x times the slope beside it. */
PUCE_KERNEL void puce_prelu_constant_8(const void *a, void *y, const void *b, int row, puce_pairs s, int is_unsigned,
                                       int a_zero, int b_zero, int y_zero, int32_t multiplier, int32_t shift,
                                       int32_t slope_multiplier, int32_t slope_shift, int low, int high)
{
    const void *slopes = puce_row_of(b, row, s);
    PUCE_EACH_PAIR(s, {
        const int32_t x = puce_value(a, i, is_unsigned) - a_zero;
        const int32_t slope = puce_value(slopes, j, is_unsigned) - b_zero;
        const int32_t q = x >= 0 ? puce_requantize(x, multiplier, shift) : puce_requantize(x * slope, slope_multiplier, slope_shift);
        ((uint8_t *)y)[k] = (uint8_t)puce_clamp(q + y_zero, low, high);
    })
}

PUCE_KERNEL void puce_prelu_constant_f32(const float *a, float *y, const float *b, int row, puce_pairs s)
{
    PUCE_EACH_PAIR(s, y[k] = a[i] >= 0.0f ? a[i] : a[i] * b[row * s.row + j])
}

#endif
