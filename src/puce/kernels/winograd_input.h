/* SPDX-License-Identifier: Apache-2.0
   The input of Winograd's F(4x2, 3x3): tiles of 6x4 bytes become 24 pairs of halfwords each. docs/design/kernels.md has the
   pictures. The assembly is for the DSP extension; elsewhere plain C does the same. */
#ifndef PUCE_WINOGRAD_INPUT_H
#define PUCE_WINOGRAD_INPUT_H

#include "puce_kernel.h"

/* Four input channels of six rows: bytes `step` apart become, with the vertical half of the transform, `columns` of 12
   words: the positions 0 to 5 of channels (0, 2) and (1, 3) in turn. */
typedef struct {
    const int8_t *row[6];
    int32_t *columns;
    int32_t *end;
    int32_t step;
} puce_winograd_columns_job;

/* The horizontal half, for all tiles: `v` is where four channels of the first group go, `position` and `group` are bytes
   from one to the next. */
typedef struct {
    const int32_t *columns;
    int32_t *v;
    int32_t groups;
    int32_t position;
    int32_t group;
} puce_winograd_tiles_job;

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__)

#define PUCE_WINOGRAD_INPUT static __attribute__((naked, noinline, unused))

/* Registers: r0-r4 five of the six rows, r5 the sixth or a sum, r6 how far along them, r7 where the next column goes,
   r8-r12 lr their bytes. Stack: the sixth row, where columns end, step. In terms of g = d0 - d2, h = d5 - d3, c = d4 - d2,
   f = d3 - d1 the positions are c + 4g, (c - 3 d2) +- (f - 3 d1), c +- 2f, h - 4f. */
#define PUCE_WG_VERTICAL(channels, word) /* word: where the first position goes */ \
    "ldr r5, [sp]\n" \
    "ldr r8, [r0, r6]\n ldr r9, [r1, r6]\n ldr r10, [r2, r6]\n ldr r11, [r3, r6]\n ldr r12, [r4, r6]\n ldr lr, [r5, r6]\n" \
    "sxtb16 r8, r8" channels "\n sxtb16 r9, r9" channels "\n sxtb16 r10, r10" channels "\n" \
    "sxtb16 r11, r11" channels "\n sxtb16 r12, r12" channels "\n sxtb16 lr, lr" channels "\n" \
    "ssub16 r8, r8, r10\n ssub16 lr, lr, r11\n ssub16 r12, r12, r10\n ssub16 r11, r11, r9\n" \
    "sadd16 r8, r8, r8\n sadd16 r8, r8, r8\n sadd16 r8, r8, r12\n str r8, [r7, #" #word "]\n" \
    "sadd16 r5, r10, r10\n sadd16 r10, r10, r5\n ssub16 r10, r12, r10\n" \
    "sadd16 r5, r9, r9\n sadd16 r9, r9, r5\n ssub16 r9, r11, r9\n" \
    "sadd16 r5, r10, r9\n ssub16 r10, r10, r9\n str r5, [r7, #" #word "+8]\n str r10, [r7, #" #word "+16]\n" \
    "sadd16 r11, r11, r11\n sadd16 r5, r12, r11\n ssub16 r12, r12, r11\n" \
    "str r5, [r7, #" #word "+24]\n str r12, [r7, #" #word "+32]\n" \
    "sadd16 r11, r11, r11\n ssub16 lr, lr, r11\n str lr, [r7, #" #word "+40]\n"
PUCE_WINOGRAD_INPUT void puce_winograd_columns(__attribute__((unused)) const puce_winograd_columns_job *job)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        "ldm r0, {r0-r8}\n"
        "push {r5, r7, r8}\n"
        "mov r7, r6\n"
        "movs r6, #0\n"
        ".p2align 2\n"
        "1:\n"
        PUCE_WG_VERTICAL("", 0) PUCE_WG_VERTICAL(", ror #8", 4)
        "ldr r5, [sp, #8]\n ldr r8, [sp, #4]\n"
        "adds r7, #48\n"
        "adds r6, r6, r5\n"
        "cmp r7, r8\n"
        "bne 1b\n"
        "add sp, #12\n"
        "pop {r4-r11, pc}\n" ::: "memory");
}

