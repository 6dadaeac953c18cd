/* SPDX-License-Identifier: Apache-2.0
   Conv2D int8 for cores without the DSP extension: weights of four output channels share a word. */
#ifndef PUCE_CONV_2D_QUADS_H
#define PUCE_CONV_2D_QUADS_H

#include "quads.h"

/* words are [oc / 4, kh, kw, c], rounding is [oc, 4] as puce_quads_round has it, both filled up to 4 channels. Taps outside
   the picture are skipped: they are real zeros. The sum fits int32 while kh * kw * c <= 65000. The weights of four channels
   pass over the whole row before the next: a small cache holds them. */
PUCE_KERNEL void puce_conv_2d_s8_quads(const int8_t *const *x, int8_t *y, const int32_t *words, const int32_t *rounding,
                                       int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                       int x_zero, int low, int high)
{
    PUCE_ROLLED
    for (int o = 0; o < oc; o += 4, words += kh * kw * c, rounding += 16) {
        int8_t *to = y + o;
        PUCE_ROLLED
        for (int ox = 0; ox < ow; ox++, to += oc) {
            const int start = ox * sw - left;
            const int first = puce_first_tap(start, dw), last = puce_last_tap(start, dw, kw, w);
            const int n = dw == 1 ? (last - first) * c : c;
            puce_quads_job job = {.rows = 0, .skip = 4 * (kw * c - n), .row = 4 * kw * c, .n = n, .minus_zero = -x_zero};
            PUCE_ROLLED
            for (int kx = first; kx < last; kx += dw == 1 ? last : 1) { /* side by side, or one by one */
                job.x = x, job.rows = kh;
                job.offset = (start + kx * dw) * c;
                job.words = words + kx * c;
                puce_quads_run(&job);
            }
            if (o + 4 <= oc) {
                puce_quads_finish(&job, rounding, to);
            } else {
                int8_t four[4];
                puce_quads_finish(&job, rounding, four);
                for (int i = 0; i < oc % 4; i++) to[i] = four[i];
            }
        }
    }
    if (low > -128 || high < 127)
        for (int i = 0; i < ow * oc; i++) y[i] = (int8_t)puce_clamp(y[i], low, high);
}

/* The same for kernels of one row, which get that row itself. */
PUCE_KERNEL void puce_conv_1d_s8_quads(const int8_t *x, int8_t *y, const int32_t *words, const int32_t *rounding,
                                       int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                       int x_zero, int low, int high)
{
    puce_conv_2d_s8_quads(&x, y, words, rounding, w, c, ow, oc, kh, kw, sw, left, dw, x_zero, low, high);
}

#endif
