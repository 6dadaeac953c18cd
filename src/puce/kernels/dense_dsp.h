/* SPDX-License-Identifier: Apache-2.0
   Dense int8 for cores with the DSP extension: weights are read once, in order; two outputs in one weight.
   docs/design/kernels.md draws the packing. Elsewhere the same packed data goes through plain C. */
#ifndef PUCE_DENSE_DSP_H
#define PUCE_DENSE_DSP_H

#include "puce_kernel.h"

/* The asm reads the fields by their order. x_end - x is a multiple of 8. */
typedef struct {
    const int8_t *x;
    const int8_t *x_end;
    uint32_t products; /* x[0] * x[1] + x[2] * x[3] + ...: what pairing adds to every sum */
    int8_t *y;
    int8_t *y_end;           /* a step is 8 outputs (core_4) or 2 (core_1) */
    const int32_t *rounding; /* multiplier, offset, shift: once, or for each output */
    const int32_t *table;    /* a step: starts of the sums of 256 high + low, of low; [n / 4][pairs][inputs 0 2, 1 3] */
} puce_dense_job;

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__)

#define PUCE_DENSE_CORE static __attribute__((naked, noinline, unused))

/* r0 x, r1 table, both at what comes next; r3 r4 inputs (0, 2) and (1, 3), r2 r12 the weights of one pair of outputs for
   them; r5 r6 r7 r8 sums of 256 high + low, r9 r10 r11 lr sums of low, of four pairs; the job is on the stack. */
#define PUCE_DENSE_BEGIN "push {r4-r11, lr}\n ldm r0, {r1-r7}\n push {r1-r6}\n mov r1, r7\n .p2align 2\n"
#define PUCE_DENSE_INPUT "ldr r3, [r0], #4\n"
#define PUCE_DENSE_UNPACK "sxtb16 r4, r3, ror #8\n sxtb16 r3, r3\n"
#define PUCE_DENSE_FIRST(bytes) "ldr r2, [r1], #" #bytes "\n ldr r12, [r1, #4-" #bytes "]\n"
#define PUCE_DENSE_NEXT(at) "ldr r2, [r1, #-" #at "]\n ldr r12, [r1, #4-" #at "]\n"
/* low: (x0 + l1) * (x1 + l0) + (x2 + l3) * (x3 + l2) */
#define PUCE_DENSE_PAIR(raw, low) \
    "smlad " #raw ", r2, r3, " #raw "\n smlad " #raw ", r12, r4, " #raw "\n" \
    "sxtab16 r2, r4, r2\n sxtab16 r12, r3, r12\n smlad " #low ", r2, r12, " #low "\n"
#define PUCE_DENSE_TAPS_4 \
    PUCE_DENSE_INPUT PUCE_DENSE_FIRST(32) PUCE_DENSE_UNPACK PUCE_DENSE_PAIR(r5, r9) PUCE_DENSE_NEXT(24) \
    PUCE_DENSE_PAIR(r6, r10) PUCE_DENSE_NEXT(16) PUCE_DENSE_PAIR(r7, r11) PUCE_DENSE_NEXT(8) PUCE_DENSE_PAIR(r8, lr)
#define PUCE_DENSE_TAPS_1 PUCE_DENSE_INPUT PUCE_DENSE_FIRST(8) PUCE_DENSE_UNPACK PUCE_DENSE_PAIR(r5, r9)
/* 16 inputs a round; 8 more are half a round, the first */
#define PUCE_DENSE_LOOP(taps) \
    "ldrd r0, r3, [sp]\n sub r4, r3, r0\n tst r4, #8\n bne.w 11f\n .p2align 2\n" \
    "10:\n" taps taps "11:\n" taps taps "ldr r2, [sp, #4]\n cmp r0, r2\n bne.w 10b\n"
#define PUCE_DENSE_SPLIT(raw, low) "sub " #raw ", " #raw ", " #low "\n asr " #raw ", " #raw ", #8\n"
/* r2 multiplier, r3 offset, r4 shift */
#define PUCE_DENSE_ROUND(sum) \
    "mov r12, #0\n mov r0, r3\n smlal r0, r12, " #sum ", r2\n asr r12, r12, r4\n ssat " #sum ", #8, r12\n"
#define PUCE_DENSE_ROUND_NEXT(sum) \
    "ldm r0!, {r2-r4}\n mov r12, #0\n smlal r3, r12, " #sum ", r2\n asr r12, r12, r4\n ssat " #sum ", #8, r12\n"
