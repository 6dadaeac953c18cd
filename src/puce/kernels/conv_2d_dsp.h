/* SPDX-License-Identifier: Apache-2.0
   Conv2D int8 for cores with the DSP extension (Cortex-M4, M7, M33): two multiply-accumulates an instruction, two output
   channels in one weight. docs/design/kernels.md draws the packing. Elsewhere the same packed data goes through plain C. */
#ifndef PUCE_CONV_2D_DSP_H
#define PUCE_CONV_2D_DSP_H

#include "windows_dsp.h"

/* What the core works on: the windows of a block of pixels as int16, in groups of 4 pixels and a tail. Of each group,
   four taps at a time: the words of taps (0, 2) of each pixel, then those of taps (1, 3). The table holds for each pair of
   channels: the weights, a word of bytes (low, high) of taps (0, 2), one of taps (1, 3); where the sums of low and of
   256 high + low start; multiplier and offset of low, of high; then, to round twice, the shift of both. Each pair is read once for the whole block.
   Addresses that end in _before are one word below. The asm reads the fields by their order. */
typedef struct {
    const int32_t *last_weight;
    const int32_t *weights_before_4; /* of the loop over 16 taps, less those that its first turn skips */
    int32_t entry;                   /* bytes of code that its first turn skips */
    int32_t skip_4;                  /* bytes of the window that it skips */
    const int32_t *window_before;
    const int32_t *fours_before;     /* behind the groups of 4 */
    int8_t *y;
    int32_t oc;
    const int32_t *weights_before_2; /* the same of the loops over 8 taps, for a tail */
    int32_t skip_2;
    int32_t tail;                    /* pixels behind the groups of 4: 0, 1, 2, 3, or 5 in groups of 3 and 2 */
    int8_t *y_pair;
    int32_t pair_bytes;
    const int32_t *table_end;        /* last_weight of the pair behind the last */
} puce_conv_2d_job;

#define PUCE_CONV_2D_TAPS_BYTES 112 /* of code for four taps of four pixels */

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__)

/* Four pixels: r0 and r1 the words last read of window and table, r2 two weights a halfword (256 h + l), r12 their low
   bytes, r3 r4 inputs; r5 r6 r7 r8 sums of 256 h + l, r9 r10 r11 lr sums of l; the job is on the stack. Neighbouring loads
   pipeline: 2 + 1 + 1 cycles. Every instruction of the loop takes 4 bytes, so that `entry` finds its place. */
#define PUCE_PIXEL(raw, low, a) "smlad " #raw ", r2, " #a ", " #raw "\n smlad " #low ", r12, " #a ", " #low "\n"
#define PUCE_WEIGHT(w) "ldr.w r2, [r1, #" #w "\n"
#define PUCE_X(x, a) "ldr.w " #a ", [r0, #" #x "\n"
#define PUCE_TAPS_4(w, x0, x1, x2, x3) \
    PUCE_WEIGHT(w) PUCE_X(x0, r3) PUCE_X(x1, r4) "sxtb16 r12, r2\n" PUCE_PIXEL(r5, r9, r3) PUCE_PIXEL(r6, r10, r4) \
    PUCE_X(x2, r3) PUCE_X(x3, r4) PUCE_PIXEL(r7, r11, r3) PUCE_PIXEL(r8, lr, r4)
/* Two pixels: r2 the last weight, r5 r6 sums of 256 h + l, r9 r10 sums of l, the rest is loaded in one go */
#define PUCE_TAPS_2(w0, w1, x0, x1, x2, x3) \
    "ldr r3, [r1, #" #w0 "\n ldr r4, [r0, #" #x0 "\n ldr r7, [r0, #" #x1 "\n" \
    "ldr r8, [r1, #" #w1 "\n ldr r11, [r0, #" #x2 "\n ldr r12, [r0, #" #x3 "\n" \
    "smlad r5, r3, r4, r5\n smlad r6, r3, r7, r6\n sxtb16 r3, r3\n smlad r9, r3, r4, r9\n smlad r10, r3, r7, r10\n" \
    "smlad r5, r8, r11, r5\n smlad r6, r8, r12, r6\n sxtb16 r8, r8\n smlad r9, r8, r11, r9\n smlad r10, r8, r12, r10\n"
