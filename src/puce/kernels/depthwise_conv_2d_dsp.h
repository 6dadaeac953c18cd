/* SPDX-License-Identifier: Apache-2.0
   DepthwiseConv2D int8, 3x3, for cores with the DSP extension: two taps of one channel an instruction.
   docs/design/kernels.md draws the packing. Elsewhere the same packed data goes through plain C. */
#ifndef PUCE_DEPTHWISE_CONV_2D_DSP_H
#define PUCE_DEPTHWISE_CONV_2D_DSP_H

#include "dsp.h"

/* What the core works on: a row, four channels at a time. It turns the three input rows into pairs of columns, 12 words
   each: (row 0, row 1) of channels 0 to 3 in the first column, the same in the second, then (first, second column) of
   row 2. A channel begins at its word. The table holds for each channel: nine weights and the shift in three words, see
   packing.py; multiplier; offset; start of the sum. The asm reads the fields by their order. */
typedef struct {
    int32_t *pairs;
    const int8_t *x[3];       /* where the first pair begins in each row; a padding row is one pixel of zeros */
    int32_t step[3];          /* bytes from one column to the next; 0 for a padding row */
    int32_t zeros;            /* four bytes of padding */
    const int32_t *whole_end; /* of the pairs, where those end whose columns are all in the picture, bar the first */
    const int32_t *end;
    int32_t left;             /* whether the first column is padding */
    int32_t last_is_padding;  /* whether both columns of the last pair are, and not just the second */
    int32_t fours_bytes;      /* of the pairs, for four output pixels a round */
    int32_t tail;             /* output pixels behind the rounds */
    int8_t *y;
    int32_t c;                /* from one output pixel to the next */
    const int32_t *table;
    const int32_t *table_end;
} puce_depthwise_job;

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__)

#define PUCE_DEPTHWISE_CORE static __attribute__((naked, noinline, used))

/* Two words of four channels become four words of pairs, one a channel. */
#define PUCE_PAIRS(a, b, at) \
    "pkhbt lr, " #a ", " #b ", lsl #16\n pkhtb " #b ", " #b ", " #a ", asr #16\n" \
    "sxtb16 " #a ", lr\n str " #a ", [r0, #" #at "]\n sxtb16 lr, lr, ror #8\n str lr, [r0, #" #at "+4]\n" \
    "sxtb16 " #a ", " #b "\n str " #a ", [r0, #" #at "+8]\n sxtb16 " #b ", " #b ", ror #8\n str " #b ", [r0, #" #at "+12]\n"
/* Stack: the job; then pairs of the channel 72, y 76, where its rounds of four end 80.
   Columns: r0 pairs, r1 r2 r3 the rows, r10 r11 r12 their steps, r4 r5 r6 the first column, r7 r8 r9 the second. */