/* Registers: r0 columns, r1-r4 where the four positions were last written, r5 r6 and r7 r8 two columns of a tile in turn,
   r9-r12 its positions, lr counts rows and pairs of channels down. Stack: from the last row of positions to the next,
   columns, v, groups left, group, position. */
#define PUCE_WG_TILE(a, b, c, d, at, to) \
    "ldr " #c ", [r0, #" #at "]\n ldr " #d ", [r0, #" #at "+48]\n" \
    "ssub16 r9, " #a ", " #c "\n sadd16 r10, " #b ", " #c "\n ssub16 r11, " #c ", " #b "\n ssub16 r12, " #b ", " #d "\n" \
    "str r9, [r1, #" #to "\n str r10, [r2, #" #to "\n str r11, [r3, #" #to "\n str r12, [r4, #" #to "\n"
PUCE_WINOGRAD_INPUT void puce_winograd_tiles(__attribute__((unused)) const puce_winograd_tiles_job *job)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        "ldm r0, {r2-r6}\n" /* columns, v, groups, position, group */
        "subs r3, #4\n"
        "lsls r1, r5, #2\n"
        "subs r1, #32\n"
        "push {r1-r6}\n"
        "1: ldr r0, [sp, #4]\n ldr r1, [sp, #8]\n ldr r5, [sp, #16]\n"
        "adds r2, r1, r5\n"
        "adds r3, r2, r5\n"
        "adds r4, r3, r5\n"
        "mov lr, #12\n"
        ".p2align 2\n"
        "2: ldr r5, [r0]\n ldr r6, [r0, #48]\n"
        PUCE_WG_TILE(r5, r6, r7, r8, 96, 4]) PUCE_WG_TILE(r7, r8, r5, r6, 192, 8])
        PUCE_WG_TILE(r5, r6, r7, r8, 288, 12]) PUCE_WG_TILE(r7, r8, r5, r6, 384, 16]!)
        "adds r0, #4\n"
        "subs lr, lr, #1\n"
        "beq 3f\n"
        "tst lr, #1\n"
        "bne 2b\n"
        "ldr r5, [sp]\n"
        "adds r1, r1, r5\n adds r2, r2, r5\n adds r3, r3, r5\n adds r4, r4, r5\n"
        "b 2b\n"
        "3: ldr r1, [sp, #8]\n ldr r2, [sp, #12]\n ldr r3, [sp, #20]\n"
        "add r0, r0, #336\n"
        "adds r1, r1, r3\n"
        "str r0, [sp, #4]\n str r1, [sp, #8]\n"
        "subs r2, #1\n"
        "str r2, [sp, #12]\n"
        "bne 1b\n"
        "add sp, #24\n"
        "pop {r4-r11, pc}\n" ::: "memory");
}

#else

/* The same arithmetic on the same data, for any machine: pairs of signed halfwords, sums modulo 2^32 */
PUCE_KERNEL int32_t puce_add_pairs(int32_t a, int32_t b)
{
    const uint32_t high = (uint32_t)((a >> 16) + (b >> 16));
    return (int32_t)(high << 16 | (uint16_t)((int16_t)a + (int16_t)b));
}

PUCE_KERNEL int32_t puce_sub_pairs(int32_t a, int32_t b)
{
    const uint32_t high = (uint32_t)((a >> 16) - (b >> 16));
    return (int32_t)(high << 16 | (uint16_t)((int16_t)a - (int16_t)b));
}