/* Three pixels: r5 r6 r7 and r9 r10 r11 */
#define PUCE_TAP_3(w, x0, x1, x2) \
    "ldr r3, [r1, #" #w "\n ldr r4, [r0, #" #x0 "\n ldr r8, [r0, #" #x1 "\n ldr r12, [r0, #" #x2 "\n" \
    "smlad r5, r3, r4, r5\n smlad r6, r3, r8, r6\n smlad r7, r3, r12, r7\n sxtb16 r3, r3\n" \
    "smlad r9, r3, r4, r9\n smlad r10, r3, r8, r10\n smlad r11, r3, r12, r11\n"
/* One pixel: r5 and r9 */
#define PUCE_TAPS_1(w0, w1, x0, x1) \
    "ldr r3, [r1, #" #w0 "\n ldr r4, [r1, #" #w1 "\n ldr r7, [r0, #" #x0 "\n ldr r8, [r0, #" #x1 "\n" \
    "smlad r5, r3, r7, r5\n smlad r5, r4, r8, r5\n sxtb16 r3, r3\n sxtb16 r4, r4\n" \
    "smlad r9, r3, r7, r9\n smlad r9, r4, r8, r9\n"

/* 256 high out of 256 high + low and low; then one multiply with an offset that packing found: exact where the output's
   least value is its zero. r2 is the last weight. */
#define PUCE_HIGH_1(raw, low) "sub " #raw ", " #raw ", " #low "\n"
#define PUCE_ROUND_1(sum, m, a, s) "smmla " #sum ", " #sum ", " #m ", " #a "\n ssat " #sum ", #8, " #sum ", asr #" #s "\n"
#define PUCE_ONCE_BEGIN "ldr r3, [r2, #12]\n ldr r4, [r2, #16]\n ldr r12, [r2, #20]\n ldr r1, [r2, #24]\n"
#define PUCE_ONCE_4 \
    PUCE_ONCE_BEGIN PUCE_HIGH_1(r5, r9) PUCE_HIGH_1(r6, r10) PUCE_HIGH_1(r7, r11) PUCE_HIGH_1(r8, lr) \
    PUCE_ROUND_1(r9, r3, r4, 4) PUCE_ROUND_1(r10, r3, r4, 4) PUCE_ROUND_1(r11, r3, r4, 4) PUCE_ROUND_1(lr, r3, r4, 4) \
    PUCE_ROUND_1(r5, r12, r1, 12) PUCE_ROUND_1(r6, r12, r1, 12) PUCE_ROUND_1(r7, r12, r1, 12) PUCE_ROUND_1(r8, r12, r1, 12)
#define PUCE_ONCE_3 \
    PUCE_ONCE_BEGIN PUCE_HIGH_1(r5, r9) PUCE_HIGH_1(r6, r10) PUCE_HIGH_1(r7, r11) \
    PUCE_ROUND_1(r9, r3, r4, 4) PUCE_ROUND_1(r10, r3, r4, 4) PUCE_ROUND_1(r11, r3, r4, 4) \
    PUCE_ROUND_1(r5, r12, r1, 12) PUCE_ROUND_1(r6, r12, r1, 12) PUCE_ROUND_1(r7, r12, r1, 12)
#define PUCE_ONCE_2 \
    PUCE_ONCE_BEGIN PUCE_HIGH_1(r5, r9) PUCE_HIGH_1(r6, r10) \
    PUCE_ROUND_1(r9, r3, r4, 4) PUCE_ROUND_1(r10, r3, r4, 4) PUCE_ROUND_1(r5, r12, r1, 12) PUCE_ROUND_1(r6, r12, r1, 12)
#define PUCE_ONCE_1 PUCE_ONCE_BEGIN PUCE_HIGH_1(r5, r9) PUCE_ROUND_1(r9, r3, r4, 4) PUCE_ROUND_1(r5, r12, r1, 12)
/* Any sign: twice high and twice low, then TFLite's two roundings; a tie of a negative sum goes down. */
#define PUCE_HIGH_2(raw, low) \
    "sub " #raw ", " #raw ", " #low "\n asr " #raw ", " #raw ", #7\n lsl " #low ", " #low ", #1\n"
