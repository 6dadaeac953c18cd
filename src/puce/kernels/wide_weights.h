/* SPDX-License-Identifier: Apache-2.0
   Sums of products with int16 weights: those of old uint8 networks, whose zero point is taken off and which then no longer
   fit 8 bits. Plain loops: such a network is worth quantising again. Every weight is -255 .. 255, so a sum fits int32
   while it has at most 33000 taps. Taps outside the picture are skipped: they are real zeros. */
#ifndef PUCE_WIDE_WEIGHTS_H
#define PUCE_WIDE_WEIGHTS_H

#include "dense.h"
#include "puce_kernel.h"

/* One output row [ow, oc] from kh input rows [w, c]; weights are [oc, kh, kw, c], requant is [oc, 3]: bias, multiplier,
   shift. */
PUCE_KERNEL void puce_conv_2d_s8_wide(const int8_t *const *x, int8_t *y, const int16_t *weights, const int32_t *requant,
                                      int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                      int x_zero, int y_zero, int low, int high)
{
    for (int ox = 0; ox < ow; ox++) {
        const int start = ox * sw - left;
        const int first = puce_first_tap(start, dw), last = puce_last_tap(start, dw, kw, w);
        for (int o = 0; o < oc; o++) {
            const int32_t *r = requant + 3 * o;
            int32_t sum = r[0];
            for (int ky = 0; ky < kh; ky++) {
                if (!x[ky]) continue;
                for (int kx = first; kx < last; kx++) {
                    const int16_t *wt = weights + ((o * kh + ky) * kw + kx) * c;
                    const int8_t *px = x[ky] + (start + kx * dw) * c;
                    for (int i = 0; i < c; i++) sum += (px[i] - x_zero) * wt[i];
                }
            }
            *y++ = (int8_t)puce_clamp(puce_requantize(sum, r[1], r[2]) + y_zero, low, high);
        }
    }
}

PUCE_KERNEL void puce_conv_1d_s8_wide(const int8_t *x, int8_t *y, const int16_t *weights, const int32_t *requant,
                                      int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                      int x_zero, int y_zero, int low, int high)
{
    puce_conv_2d_s8_wide(&x, y, weights, requant, w, c, ow, oc, kh, kw, sw, left, dw, x_zero, y_zero, low, high);
}

/* One output row [ow, c * m] from kh input rows [w, c]; weights are [kh, kw, c * m], requant is [c * m, 4]: bias, unused,
   multiplier, shift. */
PUCE_KERNEL void puce_depthwise_conv_2d_s8_wide(const int8_t *const *x, int8_t *y, const int16_t *weights,
                                                const int32_t *requant, int w, int c, int ow, int m, int kh, int kw,
                                                int sw, int left, int dw, int x_zero, int y_zero, int low, int high)
{
    for (int ox = 0; ox < ow; ox++) {
        const int start = ox * sw - left;
        const int first = puce_first_tap(start, dw), last = puce_last_tap(start, dw, kw, w);
        for (int o = 0; o < c * m; o++) {
            const int32_t *r = requant + 4 * o;
            int32_t sum = r[0];
            for (int ky = 0; ky < kh; ky++) {
                if (!x[ky]) continue;
                for (int kx = first; kx < last; kx++)
                    sum += (x[ky][(start + kx * dw) * c + o / m] - x_zero) * weights[(ky * kw + kx) * c * m + o];
            }
            *y++ = (int8_t)puce_clamp(puce_requantize(sum, r[2], r[3]) + y_zero, low, high);
        }
    }
}

PUCE_KERNEL void puce_depthwise_conv_1d_s8_wide(const int8_t *x, int8_t *y, const int16_t *weights,
                                                const int32_t *requant, int w, int c, int ow, int m, int kh, int kw,
                                                int sw, int left, int dw, int x_zero, int y_zero, int low, int high)
{
    puce_depthwise_conv_2d_s8_wide(&x, y, weights, requant, w, c, ow, m, kh, kw, sw, left, dw, x_zero, y_zero, low, high);
}

/* y is [out], x is [n], weights are [out, n], requant is [out, 4] as in dense.h. */
PUCE_KERNEL void puce_dense_s8_wide(const int8_t *x, int8_t *y, const int16_t *weights, const int32_t *requant,
                                    int n, int out, int low, int high)
{
    for (int o = 0; o < out; o++, weights += n) {
        int32_t sum = 0;
        for (int i = 0; i < n; i++) sum += x[i] * weights[i];
        *y++ = puce_dense_requantize(sum, requant + 4 * o, low, high);
    }
}

#endif