#define PUCE_DEPTHWISE_BEGIN \
    "push {r4-r11, lr}\n" \
    "sub sp, #84\n" \
    "mov r12, sp\n" \
    "ldm r0!, {r1-r9}\n stm r12!, {r1-r9}\n ldm r0!, {r1-r9}\n stm r12!, {r1-r9}\n" \
    "9: ldm sp, {r0-r3, r10-r12}\n" \
    "str r0, [sp, #72]\n" \
    "add r4, r1, #4\n add r5, r2, #4\n add r6, r3, #4\n" \
    "str r4, [sp, #4]\n str r5, [sp, #8]\n str r6, [sp, #12]\n" \
    "ldr r7, [sp, #32]\n ldr r8, [sp, #40]\n ldr r4, [sp, #28]\n" \
    "cmp r0, r7\n" \
    "beq 4f\n" \
    "mov r5, r4\n mov r6, r4\n" \
    "cmp r8, #0\n" \
    "bne 2f\n" \
    ".p2align 2\n" \
    "1: ldr r4, [r1]\n ldr r5, [r2]\n ldr r6, [r3]\n" \
    "2: ldr r7, [r1, r10]\n ldr r8, [r2, r11]\n ldr r9, [r3, r12]\n" \
    "3:\n" PUCE_PAIRS(r4, r5, 0) PUCE_PAIRS(r7, r8, 16) PUCE_PAIRS(r6, r9, 32) \
    "ldr lr, [sp, #32]\n" \
    "add r0, #48\n" \
    "add r1, r1, r10, lsl #1\n add r2, r2, r11, lsl #1\n add r3, r3, r12, lsl #1\n" \
    "cmp r0, lr\n" \
    "blo.w 1b\n" \
    "4: ldr r4, [sp, #36]\n ldr r7, [sp, #28]\n ldr lr, [sp, #44]\n" \
    "cmp r0, r4\n" \
    "beq 5f\n" \
    "mov r8, r7\n mov r9, r7\n mov r4, r7\n mov r5, r7\n mov r6, r7\n" \
    "cmp lr, #0\n" \
    "bne.w 3b\n" \
    "ldr r4, [r1]\n ldr r5, [r2]\n ldr r6, [r3]\n" \
    "b.w 3b\n" \
    "5:\n"
/* A channel: r0 its pairs, r4 r5 r6 weights of rows 0 and 1, one for each kx, r7 (kx 0, 1) and r8 (kx 1, 2) of row 2;
   r1 r2 r3 inputs, r9 r10 r11 r12 sums, r12 their start before, lr the table. */
#define PUCE_DEPTHWISE_CHANNELS \
    "ldr lr, [sp, #64]\n" \
    "6: ldm lr, {r1-r3}\n" \
    "ldr r0, [sp, #72]\n ldr r9, [sp, #48]\n ldr r10, [sp, #56]\n" \
    "sxtb16 r4, r1\n sxtb16 r5, r1, ror #8\n sxtb16 r6, r2\n sxtb16 r7, r2, ror #8\n sxtb16 r8, r3\n" \
    "str r10, [sp, #76]\n" \
    "add r9, r0\n" \
    "str r9, [sp, #80]\n" \
    "cmp r0, r9\n" \
    "beq.w 8f\n" \
    ".p2align 2\n" \
    "7:\n"
#define PUCE_LOADS(a, b, c) "ldr r1, [r0, #" #a "]\n ldr r2, [r0, #" #b "]\n ldr r3, [r0, #" #c "]\n"
#define PUCE_START "ldr r12, [lr, #20]\n"
#define PUCE_TAP(sum, a, w) "smlad " #sum ", " #a ", " #w ", " #sum "\n"
#define PUCE_FIRST_TAP(sum, a) "smlad " #sum ", " #a ", r4, r12\n"
#define PUCE_KX_0(sum, a) "smlatb " #sum ", " #a ", r7, " #sum "\n" /* of row 2, in the second column */
#define PUCE_KX_2(sum, a) "smlabt " #sum ", " #a ", r8, " #sum "\n" /* of row 2, in the first column */
#define PUCE_ANY_SIGN_BEGIN "ldr r1, [lr, #12]\n ldr r2, [lr, #16]\n ldrb r3, [lr, #9]\n"
#define PUCE_ANY_SIGN(sum) \
    "lsl " #sum ", " #sum ", #1\n smmulr " #sum ", " #sum ", r1\n add " #sum ", " #sum ", " #sum ", asr #31\n" \
    "add " #sum ", " #sum ", r2\n asr " #sum ", " #sum ", r3\n ssat " #sum ", #8, " #sum "\n"
