/* SPDX-License-Identifier: Apache-2.0
   Zero padding: one output row [left + w + right, c] from one input row [w, c], null where the whole row is padding. */
#ifndef PUCE_PAD_H
#define PUCE_PAD_H

#include "puce_kernel.h"

PUCE_KERNEL void puce_pad_s8(const int8_t *x, int8_t *y, int w, int c, int left, int right, int zero)
{
    const int begin = x ? left * c : (left + w + right) * c;
    for (int i = 0; i < begin; i++) *y++ = (int8_t)zero;
    if (!x) return;
    for (int i = 0; i < w * c; i++) *y++ = x[i];
    for (int i = 0; i < right * c; i++) *y++ = (int8_t)zero;
}

PUCE_KERNEL void puce_pad_f32(const float *x, float *y, int w, int c, int left, int right)
{
    const int begin = x ? left * c : (left + w + right) * c;
    for (int i = 0; i < begin; i++) *y++ = 0.0f;
    if (!x) return;
    for (int i = 0; i < w * c; i++) *y++ = x[i];
    for (int i = 0; i < right * c; i++) *y++ = 0.0f;
}

#endif
