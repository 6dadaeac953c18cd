/* SPDX-License-Identifier: Apache-2.0
   Cast: n numbers of one type into another. A type is its bytes, and whether it is unsigned. */
#ifndef PUCE_CAST_H
#define PUCE_CAST_H

#include "puce_kernel.h"

PUCE_KERNEL int32_t puce_integer(const void *x, int i, int bytes, int is_unsigned)
{
    if (bytes == 4) return ((const int32_t *)x)[i];
    if (bytes == 2) return ((const int16_t *)x)[i];
    return is_unsigned ? ((const uint8_t *)x)[i] : ((const int8_t *)x)[i];
}

/* The low bits of an integer. */
PUCE_KERNEL void puce_store(void *y, int i, int bytes, int32_t value)
{
    if (bytes == 4) ((int32_t *)y)[i] = value;
    else if (bytes == 2) ((uint16_t *)y)[i] = (uint16_t)value;
    else ((uint8_t *)y)[i] = (uint8_t)value;
}

PUCE_KERNEL void puce_cast_integers(const void *x, void *y, int n, int x_bytes, int x_unsigned, int y_bytes)
{
    for (int i = 0; i < n; i++) puce_store(y, i, y_bytes, puce_integer(x, i, x_bytes, x_unsigned));
}

PUCE_KERNEL void puce_cast_to_f32(const void *x, float *y, int n, int x_bytes, int x_unsigned)
{
    for (int i = 0; i < n; i++) y[i] = (float)puce_integer(x, i, x_bytes, x_unsigned);
}

/* The fraction is cut off; beyond the range is its end, NaN is high. */
PUCE_KERNEL void puce_cast_from_f32(const float *x, void *y, int n, int y_bytes, int32_t low, int32_t high)
{
    for (int i = 0; i < n; i++) {
        const int32_t value = !(x[i] < (float)high) ? high : x[i] > (float)low ? (int32_t)x[i] : low;
        puce_store(y, i, y_bytes, value);
    }
}

#endif