#define PUCE_DENSE_ROUNDING(to) "ldr r0, [sp, #20]\n" to
#define PUCE_DENSE_ONE PUCE_DENSE_ROUNDING("ldm r0, {r2-r4}\n")
#define PUCE_DENSE_EACH PUCE_DENSE_ROUNDING("")
#define PUCE_DENSE_KEEP "str r0, [sp, #20]\n"
#define PUCE_DENSE_Y "ldr r0, [sp, #12]\n ldr r2, [sp, #16]\n"
#define PUCE_DENSE_STORE(at, raw, low) "strb " #low ", [r0, #" #at "]\n strb " #raw ", [r0, #" #at "+1]\n"
#define PUCE_DENSE_END(step) \
    "adds r0, #" #step "\n str r0, [sp, #12]\n cmp r0, r2\n bne.w 1b\n add sp, #24\n pop {r4-r11, pc}\n"

#define PUCE_DENSE_SUMS_4 \
    PUCE_DENSE_BEGIN \
    "1: ldm r1!, {r5-r11, lr}\n ldr r2, [sp, #8]\n sub r9, r9, r2\n sub r10, r10, r2\n sub r11, r11, r2\n sub lr, lr, r2\n" \
    PUCE_DENSE_LOOP(PUCE_DENSE_TAPS_4) \
    PUCE_DENSE_SPLIT(r5, r9) PUCE_DENSE_SPLIT(r6, r10) PUCE_DENSE_SPLIT(r7, r11) PUCE_DENSE_SPLIT(r8, lr)
#define PUCE_DENSE_ROUND_4(round) \
    round(r9) round(r5) round(r10) round(r6) round(r11) round(r7) round(lr) round(r8)
#define PUCE_DENSE_STORE_4 \
    PUCE_DENSE_Y PUCE_DENSE_STORE(0, r5, r9) PUCE_DENSE_STORE(2, r6, r10) PUCE_DENSE_STORE(4, r7, r11) \
    PUCE_DENSE_STORE(6, r8, lr) PUCE_DENSE_END(8)
#define PUCE_DENSE_SUMS_1 \
    PUCE_DENSE_BEGIN \
    "1: ldm r1!, {r5, r9}\n ldr r2, [sp, #8]\n sub r9, r9, r2\n" \
    PUCE_DENSE_LOOP(PUCE_DENSE_TAPS_1) PUCE_DENSE_SPLIT(r5, r9)
#define PUCE_DENSE_STORE_1 PUCE_DENSE_Y PUCE_DENSE_STORE(0, r5, r9) PUCE_DENSE_END(2)

PUCE_DENSE_CORE void puce_dense_core_4(__attribute__((unused)) const puce_dense_job *job)
{
    __asm__ volatile(PUCE_DENSE_SUMS_4 PUCE_DENSE_ONE PUCE_DENSE_ROUND_4(PUCE_DENSE_ROUND) PUCE_DENSE_STORE_4 ::: "memory");
}

PUCE_DENSE_CORE void puce_dense_core_4_each(__attribute__((unused)) const puce_dense_job *job)
{
    __asm__ volatile(PUCE_DENSE_SUMS_4 PUCE_DENSE_EACH PUCE_DENSE_ROUND_4(PUCE_DENSE_ROUND_NEXT) PUCE_DENSE_KEEP
                     PUCE_DENSE_STORE_4 ::: "memory");
}

PUCE_DENSE_CORE void puce_dense_core_1(__attribute__((unused)) const puce_dense_job *job)
{
    __asm__ volatile(PUCE_DENSE_SUMS_1 PUCE_DENSE_ONE PUCE_DENSE_ROUND(r9) PUCE_DENSE_ROUND(r5) PUCE_DENSE_STORE_1
                     ::: "memory");
}

PUCE_DENSE_CORE void puce_dense_core_1_each(__attribute__((unused)) const puce_dense_job *job)
{
    __asm__ volatile(PUCE_DENSE_SUMS_1 PUCE_DENSE_EACH PUCE_DENSE_ROUND_NEXT(r9) PUCE_DENSE_ROUND_NEXT(r5) PUCE_DENSE_KEEP
                     PUCE_DENSE_STORE_1 ::: "memory");
}

