/* SPDX-License-Identifier: Apache-2.0
   Dense int8 for cores with the DSP extension: weights are read once, in order; two outputs in one weight.
   docs/design/kernels.md draws the packing. Elsewhere the same packed data goes through plain C. */
#ifndef PUCE_DENSE_DSP_H
#define PUCE_DENSE_DSP_H

#include "dense.h"
#include "puce_kernel.h"

/* The asm reads the fields by their order. x_end - x is a multiple of 8. */
typedef struct {
    const int8_t *x;
    const int8_t *x_end;
    const int32_t *weights; /* of all its outputs, [n / 4][pairs][inputs 0 2, 1 3] a step */
    const int32_t *requant; /* an output: multiplier, shift, offset (low, high word) */
    int8_t *y;
    int8_t *y_end; /* a step is 8 outputs (core_4) or 2 (core_1) */
} puce_dense_job;

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__)

#define PUCE_DENSE_CORE static __attribute__((naked, noinline, used))

/* r0 x, r1 weights last read, r3 r4 inputs (0, 2) and (1, 3), r2 r12 the weights of one pair of outputs for them;
   r5 r6 r7 r8 sums of 256 high + low, r9 r10 r11 lr sums of low, of four pairs; the job is on the stack. */
#define PUCE_DENSE_BEGIN \
    "push {r4-r11, lr}\n" \
    "ldm r0, {r1-r6}\n" \
    "push {r1-r6}\n" \
    "sub r1, r3, #4\n" \
    ".p2align 2\n" \
    "1: ldr r0, [sp]\n" \
    "mov r5, #0\n mov r9, #0\n"
#define PUCE_DENSE_INPUT(x) "ldr r3, [r0, #" #x "\n"
#define PUCE_DENSE_UNPACK "sxtb16 r4, r3, ror #8\n sxtb16 r3, r3\n"
#define PUCE_DENSE_WEIGHTS(a, b) "ldr r2, [r1, #" #a "\n ldr r12, [r1, #" #b "\n"
#define PUCE_DENSE_PAIR(raw, low) \
    "smlad " #raw ", r2, r3, " #raw "\n smlad " #raw ", r12, r4, " #raw "\n sxtb16 r2, r2\n sxtb16 r12, r12\n" \
    "smlad " #low ", r2, r3, " #low "\n smlad " #low ", r12, r4, " #low "\n"
#define PUCE_DENSE_AGAIN \
    "ldr r2, [sp, #4]\n" \
    "adds r0, #8\n" \
    "cmp r0, r2\n" \
    "bne.w 10b\n" \
    "ldr r0, [sp, #12]\n"
#define PUCE_DENSE_ROUND(sum) "ldm r0!, {r2, r3, r4, r12}\n smlal r4, r12, " #sum ", r2\n asr r12, r12, r3\n ssat " #sum ", #8, r12\n"
#define PUCE_DENSE_RESULTS(raw, low) "sub " #raw ", " #raw ", " #low "\n asr " #raw ", " #raw ", #8\n" PUCE_DENSE_ROUND(low) PUCE_DENSE_ROUND(raw)
#define PUCE_DENSE_Y "str r0, [sp, #12]\n ldr r0, [sp, #16]\n ldr r2, [sp, #20]\n"
#define PUCE_DENSE_STORE(at, raw, low) "strb " #low ", [r0, #" #at "]\n strb " #raw ", [r0, #" #at "+1]\n"
#define PUCE_DENSE_END(step) \
    "adds r0, #" #step "\n" \
    "str r0, [sp, #16]\n" \
    "cmp r0, r2\n" \
    "bne.w 1b\n" \
    "add sp, #24\n" \
    "pop {r4-r11, pc}\n"

PUCE_DENSE_CORE void puce_dense_core_4(__attribute__((unused)) const puce_dense_job *job)
{
    __asm__ volatile(
        PUCE_DENSE_BEGIN
        "mov r6, #0\n mov r7, #0\n mov r8, #0\n mov r10, #0\n mov r11, #0\n mov lr, #0\n"
        ".p2align 2\n"
        "10:\n"
        PUCE_DENSE_INPUT(0]) PUCE_DENSE_WEIGHTS(4], 8]) PUCE_DENSE_UNPACK PUCE_DENSE_PAIR(r5, r9)
        PUCE_DENSE_WEIGHTS(12], 16]) PUCE_DENSE_PAIR(r6, r10)
        PUCE_DENSE_WEIGHTS(20], 24]) PUCE_DENSE_PAIR(r7, r11)
        PUCE_DENSE_WEIGHTS(28], 32]) PUCE_DENSE_PAIR(r8, lr)
        PUCE_DENSE_INPUT(4]) PUCE_DENSE_WEIGHTS(36], 40]) PUCE_DENSE_UNPACK PUCE_DENSE_PAIR(r5, r9)
        PUCE_DENSE_WEIGHTS(44], 48]) PUCE_DENSE_PAIR(r6, r10)
        PUCE_DENSE_WEIGHTS(52], 56]) PUCE_DENSE_PAIR(r7, r11)
        PUCE_DENSE_WEIGHTS(60], 64]!) PUCE_DENSE_PAIR(r8, lr)
        PUCE_DENSE_AGAIN
        PUCE_DENSE_RESULTS(r5, r9) PUCE_DENSE_RESULTS(r6, r10) PUCE_DENSE_RESULTS(r7, r11) PUCE_DENSE_RESULTS(r8, lr)
        PUCE_DENSE_Y
        PUCE_DENSE_STORE(0, r5, r9) PUCE_DENSE_STORE(2, r6, r10) PUCE_DENSE_STORE(4, r7, r11) PUCE_DENSE_STORE(6, r8, lr)
        PUCE_DENSE_END(8) ::: "memory");
}

