/* SPDX-License-Identifier: Apache-2.0
   DepthwiseConv2D int8, 3x3, stride 1, for cores with the DSP extension, several rows of output at a time: four channels of
   all their input rows are widened once, a channel's weights are read once. docs/design/kernels.md draws it. */
#ifndef PUCE_DEPTHWISE_CONV_2D_BLOCK_DSP_H
#define PUCE_DEPTHWISE_CONV_2D_BLOCK_DSP_H

#include "depthwise_conv_2d_dsp.h"

#define PUCE_BLOCK_PAIRS 5  /* of input rows: 8 rows of output at most */
#define PUCE_BLOCK_PITCH 80 /* bytes from one column of the tile to the next: 4 channels of these pairs */

/* Two neighbouring input rows; a padding row is one pixel of zeros. The asm reads the fields by their order. */
typedef struct {
    const int8_t *x[2];
    int32_t step[2]; /* bytes from one column to the next; 0 for a padding row */
} puce_depthwise_rows;

/* What the core works on: four channels at a time it turns pairs of rows into a tile, for each column and each pair a word
   of halfwords (upper row, lower row) of channels 0 to 3. Columns of padding are there already. From two pairs of rows of
   four columns it makes two rows of two pixels; it goes down a channel's tile, two columns at a time. The table is that of
   depthwise_conv_2d_dsp.h. The asm reads the fields by their order. */
typedef struct {
    int32_t *tile;
    int8_t *y;
    int32_t c;             /* from one output pixel to the next */
    int32_t row_bytes;     /* from one output row to the next */
    int32_t requantise[4]; /* of the channel: multiplier, offset, start of the sum, shift */
    int32_t strip_bytes;   /* of the tile, from the first to the last pair of output rows */
    int32_t tile_next;     /* from there to the first pair of the next two columns */
    int32_t y_next;
    int32_t twos_bytes;    /* of the tile, for output columns that go in twos */
    int32_t one;           /* whether there is one more */
    const puce_depthwise_rows *rows;
    const puce_depthwise_rows *rows_end;
    int32_t o;             /* the channel at which a quad begins */
    int32_t inside_bytes;  /* of the tile, for columns in the picture */
    int32_t *inside;       /* the first of them */
    const int32_t *table;
    const int32_t *table_end;
    int32_t *tile_end;     /* `tile` behind the last channel of a quad */
} puce_depthwise_block_job;

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__)

/* Stack: the job; then where a strip ends 84, where the twos end 88, a register 92.
   Widening: r0 tile, r1 r2 two rows, r3 r8 their steps, r9 end of the tile's columns, r10 r11 the rows and their end, r12
   the channel, lr bytes of the columns. */
#define PUCE_BLOCK_WIDEN \
    "push {r4-r11, lr}\n" \
    "sub sp, #96\n" \
    "mov r12, sp\n" \
    "ldm r0!, {r1-r7}\n stm r12!, {r1-r7}\n ldm r0!, {r1-r7}\n stm r12!, {r1-r7}\n ldm r0!, {r1-r7}\n stm r12!, {r1-r7}\n" \
    "9: ldr r0, [sp, #68]\n ldr r10, [sp, #52]\n ldr r11, [sp, #56]\n ldr r12, [sp, #60]\n ldr lr, [sp, #64]\n" \
    "1: ldm r10!, {r1, r2, r3, r8}\n" \
    "add r1, r12\n add r2, r12\n add r9, r0, lr\n" \
    ".p2align 2\n" \
    "2: ldr r4, [r1]\n ldr r5, [r2]\n" \
    "add r1, r3\n add r2, r8\n" \
    "pkhbt r6, r4, r5, lsl #16\n pkhtb r7, r5, r4, asr #16\n" \
    "sxtb16 r4, r6\n sxtb16 r5, r6, ror #8\n sxtb16 r6, r7\n sxtb16 r7, r7, ror #8\n" \
    "stm r0, {r4-r7}\n" \
    "add r0, #80\n" \
    "cmp r0, r9\n" \
    "bne 2b\n" \
    "sub r0, r0, lr\n" \
    "add r0, #16\n" \
    "cmp r10, r11\n" \
    "bne 1b\n" \
    "add r12, #4\n" \
    "str r12, [sp, #60]\n"