PUCE_KERNEL uint32_t puce_dense_smlad(int32_t a, int32_t b, uint32_t sum)
{
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

#else

PUCE_KERNEL uint32_t puce_dense_smlad(int32_t a, int32_t b, uint32_t sum)
{
    return sum + (uint32_t)((int16_t)a * (int16_t)b) + (uint32_t)((a >> 16) * (b >> 16));
}

/* Two halfwords, plus bytes 0 and 2 of a word */
PUCE_KERNEL int32_t puce_dense_sxtab16(int32_t pair, int32_t word)
{
    const int32_t even = puce_even(word);
    return (int32_t)(((uint32_t)(pair >> 16) + (uint32_t)(even >> 16)) << 16 | (uint16_t)(pair + even));
}

PUCE_KERNEL int8_t puce_dense_round(uint32_t sum, const int32_t *r)
{
    const int64_t v = (int64_t)(int32_t)sum * r[0] + r[1];
    return (int8_t)puce_clamp((int32_t)(v >> 32) >> r[2], -128, 127);
}

PUCE_KERNEL void puce_dense_core(const puce_dense_job *job, int pairs, int apart)
{
    const int32_t *w = job->table, *r = job->rounding;
    for (int8_t *y = job->y; y != job->y_end;) {
        uint32_t raw[4] = {0, 0, 0, 0}, low[4] = {0, 0, 0, 0};
        for (int p = 0; p < pairs; p++) raw[p] = (uint32_t)*w++;
        for (int p = 0; p < pairs; p++) low[p] = (uint32_t)*w++ - job->products;
        for (const int8_t *x = job->x; x != job->x_end; x += 4) {
            const int32_t even = puce_even(puce_word(x)), odd = puce_odd(puce_word(x));
            for (int p = 0; p < pairs; p++, w += 2) {
                raw[p] = puce_dense_smlad(w[1], odd, puce_dense_smlad(w[0], even, raw[p]));
                low[p] = puce_dense_smlad(puce_dense_sxtab16(odd, w[0]), puce_dense_sxtab16(even, w[1]), low[p]);
            }
        }
        for (int p = 0; p < pairs; p++, r += 2 * apart, y += 2) {
            y[0] = puce_dense_round(low[p], r);
            y[1] = puce_dense_round((uint32_t)((int32_t)(raw[p] - low[p]) >> 8), r + apart);
        }
    }
}

PUCE_KERNEL void puce_dense_core_4(const puce_dense_job *job) { puce_dense_core(job, 4, 0); }
PUCE_KERNEL void puce_dense_core_4_each(const puce_dense_job *job) { puce_dense_core(job, 4, 3); }
PUCE_KERNEL void puce_dense_core_1(const puce_dense_job *job) { puce_dense_core(job, 1, 0); }
PUCE_KERNEL void puce_dense_core_1_each(const puce_dense_job *job) { puce_dense_core(job, 1, 3); }

#endif

/* x has n bytes, a multiple of 8. table: steps of 8 outputs, then of 2; an odd last output comes once more with its
   neighbour. rounding is one row for all outputs, or (each) one for each. */
PUCE_KERNEL void puce_dense_s8_dsp(const int8_t *x, int8_t *y, const int32_t *table, const int32_t *rounding,
                                   int n, int out, int low, int high, int each)
{
    const int eights = out & ~7, twos = out & ~1;
    puce_dense_job job = {x, x + n, 0, y, y + eights, rounding, table};
    PUCE_ROLLED
    for (int i = 0; i < n; i += 8) {
        const int32_t a = puce_word(x + i), b = puce_word(x + i + 4);
        job.products = puce_dense_smlad(puce_even(b), puce_odd(b), puce_dense_smlad(puce_even(a), puce_odd(a), job.products));
    }
    if (eights > 0) {
        if (each) puce_dense_core_4_each(&job);
        else puce_dense_core_4(&job);
    }
    job.table += eights + eights * n / 4;
    if (eights < out) {
        if (each) job.rounding += 3 * eights;
        job.y = y + eights, job.y_end = y + twos;
        if (eights < twos) {
            if (each) puce_dense_core_1_each(&job);
            else puce_dense_core_1(&job);
        }
    }
    if (twos < out) {
        job.table += (twos - eights) + (twos - eights) * n / 4;
        if (each) job.rounding += 3 * (twos - eights);
        job.y = y + out - 2, job.y_end = y + out;
        if (each) puce_dense_core_1_each(&job);
        else puce_dense_core_1(&job);
    }
    if (low > -128 || high < 127)
        for (int i = 0; i < out; i++) y[i] = (int8_t)puce_clamp(y[i], low, high);
}

/* Any n: x is copied to scratch, filled up to 8 with zeros, whose weights are zero too. */
PUCE_KERNEL void puce_dense_padded_s8_dsp(const int8_t *x, int8_t *y, const int32_t *table, const int32_t *rounding,
                                          void *scratch, int n, int out, int low, int high, int each)
{
    int8_t *const copy = scratch;
    const int filled = (n + 7) & ~7;
    for (int i = 0; i < filled; i++) copy[i] = (int8_t)(i < n ? x[i] : 0);
    puce_dense_s8_dsp(copy, y, table, rounding, filled, out, low, high, each);
}

#endif
