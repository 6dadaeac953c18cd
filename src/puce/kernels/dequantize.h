/* SPDX-License-Identifier: Apache-2.0
   Dequantize: n bytes, signed or unsigned by a literal, to the real numbers that they stand for. */
#ifndef PUCE_DEQUANTIZE_H
#define PUCE_DEQUANTIZE_H

#include "puce_kernel.h"

PUCE_KERNEL void puce_dequantize(const void *x, float *y, int n, int is_unsigned, float scale, int zero)
{
    for (int i = 0; i < n; i++) {
        const int32_t q = is_unsigned ? ((const uint8_t *)x)[i] : ((const int8_t *)x)[i];
        y[i] = (float)(q - zero) * scale;
    }
}

#endif
