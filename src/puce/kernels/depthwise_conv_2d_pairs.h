/* SPDX-License-Identifier: Apache-2.0
   DepthwiseConv2D int8 of any window for cores with the DSP extension: four channels at a time, two taps an instruction. */
#ifndef PUCE_DEPTHWISE_CONV_2D_PAIRS_H
#define PUCE_DEPTHWISE_CONV_2D_PAIRS_H

#include "dsp.h"

/* Four sums of one more pair of taps: a and b are four channels of two pixels, t the bytes (a0 a1 b0 b1), (a2 a3 b2 b3) of
   their weights. */
PUCE_KERNEL void puce_depthwise_two_taps(uint32_t *sum, int32_t a, int32_t b, const int32_t *t)
{
    const int32_t bottom = puce_bottoms(a, b), top = puce_tops(a, b);
    sum[0] = puce_smlad(puce_even(bottom), puce_even(t[0]), sum[0]);
    sum[1] = puce_smlad(puce_odd(bottom), puce_odd(t[0]), sum[1]);
    sum[2] = puce_smlad(puce_even(top), puce_even(t[1]), sum[2]);
    sum[3] = puce_smlad(puce_odd(top), puce_odd(t[1]), sum[3]);
}

/* Four channels of the pixel at column `at`, or padding */
PUCE_KERNEL int32_t puce_depthwise_pixel(const int8_t *x, int at, int w, int c, int o, int32_t zeros)
{
    return x && at >= 0 && at < w ? puce_word(x + at * c + o) : zeros;
}

/* One output row [ow, c] from kh input rows [w, c], c a multiple of 4. table holds for each four channels: kh * (kw + 1) / 2
   pairs of taps, two words each, the second tap of the last pair of a row of any value where kw is odd, its weight zero;
   then for each channel: start of the sum, multiplier, half, shift. */
PUCE_KERNEL void puce_depthwise_conv_2d_s8_pairs(const int8_t *const *x, int8_t *y, const int32_t *table,
                                                 int w, int c, int ow, int kh, int kw, int sw, int left, int dw,
                                                 int x_zero, int low, int high)
{
    const int32_t zeros = (int32_t)((uint32_t)(uint8_t)x_zero * 0x01010101u);
    const int pairs = (kw + 1) / 2;
    int rows = 1;
    PUCE_ROLLED
    for (int ky = 0; ky < kh; ky++) rows = rows && x[ky];
    PUCE_ROLLED
    for (int o = 0; o < c; o += 4, table += 2 * kh * pairs + 16) {
        const int32_t *const r = table + 2 * kh * pairs;
        PUCE_ROLLED
        for (int ox = 0; ox < ow; ox++) {
            const int start = ox * sw - left;
            const int32_t *t = table;
            uint32_t sum[4] = {(uint32_t)r[0], (uint32_t)r[4], (uint32_t)r[8], (uint32_t)r[12]};
            if (rows && start >= 0 && start + (kw - 1) * dw < w) {
                PUCE_ROLLED
                for (int ky = 0; ky < kh; ky++) {
                    const int8_t *const from = x[ky] + start * c + o;
                    for (int kx = 0; kx < kw; kx += 2, t += 2)
                        puce_depthwise_two_taps(sum, puce_word(from + kx * dw * c),
                                                puce_word(from + (kx + 1 < kw ? kx + 1 : kx) * dw * c), t);
                }
            } else {
                PUCE_ROLLED
                for (int ky = 0; ky < kh; ky++) {
                    PUCE_ROLLED
                    for (int kx = 0; kx < kw; kx += 2, t += 2)
                        puce_depthwise_two_taps(sum, puce_depthwise_pixel(x[ky], start + kx * dw, w, c, o, zeros),
                                                puce_depthwise_pixel(x[ky], start + (kx + 1) * dw, w, c, o, zeros), t);
                }
            }
            for (int i = 0; i < 4; i++) {
                const int8_t rounded = puce_round_twice((int32_t)(sum[i] << 1), r[4 * i + 1], r[4 * i + 2], r[4 * i + 3]);
                y[ox * c + o + i] = low > -128 || high < 127 ? (int8_t)puce_clamp(rounded, low, high) : rounded;
            }
        }
    }
}

/* The same for kernels of one row, which get that row itself */
PUCE_KERNEL void puce_depthwise_conv_1d_s8_pairs(const int8_t *x, int8_t *y, const int32_t *table,
                                                 int w, int c, int ow, int kh, int kw, int sw, int left, int dw,
                                                 int x_zero, int low, int high)
{
    puce_depthwise_conv_2d_s8_pairs(&x, y, table, w, c, ow, kh, kw, sw, left, dw, x_zero, low, high);
}

#endif
