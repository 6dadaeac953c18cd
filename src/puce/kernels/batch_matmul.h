/* SPDX-License-Identifier: Apache-2.0
   Batch matrix multiplication by a constant: each of n vectors [in] becomes [out]; weights are [out, in]. */
#ifndef PUCE_BATCH_MATMUL_H
#define PUCE_BATCH_MATMUL_H

#include "puce_kernel.h"

/* start: an output: - x_zero * sum of (weight - w_zero). The sum fits int32 while in < 2^15. */
PUCE_KERNEL void puce_batch_matmul_s8(const int8_t *x, int8_t *y, const int8_t *weights, const int32_t *start, int n,
                                      int in, int out, int w_zero, int y_zero, int32_t multiplier, int32_t shift)
{
    for (int i = 0; i < n; i++, x += in)
        for (int o = 0; o < out; o++) {
            const int8_t *w = weights + o * in;
            int32_t sum = start[o];
            for (int k = 0; k < in; k++) sum += x[k] * (w[k] - w_zero);
            *y++ = (int8_t)puce_clamp(puce_requantize(sum, multiplier, shift) + y_zero, -128, 127);
        }
}

PUCE_KERNEL void puce_batch_matmul_f32(const float *x, float *y, const float *weights, int n, int in, int out)
{
    for (int i = 0; i < n; i++, x += in)
        for (int o = 0; o < out; o++) {
            const float *w = weights + o * in;
            float sum = 0.0f;
            for (int k = 0; k < in; k++) sum += x[k] * w[k];
            *y++ = sum;
        }
}

#endif
