/* SPDX-License-Identifier: Apache-2.0
   Global mean: firing `row` adds one input row [w, c] to the sums [c] in `state`; the last of h writes the output [c]. */
#ifndef PUCE_MEAN_H
#define PUCE_MEAN_H

#include "puce_kernel.h"

/* The multiplier holds 1 / (h * w) too. A sum fits int32 while h * w < 2^23. */
PUCE_KERNEL void puce_mean_s8(const int8_t *x, int8_t *y, void *state, int row, int h, int w, int c,
                              int x_zero, int y_zero, int32_t multiplier, int32_t shift)
{
    int32_t *sums = state;
    for (int i = 0; i < c; i++) {
        int32_t sum = row > 0 ? sums[i] : -x_zero * h * w;
        for (int ix = 0; ix < w; ix++) sum += x[ix * c + i];
        sums[i] = sum;
        if (row == h - 1) y[i] = (int8_t)puce_clamp(puce_requantize(sum, multiplier, shift) + y_zero, -128, 127);
    }
}

PUCE_KERNEL void puce_mean_f32(const float *x, float *y, void *state, int row, int h, int w, int c)
{
    float *sums = state;
    for (int i = 0; i < c; i++) {
        float sum = row > 0 ? sums[i] : 0.0f;
        for (int ix = 0; ix < w; ix++) sum += x[ix * c + i];
        sums[i] = sum;
        if (row == h - 1) y[i] = sum / (float)(h * w);
    }
}

#endif
