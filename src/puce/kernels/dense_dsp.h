/* SPDX-License-Identifier: Apache-2.0
   Dense int8 for cores with the DSP extension: weights are read once, in order; two outputs in one weight.
   docs/design/kernels.md draws the packing. Elsewhere the same packed data goes through plain C. */
#ifndef PUCE_DENSE_DSP_H
#define PUCE_DENSE_DSP_H

#include "dense.h"
#include "puce_kernel.h"

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__)

/* r0 x, r1 weights, r3 r4 inputs (0, 2) and (1, 3), r2 r12 the weights of one pair of outputs for them;
   r5 r6 r7 r8 sums of 256 high + low, r9 r10 r11 lr sums of low, of four pairs; the end of x is on the stack. */
#define PUCE_DENSE_INPUT(x) "ldr r3, [r0, #" #x "\n"
#define PUCE_DENSE_UNPACK "sxtb16 r4, r3, ror #8\n sxtb16 r3, r3\n"
#define PUCE_DENSE_WEIGHTS(a, b) "ldr r2, [r1, #" #a "\n ldr r12, [r1, #" #b "\n"
#define PUCE_DENSE_PAIR(raw, low) \
    "smlad " #raw ", r2, r3, " #raw "\n smlad " #raw ", r12, r4, " #raw "\n sxtb16 r2, r2\n sxtb16 r12, r12\n" \
    "smlad " #low ", r2, r3, " #low "\n smlad " #low ", r12, r4, " #low "\n"

/* sums[8]: 256 high + low of `pairs` (4, or 1 in the other function), then from sums[4] on low. x_end - x is a multiple
   of 8. */
__attribute__((naked, noinline, used)) static void puce_dense_core_4(
    __attribute__((unused)) const int8_t *x, __attribute__((unused)) const int8_t *x_end,
    __attribute__((unused)) const int32_t *weights, __attribute__((unused)) int32_t *sums)
{
    __asm__ volatile(
        "push {r3-r11, lr}\n"
        "push {r1}\n"
        "sub r1, r2, #4\n"
        "mov r5, #0\n mov r6, #0\n mov r7, #0\n mov r8, #0\n mov r9, #0\n mov r10, #0\n mov r11, #0\n mov lr, #0\n"
        ".p2align 2\n"
        "1:\n"
        PUCE_DENSE_INPUT(0]) PUCE_DENSE_WEIGHTS(4], 8]) PUCE_DENSE_UNPACK PUCE_DENSE_PAIR(r5, r9)
        PUCE_DENSE_WEIGHTS(12], 16]) PUCE_DENSE_PAIR(r6, r10)
        PUCE_DENSE_WEIGHTS(20], 24]) PUCE_DENSE_PAIR(r7, r11)
        PUCE_DENSE_WEIGHTS(28], 32]) PUCE_DENSE_PAIR(r8, lr)
        PUCE_DENSE_INPUT(4]) PUCE_DENSE_WEIGHTS(36], 40]) PUCE_DENSE_UNPACK PUCE_DENSE_PAIR(r5, r9)
        PUCE_DENSE_WEIGHTS(44], 48]) PUCE_DENSE_PAIR(r6, r10)
        PUCE_DENSE_WEIGHTS(52], 56]) PUCE_DENSE_PAIR(r7, r11)
        PUCE_DENSE_WEIGHTS(60], 64]!) PUCE_DENSE_PAIR(r8, lr)
        "ldr r2, [sp]\n"
        "adds r0, #8\n"
        "cmp r0, r2\n"
        "bne.w 1b\n"
        "ldr r0, [sp, #4]\n"
        "stm r0, {r5-r11, lr}\n"
        "add sp, #8\n"
        "pop {r4-r11, pc}\n" ::: "memory");
}

