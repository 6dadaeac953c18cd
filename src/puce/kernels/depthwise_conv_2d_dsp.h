/* SPDX-License-Identifier: Apache-2.0
   DepthwiseConv2D int8, 3x3, for cores with the DSP extension: two taps of one channel an instruction.
   docs/design/kernels.md draws the packing. Elsewhere the same packed data goes through plain C. */
#ifndef PUCE_DEPTHWISE_CONV_2D_DSP_H
#define PUCE_DEPTHWISE_CONV_2D_DSP_H

#include "puce_kernel.h"

/* Four channels of the three input rows, column by column, 8 words each: (row 0, row 1) of channels 0, 1, 2, 3, then row 2
   of channels (0, 2), (1, 3), and the same again: channel i begins at word i, its row 2 lies four words further, in the
   low half for channels 0 and 1, in the high half for 2 and 3. A job is a row of these four channels, four pixels a round,
   then single ones. The asm reads the fields by their order. */
typedef struct {
    const int32_t *columns;
    const int32_t *fours_end; /* where the rounds of four pixels end */
    const int32_t *end;
    int8_t *y;
    int32_t c;            /* from one pixel to the next */
    const int32_t *table; /* a channel: weights, three words; start of the sum; multiplier, half, shift; see packing.py */
    const int32_t *table_end;
} puce_depthwise_job;

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__)

#define PUCE_DEPTHWISE_CORE static __attribute__((naked, noinline, used))

/* r0 column, r4 r5 r6 weights of rows 0 and 1, one for each kx, r7 r8 r9 of row 2; r1 r2 r3 inputs, r10 r11 r12 lr sums.
   Stack: start, multiplier, half, shift, y, then the job. */
#define PUCE_DEPTHWISE_BEGIN \
    "push {r4-r11, lr}\n" \
    "ldm r0, {r1-r7}\n" \
    "push {r1-r7}\n" \
    "sub sp, #20\n" \
    "2: ldr r12, [sp, #40]\n" \
    "ldm r12!, {r1-r3, r8-r11}\n" \
    "str r12, [sp, #40]\n" \
    "stm sp, {r8-r11}\n" \
    "ldr r12, [sp, #32]\n" \
    "ldr r0, [sp, #20]\n" \
    "ldr r10, [sp, #24]\n" \
    "sxtb16 r4, r1\n sxtb16 r5, r1, ror #8\n sxtb16 r6, r2\n" \
    "sxtb16 r7, r2, ror #8\n sxtb16 r8, r3\n sxtb16 r9, r3, ror #8\n" \
    "str r12, [sp, #16]\n" \
    "add r12, #1\n" \
    "str r12, [sp, #32]\n" \
    "cmp r0, r10\n" \
    "beq.w 3f\n" \
    ".p2align 2\n" \
    "1: ldr r10, [sp]\n"
#define PUCE_ABOVE(a, at) "ldr " #a ", [r0, #32*" #at "]\n"
#define PUCE_BELOW(a, at) "ldr " #a ", [r0, #32*" #at "+16]\n"
#define PUCE_TAP(sum, a, w) "smlad " #sum ", " #a ", " #w ", " #sum "\n"
#define PUCE_COPY_START "mov r11, r10\n mov r12, r10\n mov lr, r10\n"
#define PUCE_DEPTHWISE_PARAMETERS "ldr r1, [sp, #4]\n ldr r2, [sp, #8]\n ldr r3, [sp, #12]\n"
#define PUCE_ANY_SIGN(sum) \
    "lsl " #sum ", " #sum ", #1\n smmulr " #sum ", " #sum ", r1\n add " #sum ", " #sum ", " #sum ", asr #31\n" \
    "add " #sum ", " #sum ", r2\n asr " #sum ", " #sum ", r3\n ssat " #sum ", #8, " #sum "\n"
/* Where real zero is -128, negative sums end there however they are rounded. */
#define PUCE_POSITIVE(sum) \
    "lsl " #sum ", " #sum ", #1\n smmlar " #sum ", " #sum ", r1, r2\n asr " #sum ", " #sum ", r3\n ssat " #sum ", #8, " #sum "\n"
