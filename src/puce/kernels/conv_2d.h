/* SPDX-License-Identifier: Apache-2.0
   Conv2D: one output row [ow, oc] from kh input rows [w, c]; a null row is padding. Weights are [oc, kh, kw, c]. */
#ifndef PUCE_CONV_2D_H
#define PUCE_CONV_2D_H

#include "puce_kernel.h"

/* requant is [oc, 3]: bias - x_zero * (sum of the channel's weights), multiplier, shift. A tap outside the picture adds
   x_zero * weight, so that it counts as real zero. The sum fits int32 while kh * kw * c < 2^16. */
PUCE_KERNEL void puce_conv_2d_s8(const int8_t *const *x, int8_t *y, const int8_t *weights, const int32_t *requant,
                                 int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                 int x_zero, int y_zero, int low, int high)
{
    for (int ox = 0; ox < ow; ox++) {
        const int8_t *wt = weights;
        for (int o = 0; o < oc; o++) {
            int32_t sum = requant[3 * o];
            for (int ky = 0; ky < kh; ky++)
                for (int kx = 0; kx < kw; kx++, wt += c) {
                    const int ix = ox * sw - left + kx * dw;
                    if (x[ky] && ix >= 0 && ix < w) {
                        const int8_t *px = x[ky] + ix * c;
                        for (int i = 0; i < c; i++) sum += px[i] * wt[i];
                    } else {
                        for (int i = 0; i < c; i++) sum += x_zero * wt[i];
                    }
                }
            const int32_t q = puce_requantize(sum, requant[3 * o + 1], requant[3 * o + 2]) + y_zero;
            *y++ = (int8_t)puce_clamp(q, low, high);
        }
    }
}

PUCE_KERNEL void puce_conv_2d_f32(const float *const *x, float *y, const float *weights, const float *bias,
                                  int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                  float low, float high)
{
    for (int ox = 0; ox < ow; ox++) {
        const float *wt = weights;
        for (int o = 0; o < oc; o++) {
            float sum = bias[o];
            for (int ky = 0; ky < kh; ky++)
                for (int kx = 0; kx < kw; kx++, wt += c) {
                    const int ix = ox * sw - left + kx * dw;
                    if (!x[ky] || ix < 0 || ix >= w) continue;
                    const float *px = x[ky] + ix * c;
                    for (int i = 0; i < c; i++) sum += px[i] * wt[i];
                }
            *y++ = puce_clamp_f32(sum, low, high);
        }
    }
}

#endif
