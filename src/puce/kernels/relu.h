/* SPDX-License-Identifier: Apache-2.0
   ReLU that stands alone: n values clamped, in int8 also requantised. y may be x. */
#ifndef PUCE_RELU_H
#define PUCE_RELU_H

#include "puce_kernel.h"

/* One multiply-add and a shift. The compiler has tried all 256 values: each gives the reference's byte. */
PUCE_KERNEL void puce_relu_affine_s8(const int8_t *x, int8_t *y, int n, int32_t factor, int32_t offset, int shift,
                                     int low, int high)
{
    for (int i = 0; i < n; i++) y[i] = (int8_t)puce_clamp((x[i] * factor + offset) >> shift, low, high);
}

PUCE_KERNEL void puce_relu_f32(const float *x, float *y, int n, float low, float high)
{
    for (int i = 0; i < n; i++) y[i] = puce_clamp_f32(x[i], low, high);
}

#endif