__attribute__((naked, noinline, used)) static void puce_dense_core_1(
    __attribute__((unused)) const int8_t *x, __attribute__((unused)) const int8_t *x_end,
    __attribute__((unused)) const int32_t *weights, __attribute__((unused)) int32_t *sums)
{
    __asm__ volatile(
        "push {r3-r9, lr}\n"
        "mov lr, r1\n"
        "sub r1, r2, #4\n"
        "mov r5, #0\n mov r9, #0\n"
        ".p2align 2\n"
        "1:\n"
        PUCE_DENSE_INPUT(0]) PUCE_DENSE_WEIGHTS(4], 8]) PUCE_DENSE_UNPACK PUCE_DENSE_PAIR(r5, r9)
        PUCE_DENSE_INPUT(4]) PUCE_DENSE_WEIGHTS(12], 16]!) PUCE_DENSE_UNPACK PUCE_DENSE_PAIR(r5, r9)
        "adds r0, #8\n"
        "cmp r0, lr\n"
        "bne 1b\n"
        "pop {r3}\n"
        "str r5, [r3]\n"
        "str r9, [r3, #16]\n"
        "pop {r4-r9, pc}\n" ::: "memory");
}

#else

PUCE_KERNEL uint32_t puce_dense_smlad(int32_t a, int32_t b, uint32_t sum)
{
    return sum + (uint32_t)((int16_t)a * (int16_t)b) + (uint32_t)((a >> 16) * (b >> 16));
}

PUCE_KERNEL void puce_dense_core(const int8_t *x, const int8_t *x_end, const int32_t *w, int32_t *sums, int pairs)
{
    uint32_t raw[4] = {0, 0, 0, 0}, low[4] = {0, 0, 0, 0};
    for (; x != x_end; x += 4)
        for (int p = 0; p < pairs; p++, w += 2) {
            const int32_t even = puce_even(puce_word(x)), odd = puce_odd(puce_word(x));
            raw[p] = puce_dense_smlad(w[1], odd, puce_dense_smlad(w[0], even, raw[p]));
            low[p] = puce_dense_smlad(puce_even(w[1]), odd, puce_dense_smlad(puce_even(w[0]), even, low[p]));
        }
    for (int p = 0; p < pairs; p++) sums[p] = (int32_t)raw[p], sums[4 + p] = (int32_t)low[p];
}

PUCE_KERNEL void puce_dense_core_4(const int8_t *x, const int8_t *x_end, const int32_t *w, int32_t *sums)
{
    puce_dense_core(x, x_end, w, sums, 4);
}

PUCE_KERNEL void puce_dense_core_1(const int8_t *x, const int8_t *x_end, const int32_t *w, int32_t *sums)
{
    puce_dense_core(x, x_end, w, sums, 1);
}

#endif

/* A loop, not unrolled: code that the instruction side of a flash accelerator holds. */
PUCE_KERNEL void puce_dense_outputs(const int32_t *sums, int8_t *y, const int32_t *requant, int count, int low, int high)
{
    __asm__("" : "+r"(count));
    for (int i = 0; i < count; i++, requant += 4) {
        const int32_t l = sums[4 + i / 2], h = (int32_t)((uint32_t)sums[i / 2] - (uint32_t)l) >> 8;
        y[i] = puce_dense_requantize(i % 2 ? h : l, requant, low, high);
    }
}

/* x has n bytes, a multiple of 8. weights: blocks of 8 outputs [n / 4][4 pairs][2 words], then pairs [n / 4][2 words]. */
PUCE_KERNEL void puce_dense_s8_dsp(const int8_t *x, int8_t *y, const int32_t *weights, const int32_t *requant,
                                   int n, int out, int low, int high)
{
    int32_t sums[8];
    int o = 0;
    for (; o + 8 <= out; o += 8, weights += 2 * n) {
        puce_dense_core_4(x, x + n, weights, sums);
        puce_dense_outputs(sums, y + o, requant + 4 * o, 8, low, high);
    }
    for (; o < out; o += 2, weights += n / 2) {
        puce_dense_core_1(x, x + n, weights, sums);
        puce_dense_outputs(sums, y + o, requant + 4 * o, out - o < 2 ? 1 : 2, low, high);
    }
}

/* Any n: x is copied to scratch, filled up to 8 with zeros, whose weights are zero too. */
PUCE_KERNEL void puce_dense_padded_s8_dsp(const int8_t *x, int8_t *y, const int32_t *weights, const int32_t *requant,
                                          void *scratch, int n, int out, int low, int high)
{
    int8_t *const copy = scratch;
    const int filled = (n + 7) & ~7;
    for (int i = 0; i < filled; i++) copy[i] = (int8_t)(i < n ? x[i] : 0);
    puce_dense_s8_dsp(copy, y, weights, requant, filled, out, low, high);
}

#endif
