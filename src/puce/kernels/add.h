/* SPDX-License-Identifier: Apache-2.0
   Add and subtract: sums of two values, each with its sign. y may be a or b where that is as large as y. */
#ifndef PUCE_ADD_H
#define PUCE_ADD_H

#include "pairs.h"

/* Two multiply-adds and a shift. The compiler has tried all 65 536 pairs: each gives what puce_add_8 gives, and no
   partial sum leaves int32. */
PUCE_KERNEL void puce_add_affine_8(const void *a, const void *b, void *y, puce_pairs s, int is_unsigned,
                                   int32_t a_factor, int32_t b_factor, int32_t offset, int shift, int low, int high)
{
    PUCE_EACH_PAIR(s, {
        const int32_t first = puce_value(a, i, is_unsigned) * a_factor, second = puce_value(b, j, is_unsigned) * b_factor;
        ((uint8_t *)y)[k] = (uint8_t)puce_clamp((first + second + offset) >> shift, low, high);
    })
}

PUCE_KERNEL void puce_add_affine_constant_8(const void *a, void *y, const void *b, int row, puce_pairs s,
                                            int is_unsigned, int32_t a_factor, int32_t b_factor, int32_t offset,
                                            int shift, int low, int high)
{
    puce_add_affine_8(a, puce_row_of(b, row, s), y, s, is_unsigned, a_factor, b_factor, offset, shift, low, high);
}

/* TFLite's own scheme, to the letter: inputs and sum are requantised in 64 bits. */
PUCE_KERNEL void puce_add_8(const void *a, const void *b, void *y, puce_pairs s, int is_unsigned, int a_sign, int b_sign,
                            int a_zero, int b_zero, int y_zero, int32_t a_multiplier, int32_t a_shift,
                            int32_t b_multiplier, int32_t b_shift, int32_t multiplier, int32_t shift, int low, int high)
{
    PUCE_EACH_PAIR(s, {
        const int32_t first = (puce_value(a, i, is_unsigned) - a_zero) * (1 << 20);
        const int32_t second = (puce_value(b, j, is_unsigned) - b_zero) * (1 << 20);
        const int32_t sum = a_sign * puce_requantize(first, a_multiplier, a_shift)
                            + b_sign * puce_requantize(second, b_multiplier, b_shift);
        ((uint8_t *)y)[k] = (uint8_t)puce_clamp(puce_requantize(sum, multiplier, shift) + y_zero, low, high);
    })
}

PUCE_KERNEL void puce_add_constant_8(const void *a, void *y, const void *b, int row, puce_pairs s, int is_unsigned,
                                     int a_sign, int b_sign, int a_zero, int b_zero, int y_zero, int32_t a_multiplier,
                                     int32_t a_shift, int32_t b_multiplier, int32_t b_shift, int32_t multiplier,
                                     int32_t shift, int low, int high)
{
    puce_add_8(a, puce_row_of(b, row, s), y, s, is_unsigned, a_sign, b_sign, a_zero, b_zero, y_zero, a_multiplier,
               a_shift, b_multiplier, b_shift, multiplier, shift, low, high);
}

/* A sign is 1 or -1, and a literal. */
PUCE_KERNEL void puce_add_f32(const float *a, const float *b, float *y, puce_pairs s, int a_sign, int b_sign, float low,
                              float high)
{
    PUCE_EACH_PAIR(s, y[k] = puce_clamp_f32((a_sign > 0 ? a[i] : -a[i]) + (b_sign > 0 ? b[j] : -b[j]), low, high))
}

PUCE_KERNEL void puce_add_constant_f32(const float *a, float *y, const float *b, int row, puce_pairs s, int a_sign,
                                       int b_sign, float low, float high)
{
    puce_add_f32(a, b + row * s.row, y, s, a_sign, b_sign, low, high);
}

#endif
