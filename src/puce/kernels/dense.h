/* SPDX-License-Identifier: Apache-2.0
   Dense: y is [out], x is [n], weights are [out, n]. */
#ifndef PUCE_DENSE_H
#define PUCE_DENSE_H

#include "puce_kernel.h"

/* clamp((sum * multiplier + offset) >> (32 + shift)): equal to the rounded product of sum and a real scale, which
   packing.py proves. r is multiplier, shift, offset (low, high word); the shift is negative for scales from 1/2 on. */
PUCE_KERNEL int8_t puce_dense_requantize(int32_t sum, const int32_t *r, int low, int high)
{
    const int64_t offset = (int64_t)((uint64_t)(uint32_t)r[3] << 32 | (uint32_t)r[2]);
    const int64_t v = (int64_t)sum * r[0] + offset;
    if (r[1] >= 0) return (int8_t)puce_clamp((int32_t)(v >> 32) >> r[1], low, high);
    const int64_t q = v >> (32 + r[1]);
    return (int8_t)(q < low ? low : q > high ? high : q);
}

/* requant is [out, 4]. Four outputs a pass, so that an input is read once for four products; the last pass repeats its
   last output. The sum fits int32 while n <= 65000. */
PUCE_KERNEL void puce_dense_s8(const int8_t *x, int8_t *y, const int8_t *weights, const int32_t *requant,
                               int n, int out, int low, int high)
{
    for (int o = 0; o < out; o += 4) {
        const int more = out - o - 1;
        const int8_t *w0 = weights + o * n;
        const int8_t *w1 = w0 + (more < 1 ? more : 1) * n;
        const int8_t *w2 = w0 + (more < 2 ? more : 2) * n;
        const int8_t *w3 = w0 + (more < 3 ? more : 3) * n;
        int32_t sums[4] = {0, 0, 0, 0};
        for (int i = 0; i < n; i++) {
            const int32_t v = x[i];
            sums[0] += v * w0[i];
            sums[1] += v * w1[i];
            sums[2] += v * w2[i];
            sums[3] += v * w3[i];
        }
        for (int i = 0; i < 4 && i <= more; i++) *y++ = puce_dense_requantize(sums[i], requant + 4 * (o + i), low, high);
    }
}

PUCE_KERNEL void puce_dense_f32(const float *x, float *y, const float *weights, const float *bias, int n, int out,
                                float low, float high)
{
    for (int o = 0; o < out; o += 4) {
        const int more = out - o - 1;
        const float *w0 = weights + o * n;
        const float *w1 = w0 + (more < 1 ? more : 1) * n;
        const float *w2 = w0 + (more < 2 ? more : 2) * n;
        const float *w3 = w0 + (more < 3 ? more : 3) * n;
        float sums[4] = {0, 0, 0, 0};
        for (int i = 0; i < n; i++) {
            const float v = x[i];
            const float product[4] = {v * w0[i], v * w1[i], v * w2[i], v * w3[i]}; /* never fused with the sum */
            for (int j = 0; j < 4; j++) sums[j] += product[j];
        }
        for (int i = 0; i < 4 && i <= more; i++) *y++ = puce_clamp_f32(sums[i] + bias[o + i], low, high);
    }
}

/* The same for several vectors, one after the other. */
PUCE_KERNEL void puce_dense_rows_s8(const int8_t *x, int8_t *y, const int8_t *weights, const int32_t *requant,
                                    int vectors, int n, int out, int low, int high)
{
    for (int i = 0; i < vectors; i++, x += n, y += out) puce_dense_s8(x, y, weights, requant, n, out, low, high);
}

PUCE_KERNEL void puce_dense_rows_f32(const float *x, float *y, const float *weights, const float *bias, int vectors,
                                     int n, int out, float low, float high)
{
    for (int i = 0; i < vectors; i++, x += n, y += out) puce_dense_f32(x, y, weights, bias, n, out, low, high);
}

#endif
