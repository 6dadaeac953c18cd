/* SPDX-License-Identifier: Apache-2.0
   Add: n sums of two values. y may be a or b. */
#ifndef PUCE_ADD_H
#define PUCE_ADD_H

#include "puce_kernel.h"

/* Two multiply-adds and a shift. The compiler has tried all 65 536 pairs: each gives what puce_add_s8 gives, and no
   partial sum leaves int32. */
PUCE_KERNEL void puce_add_affine_s8(const int8_t *a, const int8_t *b, int8_t *y, int n, int32_t a_factor,
                                    int32_t b_factor, int32_t offset, int shift, int low, int high)
{
    for (int i = 0; i < n; i++)
        y[i] = (int8_t)puce_clamp((a[i] * a_factor + b[i] * b_factor + offset) >> shift, low, high);
}

/* TFLite's own scheme, to the letter: inputs and sum are requantised in 64 bits. */
PUCE_KERNEL void puce_add_s8(const int8_t *a, const int8_t *b, int8_t *y, int n, int a_zero, int b_zero, int y_zero,
                             int32_t a_multiplier, int32_t a_shift, int32_t b_multiplier, int32_t b_shift,
                             int32_t multiplier, int32_t shift, int low, int high)
{
    for (int i = 0; i < n; i++) {
        const int32_t first = puce_requantize((a[i] - a_zero) * (1 << 20), a_multiplier, a_shift);
        const int32_t second = puce_requantize((b[i] - b_zero) * (1 << 20), b_multiplier, b_shift);
        y[i] = (int8_t)puce_clamp(puce_requantize(first + second, multiplier, shift) + y_zero, low, high);
    }
}

PUCE_KERNEL void puce_add_f32(const float *a, const float *b, float *y, int n, float low, float high)
{
    for (int i = 0; i < n; i++) y[i] = puce_clamp_f32(a[i] + b[i], low, high);
}

#endif