#define PUCE_DEPTHWISE_FOUR(columns, ROUND) \
    PUCE_DEPTHWISE_PARAMETERS ROUND(r10) ROUND(r11) ROUND(r12) ROUND(lr) \
    "ldr r1, [sp, #16]\n" \
    "ldr r2, [sp, #36]\n" \
    "ldr r3, [sp, #24]\n" \
    "add.w r0, r0, #32*" #columns "\n" \
    "strb r10, [r1]\n" \
    "strb r11, [r1, r2]\n" \
    "strb r12, [r1, r2, lsl #1]\n" \
    "add r1, r1, r2\n" \
    "cmp r0, r3\n" \
    "strb lr, [r1, r2, lsl #1]\n" \
    "add r1, r1, r2\n" \
    "add r1, r1, r2, lsl #1\n" \
    "str r1, [sp, #16]\n" \
    "bne.w 1b\n"
#define PUCE_DEPTHWISE_ONES(columns, ROUND) \
    "3: ldr r11, [sp, #28]\n" \
    "ldr r12, [sp, #16]\n" \
    "ldr lr, [sp, #36]\n" \
    "cmp r0, r11\n" \
    "beq 5f\n" \
    ".p2align 2\n" \
    "4: ldr r10, [sp]\n" PUCE_ABOVE(r1, 0) PUCE_BELOW(r2, 0) PUCE_ABOVE(r3, 1) \
    PUCE_TAP(r10, r1, r4) PUCE_TAP(r10, r2, r7) PUCE_TAP(r10, r3, r5) \
    PUCE_BELOW(r1, 1) PUCE_ABOVE(r2, 2) PUCE_BELOW(r3, 2) \
    PUCE_TAP(r10, r1, r8) PUCE_TAP(r10, r2, r6) PUCE_TAP(r10, r3, r9) \
    PUCE_DEPTHWISE_PARAMETERS ROUND(r10) \
    "adds r0, #32*" #columns "\n" \
    "strb r10, [r12]\n" \
    "add r12, lr\n" \
    "cmp r0, r11\n" \
    "bne 4b\n" \
    "5: ldr r1, [sp, #20]\n" \
    "ldr r2, [sp, #24]\n" \
    "ldr r12, [sp, #40]\n" \
    "ldr r3, [sp, #44]\n" \
    "adds r1, #4\n" \
    "adds r2, #4\n" \
    "add r11, #4\n" \
    "str r1, [sp, #20]\n" \
    "str r2, [sp, #24]\n" \
    "str r11, [sp, #28]\n" \
    "cmp r12, r3\n" \
    "bne.w 2b\n" \
    "add sp, #48\n" \
    "pop {r4-r11, pc}\n"
#define PUCE_DEPTHWISE_STRIDE_1(ROUND) \
    PUCE_DEPTHWISE_BEGIN \
    PUCE_ABOVE(r1, 0) PUCE_BELOW(r2, 0) PUCE_ABOVE(r3, 1) PUCE_COPY_START \
    PUCE_TAP(r10, r1, r4) PUCE_TAP(r10, r2, r7) PUCE_TAP(r10, r3, r5) PUCE_TAP(r11, r3, r4) \
    PUCE_BELOW(r1, 1) PUCE_ABOVE(r2, 2) PUCE_BELOW(r3, 2) \
    PUCE_TAP(r10, r1, r8) PUCE_TAP(r11, r1, r7) PUCE_TAP(r10, r2, r6) PUCE_TAP(r11, r2, r5) PUCE_TAP(r12, r2, r4) \
    PUCE_TAP(r10, r3, r9) PUCE_TAP(r11, r3, r8) PUCE_TAP(r12, r3, r7) \
    PUCE_ABOVE(r1, 3) PUCE_BELOW(r2, 3) PUCE_ABOVE(r3, 4) \
    PUCE_TAP(r11, r1, r6) PUCE_TAP(r12, r1, r5) PUCE_TAP(lr, r1, r4) \
    PUCE_TAP(r11, r2, r9) PUCE_TAP(r12, r2, r8) PUCE_TAP(lr, r2, r7) PUCE_TAP(r12, r3, r6) PUCE_TAP(lr, r3, r5) \
    PUCE_BELOW(r1, 4) PUCE_ABOVE(r2, 5) PUCE_BELOW(r3, 5) \
    PUCE_TAP(r12, r1, r9) PUCE_TAP(lr, r1, r8) PUCE_TAP(lr, r2, r6) PUCE_TAP(lr, r3, r9) \
    PUCE_DEPTHWISE_FOUR(4, ROUND) PUCE_DEPTHWISE_ONES(1, ROUND)
