/* SPDX-License-Identifier: Apache-2.0
   MaxPooling2D: one output row [ow, c] from kh input rows [w, c]; a null row is padding, which never wins.
   `padded` is 0 where the picture has no padding at all: then nothing is checked. */
#ifndef PUCE_MAX_POOL_2D_H
#define PUCE_MAX_POOL_2D_H

#include "puce_kernel.h"

#if defined(__ARM_FEATURE_DSP)
#include <arm_acle.h>

/* Four channels in a word; rows need not be aligned. */
typedef struct { int8x4_t four; } __attribute__((packed, may_alias)) puce_four;

/* The larger of each of four signed bytes: SSUB8 leaves the four comparisons in the flags that SEL reads. */
PUCE_KERNEL int8x4_t puce_max_s8x4(int8x4_t a, int8x4_t b)
{
    (void)__ssub8(a, b);
    return (int8x4_t)__sel((uint8x4_t)a, (uint8x4_t)b);
}

PUCE_KERNEL int8x4_t puce_min_s8x4(int8x4_t a, int8x4_t b)
{
    (void)__ssub8(a, b);
    return (int8x4_t)__sel((uint8x4_t)b, (uint8x4_t)a);
}

PUCE_KERNEL int8x4_t puce_repeat_s8(int value)
{
    return (int8x4_t)(0x01010101u * (uint8_t)value);
}
#endif

PUCE_KERNEL void puce_max_pool_2d_s8(const int8_t *const *x, int8_t *restrict y, int w, int c, int ow, int kh,
                                     int kw, int sw, int left, int padded, int low, int high)
{
    for (int ox = 0; ox < ow; ox++, y += c) {
        int first = ox * sw - left, last = first + kw, i = 0;
        if (padded && first < 0) first = 0;
        if (padded && last > w) last = w;
#if defined(__ARM_FEATURE_DSP)
        for (; i + 4 <= c; i += 4) {
            int8x4_t top = puce_repeat_s8(low);
            for (int ky = 0; ky < kh; ky++) {
                if (padded && !x[ky]) continue;
                for (int ix = first; ix < last; ix++)
                    top = puce_max_s8x4(((const puce_four *)(const void *)(x[ky] + ix * c + i))->four, top);
            }
            if (high < 127) top = puce_min_s8x4(top, puce_repeat_s8(high));
            ((puce_four *)(void *)(y + i))->four = top;
        }
#endif
        for (; i < c; i++) {
            int32_t top = low;
            for (int ky = 0; ky < kh; ky++) {
                if (padded && !x[ky]) continue;
                for (int ix = first; ix < last; ix++) {
                    const int32_t value = x[ky][ix * c + i];
                    top = value > top ? value : top;
                }
            }
            y[i] = (int8_t)(top < high ? top : high);
        }
    }
}

PUCE_KERNEL void puce_max_pool_1d_s8(const int8_t *x, int8_t *y, int w, int c, int ow, int kw, int sw, int left,
                                     int padded, int low, int high)
{
    puce_max_pool_2d_s8(&x, y, w, c, ow, 1, kw, sw, left, padded, low, high);
}

PUCE_KERNEL void puce_max_pool_2d_f32(const float *const *x, float *restrict y, int w, int c, int ow, int kh,
                                      int kw, int sw, int left, int padded, float low, float high)
{
    for (int ox = 0; ox < ow; ox++, y += c) {
        int first = ox * sw - left, last = first + kw;
        if (padded && first < 0) first = 0;
        if (padded && last > w) last = w;
        for (int i = 0; i < c; i++) {
            float top = low;
            for (int ky = 0; ky < kh; ky++) {
                if (padded && !x[ky]) continue;
                for (int ix = first; ix < last; ix++) {
                    const float value = x[ky][ix * c + i];
                    top = value > top ? value : top;
                }
            }
            y[i] = top < high ? top : high;
        }
    }
}

PUCE_KERNEL void puce_max_pool_1d_f32(const float *x, float *y, int w, int c, int ow, int kw, int sw, int left,
                                      int padded, float low, float high)
{
    puce_max_pool_2d_f32(&x, y, w, c, ow, 1, kw, sw, left, padded, low, high);
}

#endif
