/* SPDX-License-Identifier: Apache-2.0
   Dequantize: n integers to the real numbers that they stand for. A type is its bytes, and whether it is unsigned. */
#ifndef PUCE_DEQUANTIZE_H
#define PUCE_DEQUANTIZE_H

#include "cast.h"
#include "puce_kernel.h"

PUCE_KERNEL void puce_dequantize(const void *x, float *y, int n, int bytes, int is_unsigned, float scale, int zero)
{
    for (int i = 0; i < n; i++) y[i] = (float)(puce_integer(x, i, bytes, is_unsigned) - zero) * scale;
}

#endif
