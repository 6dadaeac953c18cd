/* SPDX-License-Identifier: Apache-2.0
   Conv2D int8 for cores with the DSP extension, several rows of output at a time: of a narrow picture they are one long
   row to the core of conv_2d_dsp.h, which then reads weights and starts a pair of channels once for all of them. */
#ifndef PUCE_CONV_2D_BLOCK_DSP_H
#define PUCE_CONV_2D_BLOCK_DSP_H

#include "conv_2d_dsp.h"

/* x are the input rows of `rows` rows of output, or of as many as are left of `height`. Every `rows` firings they are all
   computed into `state`, the other firings copy theirs. The windows of all pixels are gathered as bytes first, a window
   behind the other; then they are widened towards the begin of the scratch, so that both share it: [pixels, taps] int16,
   of which the bytes take the second half and 4 windows behind it, which keeps them ahead of the words. */
PUCE_KERNEL void puce_conv_2d_s8_block(const int8_t *const *x, int8_t *y, const int32_t *table, void *state,
                                       void *scratch, int row, int w, int c, int height, int ow, int oc, int kh, int kw,
                                       int sh, int sw, int left, int dw, int x_zero, int low, int high, int rows,
                                       int signs)
{
    int8_t *const block = state;
    if (row % rows == 0) {
        const int n = height % rows && height - row < rows ? height - row : rows;
        const int taps = (kh * kw * c + 3) & ~3, pixels = n * ow;
        int8_t *const bytes = (int8_t *)scratch + (pixels + 4) * taps, *to = bytes;
        PUCE_ROLLED
        for (int k = 0; k < n; k++, x += sh) {
            if (kh * kw * sw == 1 && c % 4 == 0) {
                memcpy(to, x[0], (size_t)(ow * c));
                to += ow * taps;
                continue;
            }
            PUCE_ROLLED
            for (int ox = 0; ox < ow; ox++, to += taps)
                puce_window_bytes(to, x, ox * sw - left, w, c, kh, kw, dw == 1 ? kw : 1, dw, x_zero);
        }
        const int8_t *const gathered = bytes;
        puce_conv_2d_block(&gathered, block, table, scratch, pixels, 0, pixels, taps, oc, 1, 1, 1, 0, 1, x_zero, signs);
        if (low > -128 || high < 127)
            for (int i = 0; i < pixels * oc; i++) block[i] = (int8_t)puce_clamp(block[i], low, high);
    }
    memcpy(y, block + row % rows * ow * oc, (size_t)(ow * oc));
}

#endif