#define PUCE_ROUND_2(sum) \
    "smmlar r1, " #sum ", r12, r3\n add r1, r1, " #sum ", asr #31\n asr r1, r1, r4\n ssat " #sum ", #8, r1\n"
#define PUCE_TWICE_LOW "ldr r12, [r2, #12]\n ldr r3, [r2, #16]\n ldr r4, [r2, #28]\n"
#define PUCE_TWICE_HIGH "ldr r12, [r2, #20]\n ldr r3, [r2, #24]\n ldr r4, [r2, #32]\n"
#define PUCE_TWICE_4 \
    PUCE_HIGH_2(r5, r9) PUCE_HIGH_2(r6, r10) PUCE_HIGH_2(r7, r11) PUCE_HIGH_2(r8, lr) \
    PUCE_TWICE_LOW PUCE_ROUND_2(r9) PUCE_ROUND_2(r10) PUCE_ROUND_2(r11) PUCE_ROUND_2(lr) \
    PUCE_TWICE_HIGH PUCE_ROUND_2(r5) PUCE_ROUND_2(r6) PUCE_ROUND_2(r7) PUCE_ROUND_2(r8)
#define PUCE_TWICE_3 \
    PUCE_HIGH_2(r5, r9) PUCE_HIGH_2(r6, r10) PUCE_HIGH_2(r7, r11) \
    PUCE_TWICE_LOW PUCE_ROUND_2(r9) PUCE_ROUND_2(r10) PUCE_ROUND_2(r11) \
    PUCE_TWICE_HIGH PUCE_ROUND_2(r5) PUCE_ROUND_2(r6) PUCE_ROUND_2(r7)
#define PUCE_TWICE_2 \
    PUCE_HIGH_2(r5, r9) PUCE_HIGH_2(r6, r10) \
    PUCE_TWICE_LOW PUCE_ROUND_2(r9) PUCE_ROUND_2(r10) PUCE_TWICE_HIGH PUCE_ROUND_2(r5) PUCE_ROUND_2(r6)
#define PUCE_TWICE_1 PUCE_HIGH_2(r5, r9) PUCE_TWICE_LOW PUCE_ROUND_2(r9) PUCE_TWICE_HIGH PUCE_ROUND_2(r5)
#define PUCE_STORE(low, high) "strb " #low ", [r2]\n strb " #high ", [r2, #1]\n add r2, r3\n"
/* Groups of 3, 2 and 1 */
#define PUCE_BEGIN_3 "ldr r2, [sp]\n ldr r3, [sp, #36]\n ldr r1, [sp, #32]\n ldr r9, [r2, #4]\n ldr r5, [r2, #8]\n"
#define PUCE_Y "ldr r2, [sp, #24]\n ldr r3, [sp, #28]\n"