PUCE_DENSE_CORE void puce_dense_core_1(__attribute__((unused)) const puce_dense_job *job)
{
    __asm__ volatile(
        PUCE_DENSE_BEGIN
        ".p2align 2\n"
        "10:\n"
        PUCE_DENSE_INPUT(0]) PUCE_DENSE_WEIGHTS(4], 8]) PUCE_DENSE_UNPACK PUCE_DENSE_PAIR(r5, r9)
        PUCE_DENSE_INPUT(4]) PUCE_DENSE_WEIGHTS(12], 16]!) PUCE_DENSE_UNPACK PUCE_DENSE_PAIR(r5, r9)
        PUCE_DENSE_AGAIN
        PUCE_DENSE_RESULTS(r5, r9)
        PUCE_DENSE_Y
        PUCE_DENSE_STORE(0, r5, r9)
        PUCE_DENSE_END(2) ::: "memory");
}

#else

PUCE_KERNEL uint32_t puce_dense_smlad(int32_t a, int32_t b, uint32_t sum)
{
    return sum + (uint32_t)((int16_t)a * (int16_t)b) + (uint32_t)((a >> 16) * (b >> 16));
}

PUCE_KERNEL void puce_dense_core(const puce_dense_job *job, int pairs)
{
    const int32_t *w = job->weights, *r = job->requant;
    for (int8_t *y = job->y; y != job->y_end;) {
        uint32_t raw[4] = {0, 0, 0, 0}, low[4] = {0, 0, 0, 0};
        for (const int8_t *x = job->x; x != job->x_end; x += 4)
            for (int p = 0; p < pairs; p++, w += 2) {
                const int32_t even = puce_even(puce_word(x)), odd = puce_odd(puce_word(x));
                raw[p] = puce_dense_smlad(w[1], odd, puce_dense_smlad(w[0], even, raw[p]));
                low[p] = puce_dense_smlad(puce_even(w[1]), odd, puce_dense_smlad(puce_even(w[0]), even, low[p]));
            }
        for (int p = 0; p < pairs; p++, r += 8, y += 2) {
            y[0] = puce_dense_requantize((int32_t)low[p], r, -128, 127);
            y[1] = puce_dense_requantize((int32_t)(raw[p] - low[p]) >> 8, r + 4, -128, 127);
        }
    }
}

PUCE_KERNEL void puce_dense_core_4(const puce_dense_job *job) { puce_dense_core(job, 4); }
PUCE_KERNEL void puce_dense_core_1(const puce_dense_job *job) { puce_dense_core(job, 1); }

#endif

/* x has n bytes, a multiple of 8. weights: blocks of 8 outputs [n / 4][4 pairs][2 words], then pairs [n / 4][2 words];
   an odd last output comes once more with its neighbour. */
PUCE_KERNEL void puce_dense_s8_dsp(const int8_t *x, int8_t *y, const int32_t *weights, const int32_t *requant,
                                   int n, int out, int low, int high)
{
    const int eights = out & ~7, twos = out & ~1;
    if (eights > 0) {
        const puce_dense_job job = {x, x + n, weights, requant, y, y + eights};
        puce_dense_core_4(&job);
    }
    if (eights < twos) {
        const puce_dense_job job = {x, x + n, weights + eights * n / 4, requant + 4 * eights, y + eights, y + twos};
        puce_dense_core_1(&job);
    }
    if (twos < out) {
        const puce_dense_job job = {x, x + n, weights + twos * n / 4, requant + 4 * twos, y + out - 2, y + out};
        puce_dense_core_1(&job);
    }
    if (low > -128 || high < 127)
        for (int i = 0; i < out; i++) y[i] = (int8_t)puce_clamp(y[i], low, high);
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
