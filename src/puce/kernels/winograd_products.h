/* SPDX-License-Identifier: Apache-2.0
   Products and output of Winograd's F(4x2, 3x3): 24 products a tile, of which 8 outputs are made. docs/design/kernels.md has
   the pictures. The assembly is for the DSP extension; elsewhere plain C does the same with the same tables. */
#ifndef PUCE_WINOGRAD_PRODUCTS_H
#define PUCE_WINOGRAD_PRODUCTS_H

#include "puce_kernel.h"

/* A tile is 6x4 inputs that make 4x2 outputs; a group is 4 neighbouring tiles. `v` are transformed inputs, pairs of
   channels as int16: [24 positions][groups][pairs][4 tiles]; `u` the weights of two output channels, `u_bytes` a position:
   [24][pairs][2]; `m` their products, in all `m_bytes`: [groups][24][2][4 tiles]. `u_next` and `m_end` are
   where the first position of u and of m ends, `end` where the last of m starts, and 8 words. The asm reads the fields by
   their order. */
typedef struct {
    const int32_t *v;
    const int32_t *u_next;
    const int32_t *u;
    int32_t *m;
    int32_t *m_end;
    int32_t u_bytes;
    int32_t m_bytes;
    int32_t *end;
} puce_winograd_job;

/* One output channel of a row of tiles: `m` its products; `table` holds start, multiplier, rounding, shift; outputs go to
   four rows: the first to byte `along` of each in the second column of the first tile, `back` on is the first column,
   `on` from there the second column of the next tile. `third` is 3^-1 modulo 2^32. */
typedef struct {
    const int32_t *m;
    int32_t tiles;
    const int32_t *table;
    int8_t *row[4];
    int32_t along;
    int32_t back;
    int32_t on;
    uint32_t third;
} puce_winograd_output;

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__)

#define PUCE_WINOGRAD_CORE static __attribute__((naked, noinline, unused))

/* Registers: r0 and r1 the words last read of v and u, r2 r3 weights of two channels, r4 r5 inputs of two tiles, r6-r9
   and r10-r12 lr the sums of four tiles. Stack: where this position of u ends and starts, the block of m and where the
   position's last ends, u_bytes, bytes of m, where m ends. Neighbouring loads pipeline: 4 + 2 of them, 8 cycles. */
#define PUCE_WG_FIRST(sum, u, v) "smuad " #sum ", " #u ", " #v "\n"
#define PUCE_WG_MORE(sum, u, v) "smlad " #sum ", " #u ", " #v ", " #sum "\n"
#define PUCE_WG_PAIR(SUM, u0, u1, v0, v1, v2, v3) \
    "ldr r2, [r1, #" #u0 "]\n ldr r3, [r1, #" #u1 "]\n ldr r4, [r0, #" #v0 "]\n ldr r5, [r0, #" #v1 "]\n" \
    SUM(r6, r2, r4) SUM(r7, r2, r5) SUM(r10, r3, r4) SUM(r11, r3, r5) \
    "ldr r4, [r0, #" #v2 "]\n ldr r5, [r0, #" #v3 "]\n" \
    SUM(r8, r2, r4) SUM(r9, r2, r5) SUM(r12, r3, r4) SUM(lr, r3, r5)
#define PUCE_WG_LAST_PAIR(u, v) /* the first in memory: it moves on */ \
    "ldr r2, [r1], #" #u "\n ldr r3, [r1, #4-" #u "]\n ldr r4, [r0], #" #v "\n ldr r5, [r0, #4-" #v "]\n" \
    PUCE_WG_MORE(r6, r2, r4) PUCE_WG_MORE(r7, r2, r5) PUCE_WG_MORE(r10, r3, r4) PUCE_WG_MORE(r11, r3, r5) \
    "ldr r4, [r0, #8-" #v "]\n ldr r5, [r0, #12-" #v "]\n" \
    PUCE_WG_MORE(r8, r2, r4) PUCE_WG_MORE(r9, r2, r5) PUCE_WG_MORE(r12, r3, r4) PUCE_WG_MORE(lr, r3, r5)
