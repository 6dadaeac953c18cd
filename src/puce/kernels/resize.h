/* SPDX-License-Identifier: Apache-2.0
   Resizing: x is [h, w, c], y [oh, ow, c]. `at` says, for each output row and then for each output column, between which
   two places of the input it lies, `part` how far it is from the first. */
#ifndef PUCE_RESIZE_H
#define PUCE_RESIZE_H

#include "puce_kernel.h"

/* Pixels of `pixel` bytes; `at` is one place a row, then one a column. */
PUCE_KERNEL void puce_resize_nearest(const void *x, void *y, const uint16_t *at, int w, int oh, int ow, int pixel)
{
    uint8_t *to = (uint8_t *)y;
    for (int i = 0; i < oh; i++)
        for (int j = 0; j < ow; j++, to += pixel)
            __builtin_memcpy(to, (const uint8_t *)x + (at[i] * w + at[oh + j]) * pixel, (size_t)pixel);
}

/* Parts count in 1/1024; the sum of four products stays below 2^29. */
PUCE_KERNEL void puce_resize_bilinear_s8(const int8_t *x, int8_t *y, const uint16_t *at, const int16_t *part, int w,
                                         int c, int oh, int ow)
{
    for (int i = 0; i < oh; i++) {
        const int8_t *top = x + at[2 * i] * w * c, *bottom = x + at[2 * i + 1] * w * c;
        const int32_t down = part[i], up = 1024 - down;
        for (int j = 0; j < ow; j++) {
            const int left = at[2 * (oh + j)] * c, right = at[2 * (oh + j) + 1] * c;
            const int32_t back = part[oh + j], front = 1024 - back;
            for (int k = 0; k < c; k++) {
                const int32_t sum = top[left + k] * up * front + bottom[left + k] * down * front +
                                    top[right + k] * up * back + bottom[right + k] * down * back;
                *y++ = (int8_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
            }
        }
    }
}

PUCE_KERNEL void puce_resize_bilinear_f32(const float *x, float *y, const uint16_t *at, const float *part, int w, int c,
                                          int oh, int ow)
{
    for (int i = 0; i < oh; i++) {
        const float *top = x + at[2 * i] * w * c, *bottom = x + at[2 * i + 1] * w * c;
        const float down = part[i], up = 1.0f - down;
        for (int j = 0; j < ow; j++) {
            const int left = at[2 * (oh + j)] * c, right = at[2 * (oh + j) + 1] * c;
            const float back = part[oh + j], front = 1.0f - back;
            for (int k = 0; k < c; k++)
                *y++ = top[left + k] * up * front + bottom[left + k] * down * front + top[right + k] * up * back +
                       bottom[right + k] * down * back;
        }
    }
}

#endif
