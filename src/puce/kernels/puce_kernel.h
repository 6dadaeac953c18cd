/* SPDX-License-Identifier: Apache-2.0
   What all kernels share: how a kernel is declared, and the two-step requantisation of TFLite's specification. */
#ifndef PUCE_KERNEL_H
#define PUCE_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/* Freestanding compilers have no string.h. */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);

/* Kernels are inlined where they are called, with literal sizes: the compiler specialises each call. */
#define PUCE_KERNEL static inline __attribute__((always_inline, unused))

/* Before a loop that is not to be unrolled: it stays within the kilobyte that the flash accelerators of small cores hold. */
#if defined(__clang__)
#define PUCE_ROLLED _Pragma("clang loop unroll(disable)")
#else
#define PUCE_ROLLED _Pragma("GCC unroll 1")
#endif

/* (x * multiplier + 2^30) >> 31, 0 <= multiplier. A Cortex-M0+ multiplies 32 bits into 32: there it is four products of
   halves, and everything below bit 16 only counts as far as it carries. */
PUCE_KERNEL int32_t puce_multiply_high(int32_t x, int32_t multiplier)
{
#if defined(__thumb__) && !defined(__thumb2__)
    const uint32_t x0 = (uint32_t)x & 0xFFFF, m0 = (uint32_t)multiplier & 0xFFFF, m1 = (uint32_t)multiplier >> 16;
    const int32_t x1 = x >> 16, side = x1 * (int32_t)m0;
    const uint32_t middle = x0 * m1 + (x0 * m0 >> 16) + (1u << 14); /* less than 2^31 + 2^17 */
    const uint32_t top = (uint32_t)(x1 * (int32_t)m1) << 1;
    return (int32_t)(top + (uint32_t)(side >> 15) + ((middle + ((uint32_t)side & 0x7FFF)) >> 15));
#else
    return (int32_t)(((int64_t)x * multiplier + (1 << 30)) >> 31);
#endif
}

/* x * multiplier * 2^(shift - 31), rounded twice: ties up, then ties away from zero. 0 <= multiplier. */
PUCE_KERNEL int32_t puce_requantize(int32_t x, int32_t multiplier, int32_t shift)
{
    const int left = shift > 0 ? (int)shift : 0, right = shift > 0 ? 0 : (int)-shift;
    const int32_t wide = (int32_t)((uint32_t)x << left);
    const int32_t high = puce_multiply_high(wide, multiplier);
    const int32_t mask = (int32_t)((1u << right) - 1u);
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0));
}

PUCE_KERNEL int32_t puce_clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

PUCE_KERNEL float puce_clamp_f32(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

/* Four bytes at any address, the first lowest: one load on a core that allows it. */
PUCE_KERNEL int32_t puce_word(const void *from)
{
    int32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}

/* Bytes 0 and 2, or 1 and 3, of a word as two signed halfwords: the DSP extension's way to unpack. */
PUCE_KERNEL int32_t puce_even(int32_t word)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t pair;
    __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(word));
    return pair;
#else
    return (int32_t)((uint32_t)(int8_t)(word >> 16) << 16 | (uint16_t)(int8_t)word);
#endif
}

PUCE_KERNEL int32_t puce_odd(int32_t word)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
    return pair;
#else
    return puce_even((int32_t)((uint32_t)word >> 8));
#endif
}

/* The taps kx of a window that lie inside a row of w pixels are those from first (included) to last (excluded):
   tap kx stands on pixel start + kx * dw. None does where first >= last. */
PUCE_KERNEL int puce_first_tap(int start, int dw)
{
    return start >= 0 ? 0 : (dw - 1 - start) / dw;
}

PUCE_KERNEL int puce_last_tap(int start, int dw, int kw, int w)
{
    const int inside = start >= w ? 0 : (w - start + dw - 1) / dw;
    return inside < kw ? inside : kw;
}

#endif
