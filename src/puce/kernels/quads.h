/* SPDX-License-Identifier: Apache-2.0
   Weights of four output channels in a word, for cores without the DSP extension: one load and no unpacking serve four
   products. docs/design/kernels.md draws the packing. Cortex-M0+ has an assembly core. */
#ifndef PUCE_QUADS_H
#define PUCE_QUADS_H

#include "puce_kernel.h"

/* One window by four channels. A word is a + 256 b + 65536 c + 2^24 d: shifted right by 8 it is b + 256 c + 65536 d, where
   a, b and c are weights plus 128, so that nothing borrows. The asm reads the fields by their order. */
typedef struct {
    uint32_t sums[5];        /* of x times the word; of x times the word shifted by 8, 16, 24; of x. All wrap */
    const int8_t *const *x;  /* rows; a null one is padding */
    int rows;                /* at least 1 */
    int offset;              /* in a row, to its first tap */
    int n;                   /* taps side by side, at least 1 */
    const int32_t *words;    /* of the first tap */
    int skip;                /* bytes from the last word of a row of taps to the first of the next */
    int row;                 /* bytes from the first to the first */
    int minus_zero;          /* what brings the x of real zero to zero */
} puce_quads_job;

#if defined(__thumb__) && !defined(__thumb2__) && defined(__OPTIMIZE__)

#define PUCE_QUADS_CORE static __attribute__((naked, noinline, unused))

/* r0 x less its zero point, r1 behind the last x, r2 words, r3 how far from there, r4-r7 products; r8-r11 the sums of
   products, r12 that of x, lr what brings x to zero; the job's address is on the stack */
#define PUCE_QUADS_TAP \
    "ldrsb r0, [r1, r3]\n ldm r2!, {r4}\n add r0, lr\n add r12, r0\n" \
    "asrs r5, r4, #8\n asrs r6, r4, #16\n asrs r7, r4, #24\n" \
    "muls r4, r0\n add r8, r4\n muls r5, r0\n add r9, r5\n muls r6, r0\n add r10, r6\n muls r7, r0\n add r11, r7\n adds r3, #1\n"
#define PUCE_QUADS_TO_HIGH "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
#define PUCE_QUADS_TO_LOW "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"

/* Changes rows and x of the job. */
PUCE_QUADS_CORE void puce_quads_run(__attribute__((unused)) puce_quads_job *job)
{
    __asm__ volatile(
        ".syntax unified\n push {r4-r7, lr}\n" PUCE_QUADS_TO_LOW "push {r0, r4-r7}\n"
        "ldr r4, [r0, #48]\n mov lr, r4\n ldr r2, [r0, #36]\n"
        "ldm r0!, {r4-r7}\n" PUCE_QUADS_TO_HIGH "ldr r4, [r0]\n mov r12, r4\n"
        "1: ldr r0, [sp]\n ldr r4, [r0, #20]\n ldm r4!, {r1}\n str r4, [r0, #20]\n cmp r1, #0\n beq 5f\n"
        "ldr r4, [r0, #28]\n ldr r3, [r0, #32]\n adds r1, r1, r4\n adds r1, r1, r3\n movs r0, #3\n tst r3, r0\n"
        "rsbs r3, r3, #0\n tst r3, r0\n bne 3f\n"
        "2:\n" PUCE_QUADS_TAP PUCE_QUADS_TAP PUCE_QUADS_TAP PUCE_QUADS_TAP "bne 2b\n b 4f\n"
        "3:\n" PUCE_QUADS_TAP "bne 3b\n"
        "4: ldr r0, [sp]\n ldr r4, [r0, #40]\n b 6f\n"
        "5: ldr r4, [r0, #44]\n"
        "6: adds r2, r2, r4\n ldr r4, [r0, #24]\n subs r4, #1\n str r4, [r0, #24]\n bne 1b\n"
        PUCE_QUADS_TO_LOW "stm r0!, {r4-r7}\n mov r4, r12\n str r4, [r0]\n"
        "pop {r0, r4-r7}\n" PUCE_QUADS_TO_HIGH "pop {r4-r7, pc}\n" ::: "memory");
}

