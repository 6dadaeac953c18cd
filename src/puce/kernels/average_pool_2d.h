/* SPDX-License-Identifier: Apache-2.0
   AveragePooling2D: one output row [ow, c] from kh input rows [w, c]; a null row is padding, which is not counted.
   `padded` is 0 where the picture has no padding at all: then every window has kh * kw pixels, a literal. */
#ifndef PUCE_AVERAGE_POOL_2D_H
#define PUCE_AVERAGE_POOL_2D_H

#include "puce_kernel.h"

/* sum / number, rounded half away from zero. */
PUCE_KERNEL int32_t puce_rounded_mean(int32_t sum, int32_t number)
{
    return (sum + (sum > 0 ? number / 2 : -(number / 2))) / number;
}

PUCE_KERNEL void puce_average_pool_2d_s8(const int8_t *const *x, int8_t *restrict y, int w, int c, int ow, int kh,
                                         int kw, int sw, int left, int padded, int low, int high)
{
    int rows = kh;
    if (padded)
        for (int ky = 0; ky < kh; ky++) rows -= !x[ky];
    for (int ox = 0; ox < ow; ox++, y += c) {
        int first = ox * sw - left, last = first + kw, number = kh * kw;
        if (padded) {
            if (first < 0) first = 0;
            if (last > w) last = w;
            number = rows * (last - first);
        }
        for (int i = 0; i < c; i++) {
            int32_t sum = 0;
            for (int ky = 0; ky < kh; ky++) {
                if (padded && !x[ky]) continue;
                for (int ix = first; ix < last; ix++) sum += x[ky][ix * c + i];
            }
            y[i] = (int8_t)puce_clamp(puce_rounded_mean(sum, number), low, high);
        }
    }
}

PUCE_KERNEL void puce_average_pool_1d_s8(const int8_t *x, int8_t *y, int w, int c, int ow, int kw, int sw, int left,
                                         int padded, int low, int high)
{
    puce_average_pool_2d_s8(&x, y, w, c, ow, 1, kw, sw, left, padded, low, high);
}

/* The window covers all h rows: firing `row` adds one input row to the sums [ow, c] in `state`, the last one divides. */
PUCE_KERNEL void puce_average_pool_rows_s8(const int8_t *x, int8_t *y, void *state, int row, int h, int w, int c,
                                           int ow, int kw, int sw, int low, int high)
{
    int32_t *sums = state;
    (void)w;
    for (int ox = 0; ox < ow; ox++)
        for (int i = 0; i < c; i++, sums++, y++) {
            int32_t sum = row > 0 ? *sums : 0;
            for (int kx = 0; kx < kw; kx++) sum += x[(ox * sw + kx) * c + i];
            *sums = sum;
            if (row == h - 1) *y = (int8_t)puce_clamp(puce_rounded_mean(sum, h * kw), low, high);
        }
}

/* The same for uint8: LiteRT rounds the unsigned sum, so that -0.5 of the signed one goes up instead of down. */
PUCE_KERNEL void puce_average_pool_2d_u8(const uint8_t *const *x, uint8_t *restrict y, int w, int c, int ow, int kh,
                                         int kw, int sw, int left, int padded, int low, int high)
{
    int rows = kh;
    if (padded)
        for (int ky = 0; ky < kh; ky++) rows -= !x[ky];
    for (int ox = 0; ox < ow; ox++, y += c) {
        int first = ox * sw - left, last = first + kw, number = kh * kw;
        if (padded) {
            if (first < 0) first = 0;
            if (last > w) last = w;
            number = rows * (last - first);
        }
        for (int i = 0; i < c; i++) {
            int32_t sum = 0;
            for (int ky = 0; ky < kh; ky++) {
                if (padded && !x[ky]) continue;
                for (int ix = first; ix < last; ix++) sum += x[ky][ix * c + i];
            }
            y[i] = (uint8_t)puce_clamp(puce_rounded_mean(sum, number), low, high);
        }
    }
}

PUCE_KERNEL void puce_average_pool_1d_u8(const uint8_t *x, uint8_t *y, int w, int c, int ow, int kw, int sw, int left,
                                         int padded, int low, int high)
{
    puce_average_pool_2d_u8(&x, y, w, c, ow, 1, kw, sw, left, padded, low, high);
}

PUCE_KERNEL void puce_average_pool_rows_u8(const uint8_t *x, uint8_t *y, void *state, int row, int h, int w, int c,
                                           int ow, int kw, int sw, int low, int high)
{
    int32_t *sums = state;
    (void)w;
    for (int ox = 0; ox < ow; ox++)
        for (int i = 0; i < c; i++, sums++, y++) {
            int32_t sum = row > 0 ? *sums : 0;
            for (int kx = 0; kx < kw; kx++) sum += x[(ox * sw + kx) * c + i];
            *sums = sum;
            if (row == h - 1) *y = (uint8_t)puce_clamp(puce_rounded_mean(sum, h * kw), low, high);
        }
}

PUCE_KERNEL void puce_average_pool_2d_f32(const float *const *x, float *restrict y, int w, int c, int ow, int kh,
                                          int kw, int sw, int left, int padded, float low, float high)
{
    int rows = kh;
    if (padded)
        for (int ky = 0; ky < kh; ky++) rows -= !x[ky];
    for (int ox = 0; ox < ow; ox++, y += c) {
        int first = ox * sw - left, last = first + kw, number = kh * kw;
        if (padded) {
            if (first < 0) first = 0;
            if (last > w) last = w;
            number = rows * (last - first);
        }
        for (int i = 0; i < c; i++) {
            float sum = 0.0f;
            for (int ky = 0; ky < kh; ky++) {
                if (padded && !x[ky]) continue;
                for (int ix = first; ix < last; ix++) sum += x[ky][ix * c + i];
            }
            y[i] = puce_clamp_f32(sum / (float)number, low, high);
        }
    }
}

PUCE_KERNEL void puce_average_pool_1d_f32(const float *x, float *y, int w, int c, int ow, int kw, int sw, int left,
                                          int padded, float low, float high)
{
    puce_average_pool_2d_f32(&x, y, w, c, ow, 1, kw, sw, left, padded, low, high);
}

PUCE_KERNEL void puce_average_pool_rows_f32(const float *x, float *y, void *state, int row, int h, int w, int c,
                                            int ow, int kw, int sw, float low, float high)
{
    float *sums = state;
    (void)w;
    for (int ox = 0; ox < ow; ox++)
        for (int i = 0; i < c; i++, sums++, y++) {
            float sum = row > 0 ? *sums : 0.0f;
            for (int kx = 0; kx < kw; kx++) sum += x[(ox * sw + kx) * c + i];
            *sums = sum;
            if (row == h - 1) *y = puce_clamp_f32(sum / (float)(h * kw), low, high);
        }
}

#endif