#define PUCE_POSITIVE_BEGIN "ldr r1, [lr, #12]\n ldr r2, [lr, #16]\n"
#define PUCE_POSITIVE(sum) "smmla " #sum ", " #sum ", r1, r2\n ssat " #sum ", #8, " #sum ", asr #2\n"
#define PUCE_DEPTHWISE_FOUR(bytes, ROUND) \
    ROUND##_BEGIN ROUND(r9) ROUND(r10) ROUND(r11) ROUND(r12) \
    "ldr r1, [sp, #76]\n ldr r2, [sp, #60]\n ldr r3, [sp, #80]\n" \
    "add r0, #" #bytes "\n" \
    "strb r9, [r1]\n" \
    "strb r10, [r1, r2]\n" \
    "add r1, r1, r2, lsl #1\n" \
    "strb r11, [r1]\n" \
    "strb r12, [r1, r2]\n" \
    "add r1, r1, r2, lsl #1\n" \
    "str r1, [sp, #76]\n" \
    "cmp r0, r3\n" \
    "bne.w 7b\n" \
    "8: ldr r10, [sp, #52]\n ldr r11, [sp, #76]\n" \
    "cmp r10, #0\n" \
    "beq.w 5f\n"
/* The rest of a row, pixel by pixel: r10 how many, r11 y. It begins at an even column. */
#define PUCE_DEPTHWISE_ONES(ROUND) \
    "4:\n" PUCE_LOADS(0, 16, 32) PUCE_START PUCE_FIRST_TAP(r9, r1) PUCE_TAP(r9, r2, r5) PUCE_TAP(r9, r3, r7) \
    "ldr r1, [r0, #48]\n ldr r3, [r0, #80]\n" PUCE_TAP(r9, r1, r6) PUCE_KX_2(r9, r3) \
    ROUND##_BEGIN ROUND(r9) \
    "strb r9, [r11]\n"
#define PUCE_DEPTHWISE_END \
    "5: ldr r1, [sp, #72]\n ldr r2, [sp, #56]\n ldr r3, [sp]\n" \
    "add lr, #24\n" \
    "adds r1, #4\n" \
    "adds r2, #1\n" \
    "str r1, [sp, #72]\n" \
    "str r2, [sp, #56]\n" \
    "adds r3, #16\n" \
    "cmp r1, r3\n" \
    "bne.w 6b\n" \
    "ldr r1, [sp, #68]\n" \
    "str lr, [sp, #64]\n" \
    "cmp lr, r1\n" \
    "bne.w 9b\n" \
    "add sp, #84\n" \
    "pop {r4-r11, pc}\n"
#define PUCE_DEPTHWISE_STRIDE_1(ROUND) \
    PUCE_DEPTHWISE_BEGIN PUCE_DEPTHWISE_CHANNELS \
    PUCE_LOADS(0, 16, 48) PUCE_START PUCE_FIRST_TAP(r9, r1) PUCE_FIRST_TAP(r10, r2) PUCE_FIRST_TAP(r11, r3) \
    PUCE_TAP(r9, r2, r5) PUCE_TAP(r10, r3, r5) PUCE_TAP(r9, r3, r6) \
    PUCE_LOADS(64, 32, 80) PUCE_FIRST_TAP(r12, r1) PUCE_TAP(r11, r1, r5) PUCE_TAP(r10, r1, r6) \
    PUCE_TAP(r9, r2, r7) PUCE_KX_0(r10, r2) \
    PUCE_KX_2(r9, r3) PUCE_TAP(r10, r3, r8) PUCE_TAP(r11, r3, r7) PUCE_KX_0(r12, r3) \
    PUCE_LOADS(96, 112, 128) PUCE_TAP(r12, r1, r5) PUCE_TAP(r11, r1, r6) PUCE_TAP(r12, r2, r6) \
    PUCE_KX_2(r11, r3) PUCE_TAP(r12, r3, r8) \
    PUCE_DEPTHWISE_FOUR(96, ROUND) \
    "cmp r10, #1\n" \
    "beq.w 4f\n" /* two pixels; of three, the first two */ \
    PUCE_LOADS(0, 16, 48) PUCE_START PUCE_FIRST_TAP(r9, r1) "smlad r12, r2, r4, r12\n" \
    PUCE_TAP(r9, r2, r5) PUCE_TAP(r12, r3, r5) PUCE_TAP(r9, r3, r6) \
    PUCE_LOADS(64, 32, 80) PUCE_TAP(r12, r1, r6) PUCE_TAP(r9, r2, r7) PUCE_KX_0(r12, r2) \
    PUCE_KX_2(r9, r3) PUCE_TAP(r12, r3, r8) \
    ROUND##_BEGIN ROUND(r9) ROUND(r12) \
    "ldr r2, [sp, #60]\n" \
    "add r0, #48\n" \
    "strb r9, [r11]\n" \
    "strb r12, [r11, r2]\n" \
    "cmp r10, #2\n" \
    "beq.w 5f\n" \
    "add r11, r11, r2, lsl #1\n" \
    PUCE_DEPTHWISE_ONES(ROUND) \
    PUCE_DEPTHWISE_END