/* r4 sum, less its bias; r1 table; r12 keeps the sign, lr is 2^14. puce_multiply_high, then half and sign, shift, int8. */
#define PUCE_QUADS_ROUND(to) \
    "ldm r1!, {r3, r5}\n adds r4, r4, r3\n uxth r6, r5\n lsrs r5, r5, #16\n asrs r3, r4, #16\n mov r12, r3\n uxth r4, r4\n" \
    "mov r7, r4\n muls r7, r5\n muls r5, r3\n muls r3, r6\n muls r6, r4\n lsrs r6, r6, #16\n adds r7, r7, r6\n add r7, lr\n" \
    "lsls r5, r5, #1\n asrs r6, r3, #15\n adds r5, r5, r6\n lsls r3, r3, #17\n lsrs r3, r3, #17\n adds r7, r7, r3\n" \
    "lsrs r7, r7, #15\n adds r5, r5, r7\n ldm r1!, {r3, r4}\n adds r5, r5, r3\n mov r3, r12\n asrs r3, r3, #31\n" \
    "adds r5, r5, r3\n asrs r5, r4\n sxtb r3, r5\n cmp r3, r5\n beq 1f\n asrs r3, r5, #31\n movs r5, #127\n eors r3, r5\n" \
    "1: strb r3, [r2, #" #to "]\n"

PUCE_QUADS_CORE void puce_quads_finish(__attribute__((unused)) const puce_quads_job *job,
                                       __attribute__((unused)) const int32_t *rounding, __attribute__((unused)) int8_t *y)
{
    __asm__ volatile(
        ".syntax unified\n push {r4-r7, lr}\n movs r3, #1\n lsls r3, r3, #14\n mov lr, r3\n"
        "ldm r0!, {r3-r7}\n lsls r7, r7, #7\n"
        "lsls r0, r4, #8\n subs r3, r3, r0\n subs r3, r3, r7\n lsls r0, r5, #8\n subs r4, r4, r0\n subs r4, r4, r7\n"
        "lsls r0, r6, #8\n subs r5, r5, r0\n subs r5, r5, r7\n push {r4-r6}\n mov r4, r3\n"
        PUCE_QUADS_ROUND(0) "pop {r4}\n" PUCE_QUADS_ROUND(1) "pop {r4}\n" PUCE_QUADS_ROUND(2) "pop {r4}\n" PUCE_QUADS_ROUND(3)
        "pop {r4-r7, pc}\n" ::: "memory");
}

#else

PUCE_KERNEL void puce_quads_run(puce_quads_job *job)
{
    uint32_t s0 = job->sums[0], s1 = job->sums[1], s2 = job->sums[2], s3 = job->sums[3], all = job->sums[4];
    const int32_t *words = job->words;
    for (int row = 0; row < job->rows; row++, words += job->row / 4) {
        if (!job->x[row]) continue;
        const int8_t *const x = job->x[row] + job->offset;
        for (int i = 0; i < job->n; i++) {
            const uint32_t v = (uint32_t)(x[i] + job->minus_zero);
            const int32_t w = words[i];
            s0 += v * (uint32_t)w;
            s1 += v * (uint32_t)(w >> 8);
            s2 += v * (uint32_t)(w >> 16);
            s3 += v * (uint32_t)(w >> 24);
            all += v;
        }
    }
    job->sums[0] = s0, job->sums[1] = s1, job->sums[2] = s2, job->sums[3] = s3, job->sums[4] = all;
}

#endif

/* Sum of channel i out of what was summed */
PUCE_KERNEL int32_t puce_quads_sum(const puce_quads_job *job, int i)
{
    return (int32_t)(i == 3 ? job->sums[3] : job->sums[i] - (job->sums[i + 1] << 8) - (job->sums[4] << 7));
}

#if !defined(PUCE_QUADS_CORE)

/* r: bias, multiplier, half of the last place and the zero point moved up, right shift. TFLite's two roundings of a sum
   below 2^30; a tie of a negative sum goes down. */
PUCE_KERNEL int8_t puce_quads_round(int32_t sum, const int32_t *r)
{
    const int32_t biased = (int32_t)((uint32_t)sum + (uint32_t)r[0]);
    return (int8_t)puce_clamp((puce_multiply_high(biased, r[1]) + r[2] + (biased >> 31)) >> r[3], -128, 127);
}

/* rounding is [4][4]. */
PUCE_KERNEL void puce_quads_finish(const puce_quads_job *job, const int32_t *rounding, int8_t *y)
{
    for (int i = 0; i < 4; i++) y[i] = puce_quads_round(puce_quads_sum(job, i), rounding + 4 * i);
}

#endif
#endif