#define PUCE_DEPTHWISE_STRIDE_2(ROUND) \
    PUCE_DEPTHWISE_BEGIN \
    PUCE_ABOVE(r1, 0) PUCE_BELOW(r2, 0) PUCE_ABOVE(r3, 1) PUCE_COPY_START \
    PUCE_TAP(r10, r1, r4) PUCE_TAP(r10, r2, r7) PUCE_TAP(r10, r3, r5) \
    PUCE_BELOW(r1, 1) PUCE_ABOVE(r2, 2) PUCE_BELOW(r3, 2) \
    PUCE_TAP(r10, r1, r8) PUCE_TAP(r10, r2, r6) PUCE_TAP(r11, r2, r4) PUCE_TAP(r10, r3, r9) PUCE_TAP(r11, r3, r7) \
    PUCE_ABOVE(r1, 3) PUCE_BELOW(r2, 3) PUCE_ABOVE(r3, 4) \
    PUCE_TAP(r11, r1, r5) PUCE_TAP(r11, r2, r8) PUCE_TAP(r11, r3, r6) PUCE_TAP(r12, r3, r4) \
    PUCE_BELOW(r1, 4) PUCE_ABOVE(r2, 5) PUCE_BELOW(r3, 5) \
    PUCE_TAP(r11, r1, r9) PUCE_TAP(r12, r1, r7) PUCE_TAP(r12, r2, r5) PUCE_TAP(r12, r3, r8) \
    PUCE_ABOVE(r1, 6) PUCE_BELOW(r2, 6) PUCE_ABOVE(r3, 7) \
    PUCE_TAP(r12, r1, r6) PUCE_TAP(lr, r1, r4) PUCE_TAP(r12, r2, r9) PUCE_TAP(lr, r2, r7) PUCE_TAP(lr, r3, r5) \
    PUCE_BELOW(r1, 7) PUCE_ABOVE(r2, 8) PUCE_BELOW(r3, 8) \
    PUCE_TAP(lr, r1, r8) PUCE_TAP(lr, r2, r6) PUCE_TAP(lr, r3, r9) \
    PUCE_DEPTHWISE_FOUR(8, ROUND) PUCE_DEPTHWISE_ONES(2, ROUND)

PUCE_DEPTHWISE_CORE void puce_depthwise_core_1(__attribute__((unused)) const puce_depthwise_job *job)
{
    __asm__ volatile(PUCE_DEPTHWISE_STRIDE_1(PUCE_ANY_SIGN)::: "memory");
}

PUCE_DEPTHWISE_CORE void puce_depthwise_core_2(__attribute__((unused)) const puce_depthwise_job *job)
{
    __asm__ volatile(PUCE_DEPTHWISE_STRIDE_2(PUCE_ANY_SIGN)::: "memory");
}

PUCE_DEPTHWISE_CORE void puce_depthwise_core_1_positive(__attribute__((unused)) const puce_depthwise_job *job)
{
    __asm__ volatile(PUCE_DEPTHWISE_STRIDE_1(PUCE_POSITIVE)::: "memory");
}

PUCE_DEPTHWISE_CORE void puce_depthwise_core_2_positive(__attribute__((unused)) const puce_depthwise_job *job)
{
    __asm__ volatile(PUCE_DEPTHWISE_STRIDE_2(PUCE_POSITIVE)::: "memory");
}

/* (low halves of a and b), (high halves of a and b) */
PUCE_KERNEL int32_t puce_bottoms(int32_t a, int32_t b)
{
    int32_t pair;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(a), "r"(b));
    return pair;
}

PUCE_KERNEL int32_t puce_tops(int32_t a, int32_t b)
{
    int32_t pair;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(pair) : "r"(b), "r"(a));
    return pair;
}

#else

PUCE_KERNEL uint32_t puce_depthwise_smlad(int32_t a, int32_t b, uint32_t sum)
{
    return sum + (uint32_t)((int16_t)a * (int16_t)b) + (uint32_t)((a >> 16) * (b >> 16));
}

PUCE_KERNEL void puce_depthwise_core(const puce_depthwise_job *job, int sw, int signs)
{
    const int32_t *t = job->table, *first = job->columns, *end = job->end;
    for (int8_t *base = job->y; t != job->table_end; t += 7, first++, end++, base++) {
        int8_t *y = base;
        for (const int32_t *x = first; x != end; x += 8 * sw, y += job->c) {
            uint32_t sum = (uint32_t)t[3];
            for (int kx = 0; kx < 3; kx++) {
                const int32_t above = kx % 2 ? puce_odd(t[kx / 2]) : puce_even(t[kx / 2]);
                const int32_t below = kx % 2 ? puce_even(t[2]) : puce_odd(t[1 + kx / 2]);
                sum = puce_depthwise_smlad(x[8 * kx + 4], below, puce_depthwise_smlad(x[8 * kx], above, sum));
            }
            const int32_t high = (int32_t)(((int64_t)(int32_t)(sum << 1) * t[4] + (INT64_C(1) << 31)) >> 32);
            *y = (int8_t)puce_clamp((high + (signs ? high >> 31 : 0) + t[5]) >> t[6], -128, 127);
        }
    }
}

