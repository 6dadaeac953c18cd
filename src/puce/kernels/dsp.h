/* SPDX-License-Identifier: Apache-2.0
   What the kernels for the DSP extension share: its instructions, and the same arithmetic in C for any machine. */
#ifndef PUCE_DSP_H
#define PUCE_DSP_H

#include "puce_kernel.h"

/* Two products of signed halfwords, modulo 2^32 */
PUCE_KERNEL uint32_t puce_smlad(int32_t a, int32_t b, uint32_t sum)
{
#if defined(__ARM_FEATURE_DSP)
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
#else
    return sum + (uint32_t)((int16_t)a * (int16_t)b) + (uint32_t)((a >> 16) * (b >> 16));
#endif
}

/* (low halves of a and b) */
PUCE_KERNEL int32_t puce_bottoms(int32_t a, int32_t b)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t pair;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(a), "r"(b));
    return pair;
#else
    return (int32_t)((uint32_t)b << 16 | (uint16_t)a);
#endif
}

/* (high halves of a and b) */
PUCE_KERNEL int32_t puce_tops(int32_t a, int32_t b)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t pair;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(pair) : "r"(b), "r"(a));
    return pair;
#else
    return puce_bottoms(a >> 16, b >> 16);
#endif
}

/* One multiply, where packing proved that it is TFLite's two roundings */
PUCE_KERNEL int8_t puce_round_once(int32_t sum, int32_t multiplier, int32_t offset, int shift)
{
    return (int8_t)puce_clamp(((int32_t)((int64_t)sum * multiplier >> 32) + offset) >> shift, -128, 127);
}

/* TFLite's two roundings of half of `doubled`; `half` of the last place carries the zero point, moved up */
PUCE_KERNEL int8_t puce_round_twice(int32_t doubled, int32_t multiplier, int32_t half, int32_t shift)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(doubled), "r"(multiplier));
#else
    const int32_t high = (int32_t)(((int64_t)doubled * multiplier + (INT64_C(1) << 31)) >> 32);
#endif
    return (int8_t)puce_clamp((high + half + (doubled >> 31)) >> shift, -128, 127);
}

#endif
