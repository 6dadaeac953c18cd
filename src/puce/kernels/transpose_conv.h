/* SPDX-License-Identifier: Apache-2.0
   Transposed convolution: output pixel (i, j) is the sum, over the taps with i + top - ky = iy * sh and j + left - kx =
   ix * sw, of in[iy][ix] times weights[oc][ky][kx]. x is [h, w, c], y [oh, ow, oc], weights [oc, kh, kw, c]. */
#ifndef PUCE_TRANSPOSE_CONV_H
#define PUCE_TRANSPOSE_CONV_H

#include "puce_kernel.h"

/* The place of the input that tap k of an output place meets, `at` being that place + what is cut off - k; or -1. */
PUCE_KERNEL int puce_met(int at, int stride, int n)
{
    return at < 0 || at % stride || at / stride >= n ? -1 : at / stride;
}

/* requant: an output channel: bias, multiplier, shift. The sum fits int32 while kh * kw * c < 2^16. */
PUCE_KERNEL void puce_transpose_conv_s8(const int8_t *x, int8_t *y, const int8_t *weights, const int32_t *requant, int h,
                                        int w, int c, int oh, int ow, int oc, int kh, int kw, int sh, int sw, int top,
                                        int left, int x_zero, int y_zero, int low, int high)
{
    for (int i = 0; i < oh; i++)
        for (int j = 0; j < ow; j++)
            for (int o = 0; o < oc; o++) {
                int32_t sum = requant[3 * o];
                for (int ky = 0; ky < kh; ky++) {
                    const int iy = puce_met(i + top - ky, sh, h);
                    for (int kx = 0; iy >= 0 && kx < kw; kx++) {
                        const int ix = puce_met(j + left - kx, sw, w);
                        if (ix < 0) continue;
                        const int8_t *in = x + (iy * w + ix) * c, *weight = weights + ((o * kh + ky) * kw + kx) * c;
                        for (int k = 0; k < c; k++) sum += (in[k] - x_zero) * weight[k];
                    }
                }
                *y++ = (int8_t)puce_clamp(puce_requantize(sum, requant[3 * o + 1], requant[3 * o + 2]) + y_zero, low, high);
            }
}

PUCE_KERNEL void puce_transpose_conv_f32(const float *x, float *y, const float *weights, const float *bias, int h, int w,
                                         int c, int oh, int ow, int oc, int kh, int kw, int sh, int sw, int top, int left,
                                         float low, float high)
{
    for (int i = 0; i < oh; i++)
        for (int j = 0; j < ow; j++)
            for (int o = 0; o < oc; o++) {
                float sum = bias[o];
                for (int ky = 0; ky < kh; ky++) {
                    const int iy = puce_met(i + top - ky, sh, h);
                    for (int kx = 0; iy >= 0 && kx < kw; kx++) {
                        const int ix = puce_met(j + left - kx, sw, w);
                        if (ix < 0) continue;
                        const float *in = x + (iy * w + ix) * c, *weight = weights + ((o * kh + ky) * kw + kx) * c;
                        for (int k = 0; k < c; k++) sum += in[k] * weight[k];
                    }
                }
                *y++ = puce_clamp_f32(sum, low, high);
            }
}

#endif
