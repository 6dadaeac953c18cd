/* SPDX-License-Identifier: Apache-2.0
   Element-wise operators of one float operand: n values. y may be x. */
#ifndef PUCE_ELEMENTWISE_H
#define PUCE_ELEMENTWISE_H

#include "exp.h"

PUCE_KERNEL void puce_logistic_f32(const float *x, float *y, int n)
{
    for (int i = 0; i < n; i++) y[i] = 1.0f / (1.0f + puce_exp_f32(-x[i]));
}

/* (exp(2 |x|) - 1) / (exp(2 |x|) + 1), with the sign of x; beyond 9.1 the nearest float is 1. */
PUCE_KERNEL void puce_tanh_f32(const float *x, float *y, int n)
{
    for (int i = 0; i < n; i++) {
        const float size = x[i] < 0.0f ? -x[i] : x[i];
        const float t = puce_expm1_f32(2.0f * (size < 9.1f ? size : 9.1f)), result = t / (t + 2.0f);
        y[i] = x[i] < 0.0f ? -result : result;
    }
}

PUCE_KERNEL void puce_hard_swish_f32(const float *x, float *y, int n)
{
    for (int i = 0; i < n; i++) y[i] = x[i] * puce_clamp_f32(x[i] + 3.0f, 0.0f, 6.0f) * (1.0f / 6);
}

PUCE_KERNEL void puce_leaky_relu_f32(const float *x, float *y, int n, float slope)
{
    for (int i = 0; i < n; i++) y[i] = x[i] >= 0.0f ? x[i] : x[i] * slope;
}

PUCE_KERNEL void puce_elu_f32(const float *x, float *y, int n)
{
    for (int i = 0; i < n; i++) y[i] = x[i] >= 0.0f ? x[i] : puce_expm1_f32(x[i]);
}

PUCE_KERNEL void puce_exponential_f32(const float *x, float *y, int n)
{
    for (int i = 0; i < n; i++) y[i] = puce_exp_f32(x[i]);
}

PUCE_KERNEL void puce_rsqrt_f32(const float *x, float *y, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = x[i] > 0.0f ? puce_inverse_root(x[i]) : x[i] < 0.0f ? __builtin_nanf("") : __builtin_inff();
}

PUCE_KERNEL void puce_abs_f32(const float *x, float *y, int n)
{
    for (int i = 0; i < n; i++) y[i] = x[i] < 0.0f ? -x[i] : x[i];
}

PUCE_KERNEL void puce_neg_f32(const float *x, float *y, int n)
{
    for (int i = 0; i < n; i++) y[i] = -x[i];
}

PUCE_KERNEL void puce_square_f32(const float *x, float *y, int n)
{
    for (int i = 0; i < n; i++) y[i] = x[i] * x[i];
}

#endif