#define PUCE_WG_PRODUCTS(OTHERS) \
    "push {r4-r11, lr}\n" \
    "ldm r0, {r0-r7}\n" \
    "push {r1-r7}\n" \
    "mov r1, r2\n" \
    ".p2align 2\n" \
    "3:\n" PUCE_WG_PAIR_1(PUCE_WG_FIRST) \
    ".p2align 2\n" \
    "2:\n" OTHERS \
    "ldr r2, [sp]\n ldr r3, [sp, #8]\n" \
    "cmp r1, r2\n" \
    "bne 4f\n" \
    "str r6, [r3]\n str r7, [r3, #4]\n str r8, [r3, #8]\n str r9, [r3, #12]\n" \
    "str r10, [r3, #16]\n str r11, [r3, #20]\n str r12, [r3, #24]\n str lr, [r3, #28]\n" \
    "ldr r2, [sp, #12]\n ldr r1, [sp, #4]\n" \
    "add r3, r3, #768\n" \
    "str r3, [sp, #8]\n" \
    "cmp r3, r2\n" \
    "bne 3b\n" \
    "ldr r1, [sp]\n ldr r4, [sp, #16]\n ldr r5, [sp, #20]\n ldr r6, [sp, #24]\n" /* the next position of u */ \
    "adds r2, #32\n" \
    "subs r3, r2, r5\n" \
    "adds r7, r1, r4\n" \
    "str r7, [sp]\n str r1, [sp, #4]\n str r3, [sp, #8]\n str r2, [sp, #12]\n" \
    "cmp r3, r6\n" \
    "bne 3b\n" \
    "add sp, #28\n" \
    "pop {r4-r11, pc}\n" \
    ".p2align 2\n" \
    "4:\n" PUCE_WG_PAIR_1(PUCE_WG_MORE) \
    "b 2b\n"
#define PUCE_WG_PAIR_1(SUM) PUCE_WG_PAIR(SUM, 8, 12, 16, 20, 24, 28)
#define PUCE_WG_PAIRS_2_3 PUCE_WG_PAIR(PUCE_WG_MORE, 16, 20, 32, 36, 40, 44) PUCE_WG_PAIR(PUCE_WG_MORE, 24, 28, 48, 52, 56, 60)
#define PUCE_WG_PAIRS_4_7 \
    PUCE_WG_PAIR(PUCE_WG_MORE, 32, 36, 64, 68, 72, 76) PUCE_WG_PAIR(PUCE_WG_MORE, 40, 44, 80, 84, 88, 92) \
    PUCE_WG_PAIR(PUCE_WG_MORE, 48, 52, 96, 100, 104, 108) PUCE_WG_PAIR(PUCE_WG_MORE, 56, 60, 112, 116, 120, 124)

/* 16 input channels a round */
PUCE_WINOGRAD_CORE void puce_winograd_products_16(__attribute__((unused)) const puce_winograd_job *job)
{
    __asm__ volatile(PUCE_WG_PRODUCTS(PUCE_WG_PAIRS_2_3 PUCE_WG_PAIRS_4_7 PUCE_WG_LAST_PAIR(64, 128)) ::: "memory");
}

/* 8 input channels a round */
PUCE_WINOGRAD_CORE void puce_winograd_products_8(__attribute__((unused)) const puce_winograd_job *job)
{
    __asm__ volatile(PUCE_WG_PRODUCTS(PUCE_WG_PAIRS_2_3 PUCE_WG_LAST_PAIR(32, 64)) ::: "memory");
}

/* 4 input channels a round */
PUCE_WINOGRAD_CORE void puce_winograd_products_4(__attribute__((unused)) const puce_winograd_job *job)
{
    __asm__ volatile(PUCE_WG_PRODUCTS(PUCE_WG_LAST_PAIR(16, 32)) ::: "memory");
}

/* Registers: r0 the products of a tile, r5-r10 a column of them, with the horizontal half of the transform, r1-r3 for
   passage, r4 the first (column 0: + the second + the third) or the last (column 1: + the second - the third) of a line,
   lr 1 or -1, r11 r12 multiplier, rounding. Stack: where the group's products end, tiles left, start of the sums, four
   rows, along, back, on, third, shift. The sums are 48 times the convolution's. Of two columns that have one place the
   first stays, so it goes last. */
