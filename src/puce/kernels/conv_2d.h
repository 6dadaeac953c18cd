/* SPDX-License-Identifier: Apache-2.0
   Conv2D: one output row [ow, oc] from kh input rows [w, c]; a null row is padding. Weights are [oc, kh, kw, c]. */
#ifndef PUCE_CONV_2D_H
#define PUCE_CONV_2D_H

#include "puce_kernel.h"

/* sums += x[0..n) times four rows of weights, which lie `apart` from each other */
PUCE_KERNEL void puce_conv_2d_s8_run(int32_t *sums, const int8_t *x, const int8_t *weights, int n, const int *apart,
                                     int x_zero)
{
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (int i = 0; i < n; i++) {
        const int32_t v = x[i] - x_zero;
        const int8_t *w = weights + i;
        s0 += v * w[0];
        s1 += v * w[apart[1]];
        s2 += v * w[apart[2]];
        s3 += v * w[apart[3]];
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

/* requant is [oc, 3]: bias, multiplier, shift. Taps outside the picture are skipped: they are real zeros.
   The sum fits int32 while kh * kw * c <= 65000. Four channels a pass; the last pass repeats its last channel. */
PUCE_KERNEL void puce_conv_2d_s8(const int8_t *const *x, int8_t *y, const int8_t *weights, const int32_t *requant,
                                 int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                 int x_zero, int y_zero, int low, int high)
{
    const int taps = kh * kw * c;
    for (int ox = 0; ox < ow; ox++) {
        const int start = ox * sw - left;
        const int first = puce_first_tap(start, dw), last = puce_last_tap(start, dw, kw, w);
        for (int o = 0; o < oc; o += 4) {
            const int more = oc - o - 1;
            const int apart[4] = {0, (more < 1 ? more : 1) * taps, (more < 2 ? more : 2) * taps,
                                  (more < 3 ? more : 3) * taps};
            int32_t sums[4] = {0, 0, 0, 0};
            for (int ky = 0; ky < kh; ky++) {
                if (!x[ky] || first >= last) continue;
                const int8_t *wt = weights + o * taps + (ky * kw + first) * c;
                const int8_t *px = x[ky] + (start + first * dw) * c;
                if (dw == 1) {
                    puce_conv_2d_s8_run(sums, px, wt, (last - first) * c, apart, x_zero);
                } else {
                    for (int kx = first; kx < last; kx++, px += dw * c, wt += c)
                        puce_conv_2d_s8_run(sums, px, wt, c, apart, x_zero);
                }
            }
            for (int i = 0; i < 4 && i <= more; i++) {
                const int32_t *r = requant + 3 * (o + i);
                *y++ = (int8_t)puce_clamp(puce_requantize(sums[i] + r[0], r[1], r[2]) + y_zero, low, high);
            }
        }
    }
}

/* sums[channel][pixel] += four rows of weights, `apart` from each other, times `pixels` runs of x, `step` apart: a value
   read once serves four products, a weight as many as there are pixels */
PUCE_KERNEL void puce_conv_2d_f32_run(float sums[4][4], const float *x, int step, int pixels, const float *weights,
                                      const int *apart, int n)
{
    float s[4][4]; /* in registers */
    for (int o = 0; o < 4; o++)
        for (int p = 0; p < pixels; p++) s[o][p] = sums[o][p];
    PUCE_ROLLED
    for (int i = 0; i < n; i++) {
        float v[4];
        for (int p = 0; p < pixels; p++) v[p] = x[p * step + i];
        for (int o = 0; o < 4; o++) {
            const float weight = weights[apart[o] + i];
            float product[4]; /* apart from the sum, so that no compiler fuses them: slower here, and rounded otherwise */
            for (int p = 0; p < pixels; p++) product[p] = v[p] * weight;
            for (int p = 0; p < pixels; p++) s[o][p] += product[p];
        }
    }
    for (int o = 0; o < 4; o++)
        for (int p = 0; p < pixels; p++) sums[o][p] = s[o][p];
}

/* All channels of `pixels` pixels (4 or 1), whose windows reach out of the picture only if it is one pixel */
PUCE_KERNEL void puce_conv_2d_f32_pixels(const float *const *x, float *y, const float *weights, const float *bias,
                                         int pixels, int start, int w, int c, int oc, int kh, int kw, int sw, int dw,
                                         float low, float high)
{
    const int taps = kh * kw * c;
    const int first = pixels > 1 ? 0 : puce_first_tap(start, dw);
    const int last = pixels > 1 ? kw : puce_last_tap(start, dw, kw, w);
    for (int o = 0; o < oc; o += 4) {
        const int more = oc - o - 1, count = more < 3 ? more + 1 : 4;
        const int apart[4] = {0, (more < 1 ? more : 1) * taps, (more < 2 ? more : 2) * taps, (more < 3 ? more : 3) * taps};
        float sums[4][4] = {{0}};
        PUCE_ROLLED
        for (int ky = 0; ky < kh; ky++) {
            if (!x[ky] || first >= last) continue;
            const float *wt = weights + o * taps + (ky * kw + first) * c;
            const float *px = x[ky] + (start + first * dw) * c;
            if (dw == 1) {
                puce_conv_2d_f32_run(sums, px, sw * c, pixels, wt, apart, (last - first) * c);
            } else {
                for (int kx = first; kx < last; kx++, px += dw * c, wt += c)
                    puce_conv_2d_f32_run(sums, px, sw * c, pixels, wt, apart, c);
            }
        }
        PUCE_ROLLED
        for (int i = 0; i < count; i++)
            for (int p = 0; p < pixels; p++) y[p * oc + o + i] = puce_clamp_f32(sums[i][p] + bias[o + i], low, high);
    }
}

PUCE_KERNEL void puce_conv_2d_f32(const float *const *x, float *y, const float *weights, const float *bias,
                                  int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                  float low, float high)
{
    const int inside = left == 0 && (ow - 1) * sw + (kw - 1) * dw < w; /* no window leaves its rows */
    for (int ox = 0; ox < ow;) {
        const int start = ox * sw - left;
        if (ox + 4 <= ow && (inside || (start >= 0 && start + 3 * sw + (kw - 1) * dw < w))) {
            puce_conv_2d_f32_pixels(x, y + ox * oc, weights, bias, 4, start, w, c, oc, kh, kw, sw, dw, low, high);
            ox += 4;
        } else {
            puce_conv_2d_f32_pixels(x, y + ox * oc, weights, bias, 1, start, w, c, oc, kh, kw, sw, dw, low, high);
            ox++;
        }
    }
}

/* The same for kernels of one row, which get that row itself. */
PUCE_KERNEL void puce_conv_1d_s8(const int8_t *x, int8_t *y, const int8_t *weights, const int32_t *requant,
                                 int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                 int x_zero, int y_zero, int low, int high)
{
    puce_conv_2d_s8(&x, y, weights, requant, w, c, ow, oc, kh, kw, sw, left, dw, x_zero, y_zero, low, high);
}

PUCE_KERNEL void puce_conv_1d_f32(const float *x, float *y, const float *weights, const float *bias,
                                  int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                  float low, float high)
{
    puce_conv_2d_f32(&x, y, weights, bias, w, c, ow, oc, kh, kw, sw, left, dw, low, high);
}

#endif
