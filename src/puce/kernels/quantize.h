/* SPDX-License-Identifier: Apache-2.0
   Quantize: n real numbers to integers, or integers to those of another scale. A type is its bytes, and whether it is
   unsigned. */
#ifndef PUCE_QUANTIZE_H
#define PUCE_QUANTIZE_H

#include "cast.h"
#include "puce_kernel.h"

/* One multiply-add and a shift. The compiler has tried all 256 values: each gives what puce_requantize_rows gives. */
PUCE_KERNEL void puce_requantize_affine(const void *x, void *y, int n, int x_unsigned, int y_unsigned, int32_t factor,
                                        int32_t offset, int shift)
{
    const int low = y_unsigned ? 0 : -128;
    for (int i = 0; i < n; i++)
        ((uint8_t *)y)[i] = (uint8_t)puce_clamp((puce_integer(x, i, 1, x_unsigned) * factor + offset) >> shift, low, low + 255);
}

PUCE_KERNEL void puce_requantize_rows(const void *x, void *y, int n, int x_bytes, int x_unsigned, int y_bytes,
                                      int x_zero, int y_zero, int32_t multiplier, int32_t shift, int32_t low,
                                      int32_t high)
{
    for (int i = 0; i < n; i++) {
        const int32_t q = puce_requantize(puce_integer(x, i, x_bytes, x_unsigned) - x_zero, multiplier, shift) + y_zero;
        puce_store(y, i, y_bytes, puce_clamp(q, low, high));
    }
}

/* x / scale rounded half away from zero. Ratios are clamped first, so that the conversion is defined; NaN becomes low. */
PUCE_KERNEL void puce_quantize_f32(const float *x, void *y, int n, int y_bytes, float scale, int y_zero, int low, int high)
{
    for (int i = 0; i < n; i++) {
        float ratio = x[i] / scale;
        ratio = ratio > -131072.0f ? ratio : -131072.0f;
        ratio = ratio < 131072.0f ? ratio : 131072.0f;
        int32_t q = (int32_t)ratio;
        const float rest = ratio - (float)q;
        q += (rest >= 0.5f) - (rest <= -0.5f);
        puce_store(y, i, y_bytes, puce_clamp(q + y_zero, low, high));
    }
}

#endif
