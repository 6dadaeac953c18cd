/* SPDX-License-Identifier: Apache-2.0
   DepthwiseConv2D: one output row [ow, c * m] from kh input rows [w, c]; a null row is padding.
   Weights are [kh, kw, c * m]: output channel o filters input channel o / m. */
#ifndef PUCE_DEPTHWISE_CONV_2D_H
#define PUCE_DEPTHWISE_CONV_2D_H

#include "puce_kernel.h"

/* The output pixels whose windows lie in the picture are those from first (included) to last (excluded). */
PUCE_KERNEL int puce_first_inside(const void *const *x, int ow, int kh, int sw, int left)
{
    for (int ky = 0; ky < kh; ky++)
        if (!x[ky]) return ow;
    const int first = (left + sw - 1) / sw;
    return first < ow ? first : ow;
}

PUCE_KERNEL int puce_last_inside(int w, int ow, int kw, int sw, int left, int dw)
{
    const int room = w + left - (kw - 1) * dw - 1;
    const int last = room < 0 ? 0 : room / sw + 1;
    return last < ow ? last : ow;
}

/* Pixels whose taps all lie inside the picture, channel by channel, so that its weights are read once a row. The sum
   starts at bias - x_zero * (sum of weights), so that inputs are multiplied as they are. */
PUCE_KERNEL void puce_depthwise_s8_inside(const int8_t *const *x, int8_t *restrict y, const int8_t *weights,
                                          const int32_t *requant, int first, int last, int c, int m, int kh, int kw,
                                          int sw, int left, int dw, int y_zero, int low, int high)
{
    for (int o = 0; o < c * m; o++, requant += 4) {
        PUCE_ROLLED
        for (int ox = first; ox < last; ox++) {
            int32_t sum = requant[1];
            for (int ky = 0; ky < kh; ky++)
                for (int kx = 0; kx < kw; kx++)
                    sum += x[ky][(ox * sw - left + kx * dw) * c + o / m] * weights[(ky * kw + kx) * c * m + o];
            y[ox * c * m + o] = (int8_t)puce_clamp(puce_requantize(sum, requant[2], requant[3]) + y_zero, low, high);
        }
    }
}

/* One pixel at the border: taps outside the picture are skipped, they are real zeros. */
PUCE_KERNEL void puce_depthwise_s8_border(const int8_t *const *x, int8_t *y, const int8_t *weights,
                                          const int32_t *requant, int start, int w, int c, int m, int kh, int kw,
                                          int dw, int x_zero, int y_zero, int low, int high)
{
    const int first = puce_first_tap(start, dw), last = puce_last_tap(start, dw, kw, w);
    for (int o = 0; o < c * m; o++, requant += 4) {
        int32_t sum = requant[0];
        PUCE_ROLLED
        for (int ky = 0; ky < kh; ky++) {
            if (!x[ky]) continue;
            PUCE_ROLLED
            for (int kx = first; kx < last; kx++)
                sum += (x[ky][(start + kx * dw) * c + o / m] - x_zero) * weights[(ky * kw + kx) * c * m + o];
        }
        y[o] = (int8_t)puce_clamp(puce_requantize(sum, requant[2], requant[3]) + y_zero, low, high);
    }
}

/* requant is [c * m, 4]: bias, bias - x_zero * (sum of the channel's weights), multiplier, shift. */
PUCE_KERNEL void puce_depthwise_conv_2d_s8(const int8_t *const *x, int8_t *y, const int8_t *weights,
                                           const int32_t *requant, int w, int c, int ow, int m, int kh, int kw,
                                           int sw, int left, int dw, int x_zero, int y_zero, int low, int high)
{
    const int first = puce_first_inside((const void *const *)x, ow, kh, sw, left);
    const int last = puce_last_inside(w, ow, kw, sw, left, dw);
    puce_depthwise_s8_inside(x, y, weights, requant, first, last, c, m, kh, kw, sw, left, dw, y_zero, low, high);
    PUCE_ROLLED
    for (int ox = 0; ox < ow; ox++)
        if (ox < first || ox >= last)
            puce_depthwise_s8_border(x, y + ox * c * m, weights, requant, ox * sw - left, w, c, m, kh, kw, dw, x_zero,
                                     y_zero, low, high);
}

PUCE_KERNEL void puce_depthwise_f32_inside(const float *const *x, float *restrict y, const float *weights,
                                           const float *bias, int first, int last, int c, int m, int kh, int kw,
                                           int sw, int left, int dw, float low, float high)
{
    for (int o = 0; o < c * m; o++) {
        PUCE_ROLLED
        for (int ox = first; ox < last; ox++) {
            float sum = bias[o];
            for (int ky = 0; ky < kh; ky++)
                for (int kx = 0; kx < kw; kx++) {
                    const float value = x[ky][(ox * sw - left + kx * dw) * c + o / m];
                    const float product = value * weights[(ky * kw + kx) * c * m + o];
                    sum += product;
                }
            y[ox * c * m + o] = puce_clamp_f32(sum, low, high);
        }
    }
}

PUCE_KERNEL void puce_depthwise_f32_border(const float *const *x, float *y, const float *weights, const float *bias,
                                           int start, int w, int c, int m, int kh, int kw, int dw,
                                           float low, float high)
{
    const int first = puce_first_tap(start, dw), last = puce_last_tap(start, dw, kw, w);
    for (int o = 0; o < c * m; o++) {
        float sum = bias[o];
        PUCE_ROLLED
        for (int ky = 0; ky < kh; ky++) {
            if (!x[ky]) continue;
            PUCE_ROLLED
            for (int kx = first; kx < last; kx++) {
                const float product = x[ky][(start + kx * dw) * c + o / m] * weights[(ky * kw + kx) * c * m + o];
                sum += product;
            }
        }
        y[o] = puce_clamp_f32(sum, low, high);
    }
}

PUCE_KERNEL void puce_depthwise_conv_2d_f32(const float *const *x, float *y, const float *weights, const float *bias,
                                            int w, int c, int ow, int m, int kh, int kw, int sw, int left, int dw,
                                            float low, float high)
{
    const int first = puce_first_inside((const void *const *)x, ow, kh, sw, left);
    const int last = puce_last_inside(w, ow, kw, sw, left, dw);
    puce_depthwise_f32_inside(x, y, weights, bias, first, last, c, m, kh, kw, sw, left, dw, low, high);
    PUCE_ROLLED
    for (int ox = 0; ox < ow; ox++)
        if (ox < first || ox >= last)
            puce_depthwise_f32_border(x, y + ox * c * m, weights, bias, ox * sw - left, w, c, m, kh, kw, dw, low, high);
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