#define PUCE_CONV_2D_CORE(FINISH_4, FINISH_3, FINISH_2, FINISH_1) \
    "push {r4-r11, lr}\n" \
    "sub sp, #56\n" \
    "mov r12, sp\n" \
    "ldm r0!, {r1-r7}\n stm r12!, {r1-r7}\n ldm r0!, {r1-r7}\n stm r12!, {r1-r7}\n" \
    "adr.w r1, 2f\n" \
    "ldr r2, [sp, #8]\n" \
    "add r1, r2\n" \
    "str r1, [sp, #8]\n" \
    "9: ldr r0, [sp, #16]\n" \
    "ldr r1, [sp, #20]\n" \
    "cmp r0, r1\n" \
    "beq.w 3f\n" \
    ".p2align 2\n" \
    "1: ldr r2, [sp]\n ldr r3, [sp, #12]\n ldr r4, [sp, #8]\n ldr r1, [sp, #4]\n ldr r9, [r2, #4]\n ldr r5, [r2, #8]\n" \
    "sub r0, r3\n" \
    "mov r10, r9\n mov r11, r9\n mov lr, r9\n mov r6, r5\n mov r7, r5\n mov r8, r5\n" \
    "mov pc, r4\n" \
    ".p2align 2\n" \
    "2:\n" \
    PUCE_TAPS_4(4], 4], 8], 12], 16]) PUCE_TAPS_4(8], 20], 24], 28], 32]) \
    PUCE_TAPS_4(12], 36], 40], 44], 48]) PUCE_TAPS_4(16], 52], 56], 60], 64]) \
    PUCE_TAPS_4(20], 68], 72], 76], 80]) PUCE_TAPS_4(24], 84], 88], 92], 96]) \
    PUCE_TAPS_4(28], 100], 104], 108], 112]) PUCE_TAPS_4(32]!, 116], 120], 124], 128]!) \
    "ldr r2, [sp]\n" \
    "cmp r1, r2\n" \
    "bne.w 2b\n" \
    FINISH_4 \
    "ldr r2, [sp, #24]\n ldr r3, [sp, #28]\n ldr r4, [sp, #20]\n" \
    PUCE_STORE(r9, r5) PUCE_STORE(r10, r6) PUCE_STORE(r11, r7) PUCE_STORE(lr, r8) \
    "str r2, [sp, #24]\n" \
    "cmp r0, r4\n" \
    "bne.w 1b\n" \
    "3: ldr r1, [sp, #40]\n" \
    "cmp r1, #0\n" \
    "beq.w 7f\n" \
    "cmp r1, #2\n" \
    "beq.w 5f\n" \
    "blo.w 8f\n" \
    PUCE_BEGIN_3 \
    "sub r0, r0, r3\n" \
    "sub r0, r0, r3, lsl #1\n" \
    "mov r10, r9\n mov r11, r9\n mov r6, r5\n mov r7, r5\n" \
    "cmp r3, #0\n" \
    "bne 6f\n" \
    ".p2align 2\n" \
    "4:\n" PUCE_TAP_3(4], 4], 8], 12]) PUCE_TAP_3(8], 16], 20], 24]) \
    "6:\n" PUCE_TAP_3(12], 28], 32], 36]) PUCE_TAP_3(16]!, 40], 44], 48]!) \
    "cmp r1, r2\n" \
    "bne 4b\n" \
    FINISH_3 PUCE_Y "ldr r1, [sp, #40]\n" \
    PUCE_STORE(r9, r5) PUCE_STORE(r10, r6) PUCE_STORE(r11, r7) \
    "str r2, [sp, #24]\n" \
    "cmp r1, #3\n" \
    "beq.w 7f\n" \
    "5:\n" \
    PUCE_BEGIN_3 \
    "sub r0, r0, r3, lsl #1\n" \
    "mov r10, r9\n mov r6, r5\n" \
    "cmp r3, #0\n" \
    "bne 6f\n" \
    ".p2align 2\n" \
    "4:\n" PUCE_TAPS_2(4], 8], 4], 8], 12], 16]) \
    "6:\n" PUCE_TAPS_2(12], 16]!, 20], 24], 28], 32]!) \
    "cmp r1, r2\n" \
    "bne 4b\n" \
    FINISH_2 PUCE_Y PUCE_STORE(r9, r5) PUCE_STORE(r10, r6) \
    "b.w 7f\n" \
    "8:\n" \
    PUCE_BEGIN_3 \
    "sub r0, r3\n" \
    "cmp r3, #0\n" \
    "bne 6f\n" \
    ".p2align 2\n" \
    "4:\n" PUCE_TAPS_1(4], 8], 4], 8]) \
    "6:\n" PUCE_TAPS_1(12], 16]!, 12], 16]!) \
    "cmp r1, r2\n" \
    "bne 4b\n" \
    FINISH_1 PUCE_Y PUCE_STORE(r9, r5) \
    "7: ldr r1, [sp]\n ldr r2, [sp, #4]\n ldr r3, [sp, #32]\n ldr r4, [sp, #44]\n ldr r5, [sp, #48]\n ldr r6, [sp, #52]\n" \
    "add r1, r5\n add r2, r5\n add r3, r5\n adds r4, #2\n" \
    "str r1, [sp]\n str r2, [sp, #4]\n str r3, [sp, #32]\n str r4, [sp, #24]\n str r4, [sp, #44]\n" \
    "cmp r1, r6\n" \
    "bne.w 9b\n" \
    "add sp, #56\n" \
    "pop {r4-r11, pc}\n"