PUCE_KERNEL void puce_winograd_columns(const puce_winograd_columns_job *job)
{
    int offset = 0;
    for (int32_t *to = job->columns; to != job->end; to += 12, offset += job->step)
        for (int odd = 0; odd < 2; odd++) {
            int32_t d[6];
            for (int i = 0; i < 6; i++) {
                const int32_t word = puce_word(job->row[i] + offset);
                d[i] = odd ? puce_odd(word) : puce_even(word);
            }
            const int32_t c = puce_sub_pairs(d[4], d[2]), f = puce_sub_pairs(d[3], d[1]), twice = puce_add_pairs(f, f);
            const int32_t g = puce_sub_pairs(d[0], d[2]), h = puce_sub_pairs(d[5], d[3]), twice_g = puce_add_pairs(g, g);
            const int32_t a = puce_sub_pairs(c, puce_add_pairs(d[2], puce_add_pairs(d[2], d[2])));
            const int32_t b = puce_sub_pairs(f, puce_add_pairs(d[1], puce_add_pairs(d[1], d[1])));
            to[odd] = puce_add_pairs(c, puce_add_pairs(twice_g, twice_g));
            to[2 + odd] = puce_add_pairs(a, b), to[4 + odd] = puce_sub_pairs(a, b);
            to[6 + odd] = puce_add_pairs(c, twice), to[8 + odd] = puce_sub_pairs(c, twice);
            to[10 + odd] = puce_sub_pairs(h, puce_add_pairs(twice, twice));
        }
}

PUCE_KERNEL void puce_winograd_tiles(const puce_winograd_tiles_job *job)
{
    for (int tile = 0; tile < 4 * job->groups; tile++)
        for (int i = 0; i < 12; i++) {
            const int32_t *d = job->columns + 24 * tile + i;
            const int position = (int)job->position / 4, group = (int)job->group / 4;
            int32_t *to = job->v + i / 2 * 4 * position + tile / 4 * group + i % 2 * 4 + tile % 4;
            to[0] = puce_sub_pairs(d[0], d[24]), to[position] = puce_add_pairs(d[12], d[24]);
            to[2 * position] = puce_sub_pairs(d[24], d[12]), to[3 * position] = puce_sub_pairs(d[12], d[36]);
        }
}

#endif

/* A row whose pixels are filled up to whole words; x of null is padding. What fills up is anything: its weights are zero. */
PUCE_KERNEL void puce_winograd_widen(int8_t *to, const int8_t *x, int w, int c, int x_zero)
{
    const int pixel = (c + 3) / 4 * 4;
    if (!x) {
        memset(to, x_zero, (size_t)(w * pixel));
        return;
    }
    PUCE_ROLLED
    for (int i = 0; i < w; i++, to += pixel, x += c)
        for (int j = 0; j < c; j++) to[j] = x[j];
}

/* Columns of zero points z: position 1 is -6 z, the others are 0. */
PUCE_KERNEL void puce_winograd_padding(int32_t *columns, int count, int x_zero)
{
    PUCE_ROLLED
    for (int i = 0; i < count; i++, columns += 12) {
        memset(columns, 0, 12 * sizeof *columns);
        columns[2] = columns[3] = (int32_t)((uint32_t)(-6 * x_zero) << 16 | (uint16_t)(-6 * x_zero));
    }
}

/* v from six rows. `free` holds the columns of four channels, with padding, for whole groups; then a row of zero points
   or, where pixels are no whole words, the six rows widened. */
PUCE_KERNEL void puce_winograd_input(int32_t *v, const int8_t *const *x, int32_t *free, int groups, int left, int w, int c,
                                     int x_zero)
{
    const int quads = (c + 3) / 4, count = 8 * groups + 2;
    int8_t *const rows = (int8_t *)(free + 12 * count);
    puce_winograd_columns_job columns = {{0}, free + 12 * left, free + 12 * (left + w), 4 * quads};
    puce_winograd_tiles_job tiles = {free, v, groups, 32 * quads * groups, 32 * quads};
    puce_winograd_padding(free, left, x_zero);
    puce_winograd_padding(columns.end, count - left - w, x_zero);
    PUCE_ROLLED
    for (int i = 0; i < 6; i++) {
        int8_t *const own = c % 4 ? rows + i * w * 4 * quads : rows;
        if (c % 4 || !x[i]) puce_winograd_widen(own, x[i], w, c, x_zero);
        columns.row[i] = c % 4 || !x[i] ? own : x[i];
    }
    PUCE_ROLLED
    for (int q = 0; q < quads; q++) {
        puce_winograd_columns(&columns);
        puce_winograd_tiles(&tiles);
        for (int i = 0; i < 6; i++) columns.row[i] += 4;
        tiles.v += 8;
    }
}

#endif