/* A channel: r4 r5 r6 weights (row 0, row 1), r7 r8 r9 (row 1, row 2), one for each kx */
#define PUCE_BLOCK_CHANNEL \
    "6: ldr lr, [sp, #72]\n" \
    "ldm lr!, {r1, r2, r3, r10, r11, r12}\n" \
    "str lr, [sp, #72]\n" \
    "strd r10, r11, [sp, #16]\n" \
    "ubfx lr, r3, #8, #8\n" \
    "strd r12, lr, [sp, #24]\n" \
    "sxtb16 r4, r1\n sxtb16 r5, r1, ror #8\n sxtb16 r6, r2\n sxtb16 r10, r2, ror #8\n sxtb16 r9, r3\n" \
    "lsl r7, r10, #16\n" \
    "pkhtb r7, r7, r4, asr #16\n pkhtb r8, r10, r5, asr #16\n pkhtb r9, r9, r6, asr #16\n" \
    "ldr r0, [sp]\n ldr r3, [sp, #4]\n ldr r1, [sp, #32]\n ldr r2, [sp, #44]\n" \
    "add r1, r0\n add r2, r0\n" \
    "strd r1, r2, [sp, #84]\n" \
    "cmp r0, r2\n" \
    "beq.w 8f\n"
#define PUCE_COLUMN(at) "ldr r1, [r0, #" #at "]\n ldr r2, [r0, #" #at "+16]\n"
/* kx of a column of outputs (upper, lower) whose weights are `a` and `b` */
#define PUCE_DOWN(upper, lower, a, b) \
    "smlad " #upper ", r1, " #a ", " #upper "\n smlatb " #lower ", r1, " #a ", " #lower "\n" \
    "smlabt " #upper ", r2, " #b ", " #upper "\n smlad " #lower ", r2, " #b ", " #lower "\n"
/* kx 0: both begin with `start` */
#define PUCE_DOWN_FIRST(upper, lower, start) \
    "smlad " #upper ", r1, r4, " #start "\n smlatb " #lower ", r1, r4, " #start "\n" \
    "smlabt " #upper ", r2, r7, " #upper "\n smlad " #lower ", r2, r7, " #lower "\n"
#define PUCE_BLOCK_POSITIVE_BEGIN "ldrd r1, r2, [sp, #16]\n"
#define PUCE_BLOCK_POSITIVE(sum) "smmla " #sum ", " #sum ", r1, r2\n ssat " #sum ", #8, " #sum ", asr #2\n"
#define PUCE_BLOCK_POSITIVE_END
#define PUCE_BLOCK_ANY_SIGN_BEGIN "str r0, [sp, #92]\n ldrd r1, r2, [sp, #16]\n ldr r0, [sp, #28]\n"
#define PUCE_BLOCK_ANY_SIGN(sum) \
    "lsl " #sum ", " #sum ", #1\n smmulr " #sum ", " #sum ", r1\n add " #sum ", " #sum ", " #sum ", asr #31\n" \
    "add " #sum ", " #sum ", r2\n asr " #sum ", " #sum ", r0\n ssat " #sum ", #8, " #sum "\n"
