/* SPDX-License-Identifier: Apache-2.0
   DepthwiseConv2D int8, one output channel an input channel, for cores without the DSP extension: four channels of a pixel
   at a time, from the first tap to the four bytes. Cortex-M0+ has an assembly core. */
#ifndef PUCE_DEPTHWISE_CONV_2D_FOURS_H
#define PUCE_DEPTHWISE_CONV_2D_FOURS_H

#include "quads.h"

/* The asm reads the fields by their order. */
typedef struct {
    const int8_t *const *x;  /* rows; a null one is padding */
    int rows;                /* at least 1 */
    int offset;              /* in a row, to its first tap inside the picture */
    int taps;                /* of a row that lie inside, at least 1 */
    int x_step;              /* from a tap to the next */
    int w_step;
    const int8_t *weights;   /* of the first tap inside */
    int skip;                /* behind the last tap of a row to the first of the next */
    int row;                 /* from a row of weights to the next */
    int minus_zero;          /* what brings the x of real zero to zero */
    const int32_t *rounding; /* [4][4], as puce_quads_round has it */
    int8_t *y;
} puce_depthwise_fours_job;

#if defined(PUCE_QUADS_CORE)

/* r0 channel, r1 x, r2 weights, r3 taps left, r4 r5 products, r6 w_step, r7 the job; r8-r11 the four sums, r12 x_step,
   lr what brings x to zero */
#define PUCE_FOURS_CHANNEL(sum) \
    "ldrsb r4, [r1, r0]\n ldrsb r5, [r2, r0]\n add r4, lr\n muls r4, r5\n add " #sum ", r4\n"

/* Changes rows and x of the job. */
PUCE_QUADS_CORE void puce_depthwise_fours(__attribute__((unused)) puce_depthwise_fours_job *job)
{
    __asm__ volatile(
        ".syntax unified\n push {r4-r7, lr}\n" PUCE_QUADS_TO_LOW "push {r4-r7}\n mov r7, r0\n"
        "movs r4, #0\n mov r8, r4\n mov r9, r4\n mov r10, r4\n mov r11, r4\n"
        "ldr r4, [r7, #36]\n mov lr, r4\n ldr r4, [r7, #16]\n mov r12, r4\n ldr r2, [r7, #24]\n ldr r6, [r7, #20]\n"
        "1: ldr r4, [r7]\n ldm r4!, {r1}\n str r4, [r7]\n cmp r1, #0\n beq 3f\n"
        "ldr r4, [r7, #8]\n adds r1, r1, r4\n ldr r3, [r7, #12]\n"
        "2: movs r0, #0\n" PUCE_FOURS_CHANNEL(r8) "adds r0, #1\n" PUCE_FOURS_CHANNEL(r9) "adds r0, #1\n"
        PUCE_FOURS_CHANNEL(r10) "adds r0, #1\n" PUCE_FOURS_CHANNEL(r11)
        "add r1, r12\n adds r2, r2, r6\n subs r3, #1\n bne 2b\n"
        "ldr r4, [r7, #28]\n b 4f\n"
        "3: ldr r4, [r7, #32]\n"
        "4: adds r2, r2, r4\n ldr r4, [r7, #4]\n subs r4, #1\n str r4, [r7, #4]\n bne 1b\n"
        "ldr r1, [r7, #40]\n ldr r2, [r7, #44]\n movs r4, #1\n lsls r4, r4, #14\n mov lr, r4\n"
        "mov r4, r8\n" PUCE_QUADS_ROUND(0) "mov r4, r9\n" PUCE_QUADS_ROUND(1)
        "mov r4, r10\n" PUCE_QUADS_ROUND(2) "mov r4, r11\n" PUCE_QUADS_ROUND(3)
        "pop {r4-r7}\n" PUCE_QUADS_TO_HIGH "pop {r4-r7, pc}\n" ::: "memory");
}

#else

PUCE_KERNEL void puce_depthwise_fours(const puce_depthwise_fours_job *job)
{
    int32_t sums[4] = {0, 0, 0, 0};
    const int8_t *row = job->weights;
    for (int ky = 0; ky < job->rows; ky++, row += job->row) {
        if (!job->x[ky]) continue;
        const int8_t *x = job->x[ky] + job->offset, *w = row;
        for (int kx = 0; kx < job->taps; kx++, x += job->x_step, w += job->w_step)
            for (int i = 0; i < 4; i++) sums[i] += (x[i] + job->minus_zero) * w[i];
    }
    for (int i = 0; i < 4; i++) job->y[i] = puce_quads_round(sums[i], job->rounding + 4 * i);
}

#endif

/* rounding is [c, 4]. Four channels at a time; the last four are those that end with the last. */
PUCE_KERNEL void puce_depthwise_conv_2d_s8_fours(const int8_t *const *x, int8_t *y, const int8_t *weights,
                                                 const int32_t *rounding, int w, int c, int ow, int kh, int kw, int sw,
                                                 int left, int dw, int x_zero, int low, int high)
{
    PUCE_ROLLED
    for (int ox = 0; ox < ow; ox++) {
        const int start = ox * sw - left;
        const int first = puce_first_tap(start, dw), last = puce_last_tap(start, dw, kw, w);
        const int inside = first < last ? last - first : 0; /* no tap: as if every row were padding */
        puce_depthwise_fours_job job = {.taps = inside, .x_step = dw * c, .w_step = c, .row = kw * c,
                                        .skip = (kw - inside) * c, .minus_zero = -x_zero};
        static const int8_t *const nothing[1];
        PUCE_ROLLED
        for (int o = 0; o < c; o += 4) {
            const int at = o + 4 <= c ? o : c - 4;
            job.x = inside ? x : nothing;
            job.rows = inside ? kh : 1;
            job.offset = (start + first * dw) * c + at;
            job.weights = weights + first * c + at;
            job.rounding = rounding + 4 * at;
            job.y = y + ox * c + at;
            puce_depthwise_fours(&job);
        }
    }
    if (low > -128 || high < 127)
        for (int i = 0; i < ow * c; i++) y[i] = (int8_t)puce_clamp(y[i], low, high);
}

#endif