#define PUCE_WG_M(r, i, j) "ldr " #r ", [r0, #128*" #i "+32*" #j "]\n"
#define PUCE_WG_END(r, i) "ldr " #r ", [r4, #128*" #i "]\n"
#define PUCE_WG_LINE(sum, second, third) "add " #sum ", " #second "\n mla " #sum ", " #third ", lr, " #sum "\n"
#define PUCE_WG_SIX_LINES \
    PUCE_WG_END(r5, 0) PUCE_WG_END(r6, 1) PUCE_WG_M(r1, 0, 1) PUCE_WG_M(r2, 0, 2) PUCE_WG_M(r3, 1, 1) PUCE_WG_M(r10, 1, 2) \
    PUCE_WG_LINE(r5, r1, r2) PUCE_WG_LINE(r6, r3, r10) \
    PUCE_WG_END(r7, 2) PUCE_WG_END(r8, 3) PUCE_WG_M(r1, 2, 1) PUCE_WG_M(r2, 2, 2) PUCE_WG_M(r3, 3, 1) PUCE_WG_M(r10, 3, 2) \
    PUCE_WG_LINE(r7, r1, r2) PUCE_WG_LINE(r8, r3, r10) \
    PUCE_WG_END(r9, 4) PUCE_WG_END(r10, 5) PUCE_WG_M(r1, 4, 1) PUCE_WG_M(r2, 4, 2) PUCE_WG_M(r3, 5, 1) \
    PUCE_WG_LINE(r9, r1, r2) \
    PUCE_WG_M(r1, 5, 2) "ldr r2, [sp, #8]\n" \
    PUCE_WG_LINE(r10, r3, r1) "adds r6, r6, r2\n"
/* the vertical half: outputs in r5, r1, r6, r10 */
#define PUCE_WG_FOUR_ROWS \
    "subs r1, r6, r7\n adds r6, r6, r7\n sub r2, r8, r9\n add r8, r8, r9\n adds r5, r5, r6\n add r5, r8\n" \
    "add r6, r6, r8, lsl #2\n add r10, r1\n add r10, r10, r2, lsl #3\n add r1, r1, r2, lsl #1\n"
#define PUCE_WG_ANY_48TH(sum) \
    "mul " #sum ", " #sum ", r7\n asr " #sum ", " #sum ", #3\n smmlar r2, " #sum ", r11, r12\n" \
    "add r2, r2, " #sum ", asr #31\n asrs r2, r3\n ssat " #sum ", #8, r2\n"
#define PUCE_WG_POSITIVE_48TH(sum) \
    "mul " #sum ", " #sum ", r7\n smmla " #sum ", " #sum ", r11, r12\n asr " #sum ", " #sum ", r3\n" \
    "ssat " #sum ", #8, " #sum "\n"
#define PUCE_WG_FINISH(ROUND) \
    "push {r4-r11, lr}\n" \
    "ldm r0, {r0-r10}\n" /* r1 tiles, r2 table, then what goes to the stack */ \
    "ldm r2, {r2, r11, r12, lr}\n" \
    "push {r2-r10, lr}\n" \
    "sub sp, #8\n" \
    "1: subs r5, r1, #4\n" \
    "str r5, [sp, #4]\n" \
    "and r5, r5, r5, asr #31\n" /* 0 where the group is full */ \
    "add r5, r0, r5, lsl #2\n" \
    "adds r5, #16\n" \
    "str r5, [sp]\n" \
    ".p2align 2\n" \
    "2: mov lr, #-1\n" \
    "add r4, r0, #96\n" \
    "3:\n" \
    PUCE_WG_SIX_LINES PUCE_WG_FOUR_ROWS \
    "ldr r7, [sp, #40]\n ldr r3, [sp, #44]\n" \
    ROUND(r5) ROUND(r1) ROUND(r6) ROUND(r10) \
    "ldr r2, [sp, #12]\n ldr r3, [sp, #16]\n ldr r7, [sp, #20]\n ldr r8, [sp, #24]\n ldr r9, [sp, #28]\n" \
    "strb r5, [r2, r9]\n strb r1, [r3, r9]\n strb r6, [r7, r9]\n strb r10, [r8, r9]\n" \
    "ldr r2, [sp, #32]\n ldr r3, [sp, #36]\n ldr r5, [sp]\n" \
    "cmp lr, #0\n" \
    "bgt 4f\n" \
    "add r9, r2\n" \
    "mov lr, #1\n" \
    "mov r4, r0\n" \
    "str r9, [sp, #28]\n" \
    "b 3b\n" \
    ".p2align 2\n" \
    "4: add r9, r3\n" \
    "adds r0, #4\n" \
    "str r9, [sp, #28]\n" \
    "cmp r0, r5\n" \
    "bne 2b\n" \
    "ldr r1, [sp, #4]\n" \
    "add r0, r0, #752\n" /* the next group */ \
    "cmp r1, #0\n" \
    "bgt 1b\n" \
    "add sp, #48\n" \
    "pop {r4-r11, pc}\n"