#define PUCE_BLOCK_ANY_SIGN_END "ldr r0, [sp, #92]\n"
/* r10 r11 the upper and lower output of a column, r12 lr those of the next */
#define PUCE_BLOCK_CORE(ROUND) \
    PUCE_BLOCK_WIDEN PUCE_BLOCK_CHANNEL \
    ".p2align 2\n" \
    "7: ldr lr, [sp, #24]\n" PUCE_COLUMN(0) PUCE_DOWN_FIRST(r10, r11, lr) \
    PUCE_COLUMN(80) PUCE_DOWN_FIRST(r12, lr, lr) PUCE_DOWN(r10, r11, r5, r8) \
    PUCE_COLUMN(160) PUCE_DOWN(r12, lr, r5, r8) PUCE_DOWN(r10, r11, r6, r9) \
    PUCE_COLUMN(240) PUCE_DOWN(r12, lr, r6, r9) \
    ROUND##_BEGIN ROUND(r10) ROUND(r12) ROUND(r11) ROUND(lr) ROUND##_END \
    "ldrd r1, r2, [sp, #8]\n" \
    "strb r10, [r3]\n strb r12, [r3, r1]\n" \
    "add r3, r2\n" \
    "strb r11, [r3]\n strb lr, [r3, r1]\n" \
    "ldr r1, [sp, #84]\n" \
    "add r3, r2\n" \
    "adds r0, #16\n" \
    "cmp r0, r1\n" \
    "bne.w 7b\n" \
    "ldr r2, [sp, #36]\n ldr r10, [sp, #40]\n ldr r11, [sp, #88]\n" \
    "add r1, #160\n add r0, r2\n add r3, r10\n" \
    "str r1, [sp, #84]\n" \
    "cmp r0, r11\n" \
    "bne.w 7b\n" \
    "8: ldr r1, [sp, #48]\n" \
    "cmp r1, #0\n" \
    "beq.w 5f\n" \
    ".p2align 2\n" \
    "4: ldr r12, [sp, #24]\n" PUCE_COLUMN(0) PUCE_DOWN_FIRST(r10, r11, r12) \
    PUCE_COLUMN(80) PUCE_DOWN(r10, r11, r5, r8) PUCE_COLUMN(160) PUCE_DOWN(r10, r11, r6, r9) \
    ROUND##_BEGIN ROUND(r10) ROUND(r11) ROUND##_END \
    "ldr r2, [sp, #12]\n ldr r1, [sp, #84]\n" \
    "strb r10, [r3]\n strb r11, [r3, r2]\n" \
    "add r3, r3, r2, lsl #1\n" \
    "adds r0, #16\n" \
    "cmp r0, r1\n" \
    "bne.w 4b\n" \
    "5: ldrd r0, r1, [sp]\n ldr r2, [sp, #80]\n" \
    "adds r0, #4\n adds r1, #1\n" \
    "strd r0, r1, [sp]\n" \
    "cmp r0, r2\n" \
    "bne.w 6b\n" \
    "subs r0, #16\n" \
    "str r0, [sp]\n" \
    "ldrd r1, r2, [sp, #72]\n" \
    "cmp r1, r2\n" \
    "bne.w 9b\n" \
    "add sp, #96\n" \
    "pop {r4-r11, pc}\n"

PUCE_DEPTHWISE_CORE void puce_depthwise_block_core(__attribute__((unused)) const puce_depthwise_block_job *job)
{
    __asm__ volatile(PUCE_BLOCK_CORE(PUCE_BLOCK_ANY_SIGN)::: "memory");
}

PUCE_DEPTHWISE_CORE void puce_depthwise_block_core_positive(__attribute__((unused)) const puce_depthwise_block_job *job)
{
    __asm__ volatile(PUCE_BLOCK_CORE(PUCE_BLOCK_POSITIVE)::: "memory");
}

#else

/* The same arithmetic on the same data, for any machine */
PUCE_KERNEL void puce_depthwise_block_any(const puce_depthwise_block_job *job, int signs)
{
    const int pitch = PUCE_BLOCK_PITCH / 4, pairs = (int)(job->rows_end - job->rows);
    const int ow = job->twos_bytes / PUCE_BLOCK_PITCH + job->one;
    int o = 0;
    for (const int32_t *t = job->table; t != job->table_end; t += 6, o++) {
        for (int k = 0; o % 4 == 0 && k < pairs * (job->inside_bytes / PUCE_BLOCK_PITCH); k++) {
            const puce_depthwise_rows *const two = job->rows + k % pairs;
            const int column = k / pairs;
            puce_depthwise_pairs(job->inside + column * pitch + k % pairs * 4,
                                 puce_word(two->x[0] + column * two->step[0] + o),
                                 puce_word(two->x[1] + column * two->step[1] + o));
        }
        const int32_t upper[3] = {puce_even(t[0]), puce_odd(t[0]), puce_even(t[1])};
        const int32_t last[3] = {(int16_t)puce_odd(t[1]), puce_odd(t[1]) >> 16, puce_even(t[2]) >> 16};
        for (int p = 0; p < (pairs - 1) * ow; p++) {
            const int32_t *a = job->tile + p % ow * pitch + p / ow * 4 + o % 4;
            uint32_t above = (uint32_t)t[5], below = above;
            for (int kx = 0; kx < 3; kx++, a += pitch) {
                above = puce_smlad(a[0], upper[kx], above) + (uint32_t)((int16_t)a[4] * last[kx]);
                below += (uint32_t)((a[0] >> 16) * (int16_t)upper[kx]);
                below = puce_smlad(a[4], puce_tops(upper[kx], (int32_t)((uint32_t)last[kx] << 16)), below);
            }
            int8_t *y = job->y + p / ow * 2 * job->row_bytes + p % ow * job->c + o;
            const int32_t sums[2] = {(int32_t)above, (int32_t)below};
            for (int i = 0; i < 2; i++)
                y[i * job->row_bytes] = signs ? puce_round_twice((int32_t)((uint32_t)sums[i] << 1), t[3], t[4], t[2] >> 8 & 255)
                                              : puce_round_once(sums[i], t[3], t[4], 2);
        }
    }
}

