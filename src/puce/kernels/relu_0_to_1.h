/* SPDX-License-Identifier: Apache-2.0
   ReLU between zero and one: n values clamped. y may be x. Bytes go through the table of lookup.h. */
#ifndef PUCE_RELU_0_TO_1_H
#define PUCE_RELU_0_TO_1_H

#include "puce_kernel.h"

PUCE_KERNEL void puce_relu_0_to_1_f32(const float *x, float *y, int n)
{
    for (int i = 0; i < n; i++) y[i] = puce_clamp_f32(x[i], 0.0f, 1.0f);
}

#endif