/* Any outputs */
PUCE_WINOGRAD_CORE void puce_winograd_finish_any(__attribute__((unused)) const puce_winograd_output *job)
{
    __asm__ volatile(PUCE_WG_FINISH(PUCE_WG_ANY_48TH) ::: "memory");
}

/* Outputs of which none is below zero */
PUCE_WINOGRAD_CORE void puce_winograd_finish_positive(__attribute__((unused)) const puce_winograd_output *job)
{
    __asm__ volatile(PUCE_WG_FINISH(PUCE_WG_POSITIVE_48TH) ::: "memory");
}

#else

/* The same arithmetic on the same data, for any machine: sums modulo 2^32 */
PUCE_KERNEL void puce_winograd_products(const puce_winograd_job *job)
{
    const int pairs = (int)job->u_bytes / 8, groups = (int)job->m_bytes / 768;
    const int32_t *v = job->v;
    for (int position = 0; position < 24; position++)
        for (int group = 0; group < groups; group++, v += 4 * pairs)
            for (int o = 0; o < 2; o++)
                for (int tile = 0; tile < 4; tile++) {
                    const int32_t *u = job->u + position * 2 * pairs + o;
                    uint32_t sum = 0;
                    for (int i = 0; i < pairs; i++) {
                        const int32_t a = u[2 * i], b = v[4 * i + tile];
                        sum += (uint32_t)((int16_t)a * (int16_t)b) + (uint32_t)((a >> 16) * (b >> 16));
                    }
                    job->m[group * 192 + position * 8 + o * 4 + tile] = (int32_t)sum;
                }
}

PUCE_KERNEL void puce_winograd_products_16(const puce_winograd_job *job) { puce_winograd_products(job); }
PUCE_KERNEL void puce_winograd_products_8(const puce_winograd_job *job) { puce_winograd_products(job); }
PUCE_KERNEL void puce_winograd_products_4(const puce_winograd_job *job) { puce_winograd_products(job); }

PUCE_KERNEL int8_t puce_winograd_round(uint32_t sum, uint32_t third, const int32_t *r, int positive)
{
    const int32_t sixteen = (int32_t)(sum * third); /* 48 sums are a multiple of three */
    if (positive) return (int8_t)puce_clamp(((int32_t)((int64_t)sixteen * r[1] >> 32) + r[2]) >> r[3], -128, 127);
    const int32_t high = (int32_t)(((int64_t)(sixteen >> 3) * r[1] + (INT64_C(1) << 31)) >> 32);
    return (int8_t)puce_clamp((high + r[2] + (sixteen >> 31)) >> r[3], -128, 127);
}

PUCE_KERNEL void puce_winograd_finish(const puce_winograd_output *job, int positive)
{
    const int32_t *r = job->table;
    int32_t along = job->along;
    for (int tile = 0; tile < job->tiles; tile++)
        for (int column = 1; column >= 0; along += column ? job->back : job->on, column--) {
            const int32_t *m = job->m + tile / 4 * 192 + tile % 4;
            uint32_t h[6];
            for (int i = 0; i < 6; i++, m += 32) {
                const uint32_t second = (uint32_t)m[8], third = (uint32_t)m[16];
                h[i] = column ? (uint32_t)m[24] + second - third : (uint32_t)m[0] + second + third;
            }
            h[1] += (uint32_t)r[0];
            const uint32_t p = h[1] + h[2], q = h[1] - h[2], s = h[3] + h[4], t = h[3] - h[4];
            const uint32_t sums[4] = {h[0] + p + s, q + 2 * t, p + 4 * s, q + 8 * t + h[5]};
            for (int i = 0; i < 4; i++) job->row[i][along] = puce_winograd_round(sums[i], job->third, r, positive);
        }
}

PUCE_KERNEL void puce_winograd_finish_any(const puce_winograd_output *job) { puce_winograd_finish(job, 0); }
PUCE_KERNEL void puce_winograd_finish_positive(const puce_winograd_output *job) { puce_winograd_finish(job, 1); }

#endif

#endif
