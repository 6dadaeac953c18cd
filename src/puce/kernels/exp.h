/* SPDX-License-Identifier: Apache-2.0
   exp(x), exp(x) - 1 and 1 / sqrt(x) in float32 without a library: within 2 units in the last place. */
#ifndef PUCE_EXP_H
#define PUCE_EXP_H

#include "puce_kernel.h"

/* 2^k for -126 <= k <= 127. */
PUCE_KERNEL float puce_power_of_two(int k)
{
    const union { uint32_t bits; float value; } power = {(uint32_t)(k + 127) << 23};
    return power.value;
}

/* exp(r) - 1 for |r| < 0.35: Taylor's series to the 7th power, which leaves out less than 6e-9 of it. */
PUCE_KERNEL float puce_expm1_near_zero(float r)
{
    const float tail = 1.0f / 24 + r * (1.0f / 120 + r * (1.0f / 720 + r * (1.0f / 5040)));
    return r + r * r * (0.5f + r * (1.0f / 6 + r * tail));
}

/* x = k ln 2 + r: returns r. ln 2 has two parts (Cody and Waite): k * 355/512 is exact. */
PUCE_KERNEL float puce_remainder_of_ln2(float x, int *k)
{
    *k = (int)(x * 1.44269504f + (x < 0.0f ? -0.5f : 0.5f));
    return (x - (float)*k * 0.693359375f) + (float)*k * 2.12194440e-4f;
}

/* 2^k is multiplied in two halves, so that the largest and the smallest results are reached. */
PUCE_KERNEL float puce_exp_f32(float x)
{
    if (!(x > -103.0f)) return x < 0.0f ? 0.0f : x; /* not a number stays what it is */
    if (x > 88.8f) return __builtin_inff();
    int k;
    const float r = puce_remainder_of_ln2(x, &k);
    return (1.0f + puce_expm1_near_zero(r)) * puce_power_of_two(k / 2) * puce_power_of_two(k - k / 2);
}

/* For x <= 80; 2^k (exp(r) - 1) + (2^k - 1) loses nothing near zero. */
PUCE_KERNEL float puce_expm1_f32(float x)
{
    int k;
    const float r = puce_remainder_of_ln2(x > -20.0f ? x : -20.0f, &k), power = puce_power_of_two(k);
    return power * puce_expm1_near_zero(r) + (power - 1.0f);
}

/* 1 / sqrt(x) for normal x > 0. Half the exponent, with the sign of both turned, is 3.5 % wrong at most (the constant
   is Lomont's); each step of Newton's method squares that. */
PUCE_KERNEL float puce_inverse_root(float x)
{
    const union { float value; uint32_t bits; } given = {x};
    const union { uint32_t bits; float value; } start = {0x5f375a86u - (given.bits >> 1)};
    float y = start.value;
    for (int step = 0; step < 3; step++) y += 0.5f * y * (1.0f - x * y * y);
    return y;
}

#endif