PUCE_CORE void puce_conv_2d_core_positive(__attribute__((unused)) const puce_conv_2d_job *job)
{
    __asm__ volatile(PUCE_CONV_2D_CORE(PUCE_ONCE_4, PUCE_ONCE_3, PUCE_ONCE_2, PUCE_ONCE_1)::: "memory");
}

PUCE_CORE void puce_conv_2d_core_any_sign(__attribute__((unused)) const puce_conv_2d_job *job)
{
    __asm__ volatile(PUCE_CONV_2D_CORE(PUCE_TWICE_4, PUCE_TWICE_3, PUCE_TWICE_2, PUCE_TWICE_1)::: "memory");
}

#else

/* The same arithmetic on the same data, for any machine */
PUCE_KERNEL void puce_conv_2d_core(const puce_conv_2d_job *job, int signs)
{
    const int taps = (int)(job->last_weight - job->weights_before_2) - job->skip_2 / 4; /* in words */
    int8_t *pair_y = job->y;
    for (const int32_t *t = job->last_weight; t != job->table_end; t += job->pair_bytes / 4, pair_y += 2) {
        const int fours = (int)(job->fours_before - job->window_before) / taps;
        const int32_t *x = job->window_before + 1;
        int8_t *y = pair_y;
        for (int p = 0, n; p < fours + job->tail; p += n, x += taps * n, y += n * job->oc) {
            n = p < fours ? 4 : fours + job->tail - p;
            if (n == 5) n = 3;
            for (int i = 0; i < n; i++) {
                uint32_t low = (uint32_t)t[1], raw = (uint32_t)t[2];
                for (int k = 0; k < taps; k++) {
                    const int32_t w = t[k + 1 - taps];
                    raw = puce_smlad(w, x[k * n + i], raw);
                    low = puce_smlad(puce_even(w), x[k * n + i], low);
                }
                if (signs) {
                    y[i * job->oc] = puce_round_twice((int32_t)(low << 1), t[3], t[4], t[7]);
                    y[i * job->oc + 1] = puce_round_twice((int32_t)(raw - low) >> 7, t[5], t[6], t[8]);
                } else {
                    y[i * job->oc] = puce_round_once((int32_t)low, t[3], t[4], 4);
                    y[i * job->oc + 1] = puce_round_once((int32_t)(raw - low), t[5], t[6], 12);
                }
            }
        }
    }
}

PUCE_KERNEL void puce_conv_2d_core_positive(const puce_conv_2d_job *job) { puce_conv_2d_core(job, 0); }
PUCE_KERNEL void puce_conv_2d_core_any_sign(const puce_conv_2d_job *job) { puce_conv_2d_core(job, 1); }

#endif

