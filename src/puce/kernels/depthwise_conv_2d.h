/* SPDX-License-Identifier: Apache-2.0
   DepthwiseConv2D: one output row [ow, c * m] from kh input rows [w, c]; a null row is padding.
   Weights are [kh, kw, c * m]: output channel o filters input channel o / m. */
#ifndef PUCE_DEPTHWISE_CONV_2D_H
#define PUCE_DEPTHWISE_CONV_2D_H

#include "puce_kernel.h"

/* requant is [c * m, 3]: bias, multiplier, shift. Taps outside the picture are skipped: they are real zeros. */
PUCE_KERNEL void puce_depthwise_conv_2d_s8(const int8_t *const *x, int8_t *y, const int8_t *weights,
                                           const int32_t *requant, int w, int c, int ow, int m, int kh, int kw,
                                           int sw, int left, int dw, int x_zero, int y_zero, int low, int high)
{
    const int oc = c * m;
    for (int ox = 0; ox < ow; ox++) {
        const int start = ox * sw - left;
        const int first = puce_first_tap(start, dw), last = puce_last_tap(start, dw, kw, w);
        const int32_t *r = requant;
        for (int o = 0; o < oc; o++, r += 3) {
            int32_t sum = r[0];
            for (int ky = 0; ky < kh; ky++) {
                if (!x[ky] || first >= last) continue;
                const int8_t *wt = weights + (ky * kw + first) * oc + o;
                const int8_t *px = x[ky] + (start + first * dw) * c + o / m;
                for (int kx = first; kx < last; kx++, px += dw * c, wt += oc) sum += (*px - x_zero) * *wt;
            }
            *y++ = (int8_t)puce_clamp(puce_requantize(sum, r[1], r[2]) + y_zero, low, high);
        }
    }
}

PUCE_KERNEL void puce_depthwise_conv_2d_f32(const float *const *x, float *y, const float *weights, const float *bias,
                                            int w, int c, int ow, int m, int kh, int kw, int sw, int left, int dw,
                                            float low, float high)
{
    const int oc = c * m;
    for (int ox = 0; ox < ow; ox++) {
        const int start = ox * sw - left;
        const int first = puce_first_tap(start, dw), last = puce_last_tap(start, dw, kw, w);
        for (int o = 0; o < oc; o++) {
            float sum = bias[o];
            for (int ky = 0; ky < kh; ky++) {
                if (!x[ky] || first >= last) continue;
                const float *wt = weights + (ky * kw + first) * oc + o;
                const float *px = x[ky] + (start + first * dw) * c + o / m;
                for (int kx = first; kx < last; kx++, px += dw * c, wt += oc) sum += *px * *wt;
            }
            *y++ = puce_clamp_f32(sum, low, high);
        }
    }
}

/* The same for kernels of one row, which get that row itself. */
PUCE_KERNEL void puce_depthwise_conv_1d_s8(const int8_t *x, int8_t *y, const int8_t *weights,
                                           const int32_t *requant, int w, int c, int ow, int m, int kh, int kw,
                                           int sw, int left, int dw, int x_zero, int y_zero, int low, int high)
{
    puce_depthwise_conv_2d_s8(&x, y, weights, requant, w, c, ow, m, kh, kw, sw, left, dw, x_zero, y_zero, low, high);
}

PUCE_KERNEL void puce_depthwise_conv_1d_f32(const float *x, float *y, const float *weights, const float *bias,
                                            int w, int c, int ow, int m, int kh, int kw, int sw, int left, int dw,
                                            float low, float high)
{
    puce_depthwise_conv_2d_f32(&x, y, weights, bias, w, c, ow, m, kh, kw, sw, left, dw, low, high);
}

#endif