PUCE_KERNEL void puce_depthwise_block_core(const puce_depthwise_block_job *job) { puce_depthwise_block_any(job, 1); }
PUCE_KERNEL void puce_depthwise_block_core_positive(const puce_depthwise_block_job *job) { puce_depthwise_block_any(job, 0); }

#endif

/* A column of padding in `pairs` pairs of rows */
PUCE_KERNEL void puce_depthwise_padding(int32_t *column, int pairs, int x_zero)
{
    PUCE_ROLLED
    for (int i = 0; i < 4 * pairs; i++) column[i] = (int32_t)((uint32_t)x_zero << 16 | (uint16_t)x_zero);
}

/* x are the rows + 2 input rows of `rows` rows of output, an even number, or of as many as are left of `height`. Every `rows`
   firings they are all computed into `state`, the other firings copy theirs; where the number left is odd, one more row is
   computed, and left there. scratch holds the tile, then a pixel of padding. c is a multiple of 4. */
PUCE_KERNEL void puce_depthwise_conv_2d_s8_block(const int8_t *const *x, int8_t *y, const int32_t *table, void *state,
                                                 void *scratch, int row, int w, int c, int height, int ow, int left,
                                                 int x_zero, int low, int high, int rows, int signs)
{
    int8_t *const block = state;
    if (row % rows == 0) {
        const int n = height % rows && height - row < rows ? height - row : rows, pairs = (n + 1) / 2, pitch = PUCE_BLOCK_PITCH / 4;
        const int inside = w < ow + 2 - left ? w : ow + 2 - left;
        int32_t *const tile = scratch;
        int8_t *const padding = (int8_t *)(tile + (ow + 2) * pitch);
        puce_depthwise_rows two[PUCE_BLOCK_PAIRS];
        for (int i = 0; i < c; i++) padding[i] = (int8_t)x_zero;
        PUCE_ROLLED
        for (int r = 0; r < 2 * pairs + 2; r++) {
            two[r / 2].x[r % 2] = x[r] ? x[r] : padding;
            two[r / 2].step[r % 2] = x[r] ? c : 0;
        }
        if (left) puce_depthwise_padding(tile, pairs + 1, x_zero);
        if (left + inside < ow + 2) puce_depthwise_padding(tile + (ow + 1) * pitch, pairs + 1, x_zero);
        puce_depthwise_block_job job = {
            tile, block, c, ow * c, {0, 0, 0, 0}, 16 * pairs, 8 * pitch - 16 * pairs, 2 * c - 2 * pairs * ow * c,
            ow / 2 * 8 * pitch, ow % 2, two, two + pairs + 1, 0, inside * 4 * pitch, tile + left * pitch, table, table + 6 * c,
            tile + 4,
        };
        if (signs) puce_depthwise_block_core(&job);
        else puce_depthwise_block_core_positive(&job);
        if (low > -128 || high < 127)
            for (int i = 0; i < n * ow * c; i++) block[i] = (int8_t)puce_clamp(block[i], low, high);
    }
    memcpy(y, block + row % rows * ow * c, (size_t)(ow * c));
}

#endif
