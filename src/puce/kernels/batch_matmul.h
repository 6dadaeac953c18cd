/* SPDX-License-Identifier: Apache-2.0
   Batch matrix multiplication. By a constant: each of n vectors [in] becomes [out]; weights are [out, in]. Of two computed
   operands: x is [batch, m, k], w [batch, k, n] or, transposed, [batch, n, k]; y is [batch, m, n]. */
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

/* `across` and `down` are the steps in w from one column to the next, from one row to the next. */
PUCE_KERNEL void puce_batch_matmul_two_s8(const int8_t *x, const int8_t *w, int8_t *y, int batch, int m, int k, int n,
                                          int across, int down, int x_zero, int w_zero, int y_zero, int32_t multiplier,
                                          int32_t shift)
{
    for (int b = 0; b < batch; b++, w += k * n)
        for (int i = 0; i < m; i++, x += k)
            for (int j = 0; j < n; j++) {
                int32_t sum = 0;
                for (int t = 0; t < k; t++) sum += (x[t] - x_zero) * (w[j * across + t * down] - w_zero);
                *y++ = (int8_t)puce_clamp(puce_requantize(sum, multiplier, shift) + y_zero, -128, 127);
            }
}

PUCE_KERNEL void puce_batch_matmul_two_f32(const float *x, const float *w, float *y, int batch, int m, int k, int n,
                                           int across, int down)
{
    for (int b = 0; b < batch; b++, w += k * n)
        for (int i = 0; i < m; i++, x += k)
            for (int j = 0; j < n; j++) {
                float sum = 0.0f;
                for (int t = 0; t < k; t++) sum += x[t] * w[j * across + t * down];
                *y++ = sum;
            }
}

#endif
