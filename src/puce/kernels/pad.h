/* SPDX-License-Identifier: Apache-2.0
   Padding: a row [left + w + right, first + c + last] from an input row [w, c], null where the whole row is padding; and
   a picture mirrored at its edges. Values of `size` bytes are moved as they are. */
#ifndef PUCE_PAD_H
#define PUCE_PAD_H

#include "puce_kernel.h"

/* n times the low `size` bytes of `value`; every core here has the lowest byte first. Returns the end. */
PUCE_KERNEL uint8_t *puce_fill(uint8_t *y, int n, uint32_t value, int size)
{
    if (size == 1) memset(y, (int)(uint8_t)value, (size_t)n);
    else
        for (int i = 0; i < n; i++) __builtin_memcpy(y + i * size, &value, (size_t)size);
    return y + n * size;
}

PUCE_KERNEL void puce_pad(const void *x, void *y, int w, int c, int left, int right, int first, int last,
                          uint32_t value, int size)
{
    const int deep = first + c + last;
    const uint8_t *from = (const uint8_t *)x;
    uint8_t *to = (uint8_t *)y;
    if (!x) {
        puce_fill(to, (left + w + right) * deep, value, size);
        return;
    }
    to = puce_fill(to, left * deep, value, size);
    if (deep == c) {
        __builtin_memcpy(to, from, (size_t)(w * c * size));
        to += w * c * size;
    } else
        for (int i = 0; i < w; i++, from += c * size) {
            to = puce_fill(to, first, value, size);
            __builtin_memcpy(to, from, (size_t)(c * size));
            to = puce_fill(to + c * size, last, value, size);
        }
    puce_fill(to, right * deep, value, size);
}

/* The place inside 0 .. n - 1 that place i is the image of; `once` is 1 where the edge itself is not repeated. */
PUCE_KERNEL int puce_mirrored(int i, int n, int once)
{
    const int inside = i < 0 ? -1 - i + once : i;
    return inside < n ? inside : 2 * n - 1 - once - inside;
}

/* x is [h, w, c]; y begins `top`, `left` and `first` before it, and is [oh, ow, oc]. */
PUCE_KERNEL void puce_mirror_pad(const void *x, void *y, int h, int w, int c, int oh, int ow, int oc, int top, int left,
                                 int first, int once, int size)
{
    uint8_t *to = (uint8_t *)y;
    for (int i = -top; i < oh - top; i++)
        for (int j = -left; j < ow - left; j++) {
            const int pixel = puce_mirrored(i, h, once) * w + puce_mirrored(j, w, once);
            const uint8_t *from = (const uint8_t *)x + pixel * c * size;
            for (int k = -first; k < oc - first; k++, to += size)
                __builtin_memcpy(to, from + puce_mirrored(k, c, once) * size, (size_t)size);
        }
}

#endif