#define PUCE_DEPTHWISE_STRIDE_2(ROUND) \
    PUCE_DEPTHWISE_BEGIN PUCE_DEPTHWISE_CHANNELS \
    PUCE_LOADS(0, 16, 32) PUCE_START PUCE_FIRST_TAP(r9, r1) PUCE_TAP(r9, r2, r5) PUCE_TAP(r9, r3, r7) \
    PUCE_LOADS(48, 64, 80) PUCE_TAP(r9, r1, r6) PUCE_KX_2(r9, r3) \
    PUCE_FIRST_TAP(r10, r1) PUCE_TAP(r10, r2, r5) PUCE_TAP(r10, r3, r7) \
    PUCE_LOADS(96, 112, 128) PUCE_TAP(r10, r1, r6) PUCE_KX_2(r10, r3) \
    PUCE_FIRST_TAP(r11, r1) PUCE_TAP(r11, r2, r5) PUCE_TAP(r11, r3, r7) \
    PUCE_LOADS(144, 160, 176) PUCE_TAP(r11, r1, r6) PUCE_KX_2(r11, r3) \
    PUCE_FIRST_TAP(r12, r1) PUCE_TAP(r12, r2, r5) PUCE_TAP(r12, r3, r7) \
    "ldr r1, [r0, #192]\n ldr r3, [r0, #224]\n" PUCE_TAP(r12, r1, r6) PUCE_KX_2(r12, r3) \
    PUCE_DEPTHWISE_FOUR(192, ROUND) \
    PUCE_DEPTHWISE_ONES(ROUND) \
    "ldr r1, [sp, #60]\n" \
    "add r0, #48\n" \
    "add r11, r1\n" \
    "subs r10, #1\n" \
    "bne 4b\n" \
    PUCE_DEPTHWISE_END

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

#else

/* The signed bytes of two words, side by side */
PUCE_KERNEL void puce_depthwise_pairs(int32_t *to, int32_t a, int32_t b)
{
    for (int i = 0; i < 4; i++)
        to[i] = (int32_t)((uint32_t)(int8_t)(b >> 8 * i) << 16 | (uint16_t)(int8_t)(a >> 8 * i));
}

PUCE_KERNEL void puce_depthwise_columns(const puce_depthwise_job *job, int o)
{
    int column = 0;
    for (int32_t *to = job->pairs; to != job->end; to += 12, column += 2) {
        int32_t a[3], b[3];
        for (int r = 0; r < 3; r++) {
            const int8_t *x = job->x[r] + o;
            a[r] = b[r] = job->zeros;
            if (to < job->whole_end ? column > 0 || !job->left : !job->last_is_padding) a[r] = puce_word(x + column * job->step[r]);
            if (to < job->whole_end) b[r] = puce_word(x + (column + 1) * job->step[r]);
        }
        puce_depthwise_pairs(to, a[0], a[1]);
        puce_depthwise_pairs(to + 4, b[0], b[1]);
        puce_depthwise_pairs(to + 8, a[2], b[2]);
    }
}