PUCE_KERNEL void puce_depthwise_core_1(const puce_depthwise_job *job) { puce_depthwise_core(job, 1, 1); }
PUCE_KERNEL void puce_depthwise_core_2(const puce_depthwise_job *job) { puce_depthwise_core(job, 2, 1); }
PUCE_KERNEL void puce_depthwise_core_1_positive(const puce_depthwise_job *job) { puce_depthwise_core(job, 1, 0); }
PUCE_KERNEL void puce_depthwise_core_2_positive(const puce_depthwise_job *job) { puce_depthwise_core(job, 2, 0); }

PUCE_KERNEL int32_t puce_bottoms(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)b << 16 | (uint16_t)a);
}

PUCE_KERNEL int32_t puce_tops(int32_t a, int32_t b)
{
    return puce_bottoms(a >> 16, b >> 16);
}

#endif

/* `n` columns of four channels; a null row is padding. A loop, not unrolled: with its core it must fit the instruction
   side of a flash accelerator. */
PUCE_KERNEL int32_t *puce_depthwise_columns(int32_t *to, int n, const int8_t *x0, const int8_t *x1, const int8_t *x2, int c,
                                            int32_t zeros)
{
    PUCE_ROLLED
    for (int i = 0; i < n; i++, to += 8) {
        const int32_t w0 = x0 ? puce_word(x0 + i * c) : zeros;
        const int32_t w1 = x1 ? puce_word(x1 + i * c) : zeros;
        const int32_t w2 = x2 ? puce_word(x2 + i * c) : zeros;
        to[0] = puce_bottoms(puce_even(w0), puce_even(w1));
        to[1] = puce_bottoms(puce_odd(w0), puce_odd(w1));
        to[2] = puce_tops(puce_even(w0), puce_even(w1));
        to[3] = puce_tops(puce_odd(w0), puce_odd(w1));
        to[4] = to[6] = puce_even(w2);
        to[5] = to[7] = puce_odd(w2);
    }
    return to;
}

PUCE_KERNEL int32_t *puce_depthwise_fill(int32_t *to, int n, int x_zero)
{
    for (int i = 0; i < 8 * n; i++) *to++ = (int32_t)((uint32_t)x_zero << 16 | (uint16_t)x_zero);
    return to;
}

/* One row of 3x3, stride 1 or 2, c a multiple of 4. table is [c, 7]; scratch holds the columns of four channels. */
PUCE_KERNEL void puce_depthwise_conv_2d_s8_dsp(const int8_t *const *x, int8_t *y, const int32_t *table, void *scratch,
                                               int w, int c, int ow, int sw, int left, int x_zero, int y_zero,
                                               int low, int high)
{
    const int32_t zeros = (int32_t)((uint32_t)(uint8_t)x_zero * 0x01010101u);
    const int columns = (ow - 1) * sw + 3, inside = columns - left < w ? columns - left : w;
    int32_t *const first = scratch;
    for (int o = 0; o < c; o += 4, table += 28) {
        int32_t *to = puce_depthwise_fill(first, left, x_zero);
        if (x[0] && x[1] && x[2]) /* most rows: no question in the loop */
            to = puce_depthwise_columns(to, inside, x[0] + o, x[1] + o, x[2] + o, c, zeros);
        else
            to = puce_depthwise_columns(to, inside, x[0] ? x[0] + o : 0, x[1] ? x[1] + o : 0, x[2] ? x[2] + o : 0, c, zeros);
        puce_depthwise_fill(to, columns - left - inside, x_zero);
        const puce_depthwise_job job = {first, first + ow / 4 * 32 * sw, first + ow * 8 * sw, y + o, c, table, table + 28};
        if (y_zero == -128 && sw == 1) puce_depthwise_core_1_positive(&job);
        else if (y_zero == -128) puce_depthwise_core_2_positive(&job);
        else if (sw == 1) puce_depthwise_core_1(&job);
        else puce_depthwise_core_2(&job);
    }
    if (low > -128 || high < 127)
        for (int i = 0; i < ow * c; i++) y[i] = (int8_t)puce_clamp(y[i], low, high);
}

#endif
