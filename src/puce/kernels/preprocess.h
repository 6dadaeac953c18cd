/* SPDX-License-Identifier: Apache-2.0
   From a camera's rows to the int8 input: pixels to RGB or grey, bilinear resize by tables, a table of 256 values. */
#ifndef PUCE_PREPROCESS_H
#define PUCE_PREPROCESS_H

#include "puce_kernel.h"

/* Bits of fraction in the resize weights; a window's weights add up to 2^22, so that sums of bytes fit int32. */
#define PUCE_RESIZE_BITS 22

PUCE_KERNEL uint8_t puce_byte(int32_t x)
{
    return (uint8_t)puce_clamp(x, 0, 255);
}

/* y is [w, c]: c is 3 for colours, 1 for grey by ITU-R 601. */
PUCE_KERNEL void puce_put_pixel(uint8_t *y, int c, int r, int g, int b)
{
    if (c == 1) {
        y[0] = (uint8_t)((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16);
    } else {
        y[0] = (uint8_t)r;
        y[1] = (uint8_t)g;
        y[2] = (uint8_t)b;
    }
}

/* x is [w] bytes of grey; a network that wants colours sees the same value three times. */
PUCE_KERNEL void puce_pixels_grey(const uint8_t *x, uint8_t *y, int left, int w, int c)
{
    for (int i = 0; i < w; i++)
        for (int k = 0; k < c; k++) y[i * c + k] = x[left + i];
}

/* x is [w, 3]: red, green, blue. */
PUCE_KERNEL void puce_pixels_rgb888(const uint8_t *x, uint8_t *y, int left, int w, int c)
{
    for (int i = 0; i < w; i++, y += c) {
        const uint8_t *p = x + 3 * (left + i);
        puce_put_pixel(y, c, p[0], p[1], p[2]);
    }
}

/* x is [w, 2]; `high` is the place of the byte with the red: 1 where the low byte comes first. The high bits of each
   colour fill its low ones, so that the brightest is 255. */
PUCE_KERNEL void puce_pixels_rgb565(const uint8_t *x, uint8_t *y, int left, int w, int c, int high)
{
    for (int i = 0; i < w; i++, y += c) {
        const uint8_t *p = x + 2 * (left + i);
        const int word = p[high] << 8 | p[1 - high];
        const int r = word >> 11, g = word >> 5 & 63, b = word & 31;
        puce_put_pixel(y, c, r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2);
    }
}

/* x is [w / 2, 4]; `luma` is the place of Y in each pair of bytes: 0 for YUYV, 1 for UYVY. BT.601 at full range. */
PUCE_KERNEL void puce_pixels_yuv422(const uint8_t *x, uint8_t *y, int left, int w, int c, int luma)
{
    for (int i = left; i < left + w; i++, y += c) {
        const uint8_t *pair = x + 4 * (i / 2);
        const int luminance = pair[2 * (i % 2) + luma];
        if (c == 1) {
            y[0] = (uint8_t)luminance;
        } else {
            const int32_t base = luminance * 65536 + 0x8000;
            const int32_t u = pair[1 - luma] - 128, v = pair[3 - luma] - 128;
            y[0] = puce_byte((base + 91881 * v) >> 16);
            y[1] = puce_byte((base - 22554 * u - 46802 * v) >> 16);
            y[2] = puce_byte((base + 116130 * u) >> 16);
        }
    }
}

/* x is [w, c], y [ow, c]: pixel i of y is the sum of `taps` pixels of x from first[i] on, by weights [ow, taps]. */
PUCE_KERNEL void puce_resize_columns(const uint8_t *x, uint8_t *y, int ow, int c, int taps, const uint16_t *first,
                                     const int32_t *weights)
{
    for (int i = 0; i < ow; i++, weights += taps)
        for (int k = 0; k < c; k++) {
            const uint8_t *p = x + first[i] * c + k;
            int32_t sum = 1 << (PUCE_RESIZE_BITS - 1);
            for (int j = 0; j < taps; j++, p += c) sum += weights[j] * *p;
            *y++ = puce_byte(sum >> PUCE_RESIZE_BITS);
        }
}

/* ring is [taps, n], row r of the picture in place r % taps; y [n] is the weighted sum of rows first, first + 1, ...,
   each byte through the table. */
PUCE_KERNEL void puce_resize_rows(const uint8_t *ring, int8_t *y, int n, int taps, int first, const int32_t *weights,
                                  const int8_t *table)
{
    for (int i = 0; i < n; i++) {
        int32_t sum = 1 << (PUCE_RESIZE_BITS - 1);
        int place = first % taps;
        for (int j = 0; j < taps; j++) {
            sum += weights[j] * ring[place * n + i];
            place = place + 1 == taps ? 0 : place + 1;
        }
        y[i] = table[puce_byte(sum >> PUCE_RESIZE_BITS)];
    }
}

#endif