PUCE_KERNEL void puce_depthwise_core(const puce_depthwise_job *job, int sw, int signs)
{
    const int pixels = job->fours_bytes / (24 * sw) + job->tail;
    int o = 0;
    for (const int32_t *t = job->table; t != job->table_end; t += 6, o++) {
        if (o % 4 == 0) puce_depthwise_columns(job, o);
        const int32_t w[5] = {puce_even(t[0]), puce_odd(t[0]), puce_even(t[1]), puce_odd(t[1]), puce_even(t[2])};
        for (int p = 0; p < pixels; p++) {
            const int first = p * sw;
            uint32_t sum = (uint32_t)t[5];
            for (int kx = 0; kx < 3; kx++) {
                const int32_t *pair = job->pairs + (first + kx) / 2 * 12 + o % 4;
                sum = puce_smlad(pair[(first + kx) % 2 * 4], w[kx], sum);
                const int32_t below = kx == 0 ? (int16_t)w[3] : kx == 1 ? w[3] >> 16 : w[4] >> 16;
                const int32_t x = (first + kx) % 2 ? pair[8] >> 16 : (int16_t)pair[8];
                sum += (uint32_t)(x * below);
            }
            job->y[p * job->c + o] = signs ? puce_round_twice((int32_t)(sum << 1), t[3], t[4], t[2] >> 8 & 255)
                                               : puce_round_once((int32_t)sum, t[3], t[4], 2);
        }
    }
}

PUCE_KERNEL void puce_depthwise_core_1(const puce_depthwise_job *job) { puce_depthwise_core(job, 1, 1); }
PUCE_KERNEL void puce_depthwise_core_2(const puce_depthwise_job *job) { puce_depthwise_core(job, 2, 1); }
PUCE_KERNEL void puce_depthwise_core_1_positive(const puce_depthwise_job *job) { puce_depthwise_core(job, 1, 0); }
PUCE_KERNEL void puce_depthwise_core_2_positive(const puce_depthwise_job *job) { puce_depthwise_core(job, 2, 0); }

#endif

/* One row of 3x3, stride 1 or 2, c a multiple of 4, at most one column of padding on either side. table is [c, 6]; scratch
   holds the pairs of columns of four channels, then one pixel of padding. */
PUCE_KERNEL void puce_depthwise_conv_2d_s8_dsp(const int8_t *const *x, int8_t *y, const int32_t *table, void *scratch,
                                               int w, int c, int ow, int sw, int left, int x_zero, int low, int high,
                                               int signs)
{
    const int columns = (ow - 1) * sw + 3, inside = columns < left + w ? columns : left + w, pairs = (columns + 1) / 2;
    int32_t *const first = scratch;
    int8_t *const padding = (int8_t *)(first + 12 * pairs);
    puce_depthwise_job job = {
        first, {x[0], x[1], x[2]}, {c, c, c}, (int32_t)((uint32_t)(uint8_t)x_zero * 0x01010101u), first + inside / 2 * 12,
        first + 12 * pairs, left, inside % 2 == 0, ow / 4 * 96 * sw, ow % 4, y, c, table, table + 6 * c,
    };
    PUCE_ROLLED
    for (int r = 0; r < 3; r++) {
        if (x[r]) {
            job.x[r] = x[r] - left * c;
        } else {
            for (int i = 0; i < c; i++) padding[i] = (int8_t)x_zero;
            job.x[r] = padding, job.step[r] = 0;
        }
    }
    if (sw == 1) {
        if (signs) puce_depthwise_core_1(&job);
        else puce_depthwise_core_1_positive(&job);
    } else {
        if (signs) puce_depthwise_core_2(&job);
        else puce_depthwise_core_2_positive(&job);
    }
    if (low > -128 || high < 127)
        for (int i = 0; i < ow * c; i++) y[i] = (int8_t)puce_clamp(y[i], low, high);
}

#endif