/* The windows of n output pixels from ox on, then all their channels. */
PUCE_KERNEL void puce_conv_2d_block(const int8_t *const *x, int8_t *y, const int32_t *table, int32_t *window, int n, int ox,
                                    int w, int c, int oc, int kh, int kw, int sw, int left, int dw, int x_zero,
                                    int signs)
{
    const int words = (kh * kw * c + 3) / 4 * 2, pair = words + (signs ? 8 : 6);
    const int tail = n % 4 == 1 && n > 1 ? 5 : n % 4, fours = n - tail; /* 3 and 2 are faster than 4 and 1 */
    int8_t *const bytes = (int8_t *)(window + n * words);
    int rows = 1;
    PUCE_ROLLED
    for (int ky = 0; ky < kh; ky++) rows = rows && x[ky];
    PUCE_ROLLED
    for (int p = 0; p < fours; p += 4) {
        if (kh * kw == 1 && c % 4 == 0) {
            puce_widen_4(window, x[0] + ox * sw * c, sw * c, c, fours / 4);
            break;
        }
        puce_windows(window + p * words, bytes, x, rows, ox + p, 4, w, c, kh, kw, sw, left, dw, x_zero);
    }
    if (tail == 3 || tail == 5)
        puce_windows(window + fours * words, bytes, x, rows, ox + fours, 3, w, c, kh, kw, sw, left, dw, x_zero);
    if (tail == 2 || tail == 5)
        puce_windows(window + (n - 2) * words, bytes, x, rows, ox + n - 2, 2, w, c, kh, kw, sw, left, dw, x_zero);
    if (tail == 1) puce_windows(window, bytes, x, rows, ox, 1, w, c, kh, kw, sw, left, dw, x_zero);
    const int skip_4 = (8 - words / 2 % 4 * 2) % 8 / 2, skip_2 = words / 2 % 2; /* of a turn, in fours of taps */
    puce_conv_2d_job job = {
        table + words - 1, table - 1 - 2 * skip_4, PUCE_CONV_2D_TAPS_BYTES * skip_4, 32 * skip_4, window - 1,
        window - 1 + fours * words, y, oc, table - 1 - 2 * skip_2, 8 * skip_2, tail, y, 4 * pair,
        table + words - 1 + oc / 2 * pair,
    };
    if (signs) puce_conv_2d_core_any_sign(&job);
    else puce_conv_2d_core_positive(&job);
    if (oc % 2) { /* the last channel: once more with its neighbour */
        const int from = oc / 2 * pair;
        job.last_weight += from, job.weights_before_4 += from, job.weights_before_2 += from, job.table_end += pair;
        job.y = job.y_pair = y + oc - 2;
        if (signs) puce_conv_2d_core_any_sign(&job);
        else puce_conv_2d_core_positive(&job);
    }
}

/* `pixels` at a time share each load of weights; scratch is [pixels, taps] int16, then [1 or 4, taps] int8, taps rounded
   up to 4. The sums are exact within limits that packing.py proves. */
PUCE_KERNEL void puce_conv_2d_s8_dsp(const int8_t *const *x, int8_t *y, const int32_t *table, void *scratch,
                                     int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                     int x_zero, int low, int high, int pixels, int signs)
{
    const int rest = ow % pixels;
    PUCE_ROLLED
    for (int ox = 0; ox < ow - rest; ox += pixels)
        puce_conv_2d_block(x, y + ox * oc, table, scratch, pixels, ox, w, c, oc, kh, kw, sw, left, dw, x_zero, signs);
    if (rest)
        puce_conv_2d_block(x, y + (ow - rest) * oc, table, scratch, rest, ow - rest, w, c, oc, kh, kw, sw, left, dw,
                           x_zero, signs);
    if (low > -128 || high < 127)
        for (int i = 0; i < ow * oc; i++) y[i] = (int8_t)puce_clamp(y[i], low, high);
}

/* The same, called with few pixels at a time */
PUCE_KERNEL void puce_conv_2d_s8_dsp_small(const int8_t *const *x, int8_t *y, const int32_t *table, void *scratch,
                                           int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                           int x_zero, int low, int high, int pixels, int signs)
{
    puce_conv_2d_s8_dsp(x, y, table, scratch, w, c, ow, oc, kh, kw, sw, left, dw, x_zero, low, high, pixels, signs);
}

/* The same for kernels of one row, which get that row itself */
PUCE_KERNEL void puce_conv_1d_s8_dsp(const int8_t *x, int8_t *y, const int32_t *table, void *scratch,
                                     int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                     int x_zero, int low, int high, int pixels, int signs)
{
    puce_conv_2d_s8_dsp(&x, y, table, scratch, w, c, ow, oc, kh, kw, sw, left, dw, x_zero, low, high, pixels, signs);
}

PUCE_KERNEL void puce_conv_1d_s8_dsp_small(const int8_t *x, int8_t *y, const int32_t *table, void *scratch,
                                           int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                           int x_zero, int low, int high, int pixels, int signs)
{
    puce_conv_2d_s8_dsp(&x, y, table, scratch, w, c, ow, oc, kh, kw, sw, left, dw, x_zero, low, high, pixels, signs);
}

#endif
