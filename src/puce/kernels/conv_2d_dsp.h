/* SPDX-License-Identifier: Apache-2.0
   Conv2D int8 for cores with the DSP extension (Cortex-M4, M7, M33): two multiply-accumulates an instruction, two output
   channels in one weight. docs/design/kernels.md draws the packing. Elsewhere the same packed data goes through plain C. */
#ifndef PUCE_CONV_2D_DSP_H
#define PUCE_CONV_2D_DSP_H

#include "puce_kernel.h"

/* What the core works on. `window` holds `pixels` windows of [taps] as int16, four taps at a time: first the words of
   taps (0, 2) of each pixel, then those of taps (1, 3). `weights` holds pairs of channels: bytes low, high of taps 0, 2,
   1, 3. The asm reads the fields by their order. */
typedef struct {
    const int32_t *window;
    const int32_t *end;     /* behind the last group */
    int8_t *y;              /* the first pixel's first channel */
    int32_t oc;             /* from one pixel to the next */
    const int32_t *requant; /* [pairs, 8]: start of low, of 256 high + low; for low, high: multiplier, rounding, shift */
    int32_t pairs;
    int32_t entry;          /* groups that the first round of the loop, four groups long, leaves out: 0..3 */
    const int8_t *weights;
} puce_conv_2d_job;

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__)

#define PUCE_CORE static __attribute__((naked, noinline, used))

PUCE_KERNEL void puce_widen(int32_t word, int32_t *even, int32_t *odd)
{
    __asm__("sxtb16 %0, %1" : "=r"(*even) : "r"(word));
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(*odd) : "r"(word));
}

/* Registers: r0 window, r1 weights, r2 two weights a halfword (256 h + l), r12 their low bytes, r3 r4 inputs;
   r5 r6 r7 r8 sums of 256 h + l, r9 r10 r11 lr sums of l, for four pixels. On the stack: the job, see above. */
#define PUCE_PIXEL(raw, low, a) "smlad " #raw ", r2, " #a ", " #raw "\n smlad " #low ", r12, " #a ", " #low "\n"
#define PUCE_LOAD(x, a) "ldr.n " #a ", [r0, #" #x "]\n"
#define PUCE_WEIGHT(w) "ldr.n r2, [r1, #" #w "]\n"
#define PUCE_TAPS_4(w, x0, x1, x2, x3) \
    PUCE_WEIGHT(w) PUCE_LOAD(x0, r3) PUCE_LOAD(x1, r4) "sxtb16 r12, r2\n" PUCE_PIXEL(r5, r9, r3) PUCE_PIXEL(r6, r10, r4) \
    PUCE_LOAD(x2, r3) PUCE_LOAD(x3, r4) PUCE_PIXEL(r7, r11, r3) PUCE_PIXEL(r8, lr, r4)
#define PUCE_TAPS_2(w, x0, x1) \
    PUCE_WEIGHT(w) PUCE_LOAD(x0, r3) PUCE_LOAD(x1, r4) "sxtb16 r12, r2\n" PUCE_PIXEL(r5, r9, r3) PUCE_PIXEL(r6, r10, r4)
#define PUCE_TAPS_1(w, x0) PUCE_WEIGHT(w) PUCE_LOAD(x0, r3) "sxtb16 r12, r2\n" PUCE_PIXEL(r5, r9, r3)

#define PUCE_BEGIN(group_shift) \
    "push {r4-r11, lr}\n" \
    "ldm r0, {r1-r8}\n" \
    "sub r1, r1, r7, lsl #" #group_shift "\n" \
    "lsl r9, r7, #3\n" \
    "push {r1-r9}\n" \
    "sub r1, r8, r9\n" \
    "1: ldr r0, [sp, #16]\n" \
    "ldr r9, [r0]\n" \
    "ldr r5, [r0, #4]\n"
#define PUCE_ENTER \
    "ldr r2, [sp, #24]\n" \
    "ldr r0, [sp]\n" \
    "tbb [pc, r2]\n" \
    "2: .byte (10f - 2b) / 2, (11f - 2b) / 2, (12f - 2b) / 2, (13f - 2b) / 2\n" \
    ".p2align 2\n" \
    "10:\n"
#define PUCE_AGAIN(window) \
    "ldr r2, [sp, #4]\n" \
    "adds r0, #" #window "\n" \
    "adds r1, #32\n" \
    "cmp r0, r2\n" \
    "bne.w 10b\n"
/* r2 r3 r4: multiplier, rounding (half, and the zero point moved up), shift; a tie of a negative sum is one less */
#define PUCE_SPLIT(raw, low) "sub " #raw ", " #raw ", " #low "\n asr " #raw ", " #raw ", #7\n lsl " #low ", " #low ", #1\n"
#define PUCE_ROUND(sum) \
    "smmlar r12, " #sum ", r2, r3\n add r12, r12, " #sum ", asr #31\n asr r12, r12, r4\n ssat " #sum ", #8, r12\n"
#define PUCE_PARAMETERS(first, second, third) \
    "ldr r2, [r0, #" #first "]\n ldr r3, [r0, #" #second "]\n ldr r4, [r0, #" #third "]\n"
#define PUCE_NEXT_PAIR \
    "adds r2, #2\n" \
    "str r2, [sp, #8]\n" \
    "ldr r0, [sp, #16]\n" \
    "ldr r2, [sp, #20]\n" \
    "ldr r3, [sp, #32]\n" \
    "adds r0, #32\n" \
    "str r0, [sp, #16]\n" \
    "sub r1, r1, r3\n" \
    "subs r2, #1\n" \
    "str r2, [sp, #20]\n" \
    "bne.w 1b\n" \
    "add sp, #36\n" \
    "pop {r4-r11, pc}\n"

PUCE_CORE void puce_conv_2d_core_4(__attribute__((unused)) const puce_conv_2d_job *job)
{
    __asm__ volatile(
        PUCE_BEGIN(5)
        "mov r10, r9\n mov r11, r9\n mov lr, r9\n mov r6, r5\n mov r7, r5\n mov r8, r5\n"
        PUCE_ENTER
        PUCE_TAPS_4(0, 0, 4, 8, 12) PUCE_TAPS_4(4, 16, 20, 24, 28)
        "11:\n" PUCE_TAPS_4(8, 32, 36, 40, 44) PUCE_TAPS_4(12, 48, 52, 56, 60)
        "12:\n" PUCE_TAPS_4(16, 64, 68, 72, 76) PUCE_TAPS_4(20, 80, 84, 88, 92)
        "13:\n" PUCE_TAPS_4(24, 96, 100, 104, 108) PUCE_TAPS_4(28, 112, 116, 120, 124)
        PUCE_AGAIN(128)
        "ldr r0, [sp, #16]\n"
        PUCE_PARAMETERS(8, 12, 16)
        PUCE_SPLIT(r5, r9) PUCE_SPLIT(r6, r10) PUCE_SPLIT(r7, r11) PUCE_SPLIT(r8, lr)
        PUCE_ROUND(r9) PUCE_ROUND(r10) PUCE_ROUND(r11) PUCE_ROUND(lr)
        PUCE_PARAMETERS(20, 24, 28)
        PUCE_ROUND(r5) PUCE_ROUND(r6) PUCE_ROUND(r7) PUCE_ROUND(r8)
        "ldr r2, [sp, #8]\n"
        "ldr r3, [sp, #12]\n"
        "add r4, r2, r3\n"
        "add r12, r2, r3, lsl #1\n"
        "add r0, r12, r3\n"
        "strb r9, [r2]\n strb r5, [r2, #1]\n strb r10, [r4]\n strb r6, [r4, #1]\n"
        "strb r11, [r12]\n strb r7, [r12, #1]\n strb lr, [r0]\n strb r8, [r0, #1]\n"
        PUCE_NEXT_PAIR ::: "memory");
}

PUCE_CORE void puce_conv_2d_core_2(__attribute__((unused)) const puce_conv_2d_job *job)
{
    __asm__ volatile(
        PUCE_BEGIN(4)
        "mov r10, r9\n mov r6, r5\n"
        PUCE_ENTER
        PUCE_TAPS_2(0, 0, 4) PUCE_TAPS_2(4, 8, 12)
        "11:\n" PUCE_TAPS_2(8, 16, 20) PUCE_TAPS_2(12, 24, 28)
        "12:\n" PUCE_TAPS_2(16, 32, 36) PUCE_TAPS_2(20, 40, 44)
        "13:\n" PUCE_TAPS_2(24, 48, 52) PUCE_TAPS_2(28, 56, 60)
        PUCE_AGAIN(64)
        "ldr r0, [sp, #16]\n"
        PUCE_PARAMETERS(8, 12, 16)
        PUCE_SPLIT(r5, r9) PUCE_SPLIT(r6, r10)
        PUCE_ROUND(r9) PUCE_ROUND(r10)
        PUCE_PARAMETERS(20, 24, 28)
        PUCE_ROUND(r5) PUCE_ROUND(r6)
        "ldr r2, [sp, #8]\n"
        "ldr r3, [sp, #12]\n"
        "add r4, r2, r3\n"
        "strb r9, [r2]\n strb r5, [r2, #1]\n strb r10, [r4]\n strb r6, [r4, #1]\n"
        PUCE_NEXT_PAIR ::: "memory");
}

PUCE_CORE void puce_conv_2d_core_1(__attribute__((unused)) const puce_conv_2d_job *job)
{
    __asm__ volatile(
        PUCE_BEGIN(3)
        PUCE_ENTER
        PUCE_TAPS_1(0, 0) PUCE_TAPS_1(4, 4)
        "11:\n" PUCE_TAPS_1(8, 8) PUCE_TAPS_1(12, 12)
        "12:\n" PUCE_TAPS_1(16, 16) PUCE_TAPS_1(20, 20)
        "13:\n" PUCE_TAPS_1(24, 24) PUCE_TAPS_1(28, 28)
        PUCE_AGAIN(32)
        "ldr r0, [sp, #16]\n"
        PUCE_PARAMETERS(8, 12, 16)
        PUCE_SPLIT(r5, r9)
        PUCE_ROUND(r9)
        PUCE_PARAMETERS(20, 24, 28)
        PUCE_ROUND(r5)
        "ldr r2, [sp, #8]\n"
        "strb r9, [r2]\n strb r5, [r2, #1]\n"
        PUCE_NEXT_PAIR ::: "memory");
}

#else

/* The same arithmetic on the same data, for any machine. */
PUCE_KERNEL void puce_widen(int32_t word, int32_t *even, int32_t *odd)
{
    const uint32_t bits = (uint32_t)word;
    *even = (int32_t)((uint16_t)(int8_t)bits | (uint32_t)(int8_t)(bits >> 16) << 16);
    *odd = (int32_t)((uint16_t)(int8_t)(bits >> 8) | (uint32_t)(int8_t)(bits >> 24) << 16);
}

/* Two products of signed halfwords, modulo 2^32 */
PUCE_KERNEL uint32_t puce_smlad(int32_t a, int32_t b, uint32_t sum)
{
    return sum + (uint32_t)((int16_t)a * (int16_t)b) + (uint32_t)((a >> 16) * (b >> 16));
}

PUCE_KERNEL int8_t puce_round_s8(int32_t doubled, const int32_t *r)
{
    const int32_t high = (int32_t)(((int64_t)doubled * r[0] + (INT64_C(1) << 31)) >> 32);
    return (int8_t)puce_clamp((high + r[1] + (doubled >> 31)) >> r[2], -128, 127);
}

PUCE_KERNEL void puce_conv_2d_core(const puce_conv_2d_job *job, int pixels)
{
    const int8_t *w = job->weights;
    for (int pair = 0; pair < job->pairs; pair++) {
        const int32_t *r = job->requant + 8 * pair;
        uint32_t low[4], raw[4];
        for (int p = 0; p < pixels; p++) low[p] = (uint32_t)r[0], raw[p] = (uint32_t)r[1];
        for (const int32_t *x = job->window; x != job->end; x += pixels, w += 4) {
            int32_t both, even, odd;
            memcpy(&both, w, 4);
            puce_widen(both, &even, &odd);
            for (int p = 0; p < pixels; p++) raw[p] = puce_smlad(both, x[p], raw[p]), low[p] = puce_smlad(even, x[p], low[p]);
        }
        for (int p = 0; p < pixels; p++) {
            int8_t *y = job->y + 2 * pair + p * job->oc;
            y[0] = puce_round_s8((int32_t)(low[p] << 1), r + 2);
            y[1] = puce_round_s8((int32_t)(raw[p] - low[p]) >> 7, r + 5);
        }
    }
}

PUCE_KERNEL void puce_conv_2d_core_4(const puce_conv_2d_job *job) { puce_conv_2d_core(job, 4); }
PUCE_KERNEL void puce_conv_2d_core_2(const puce_conv_2d_job *job) { puce_conv_2d_core(job, 2); }
PUCE_KERNEL void puce_conv_2d_core_1(const puce_conv_2d_job *job) { puce_conv_2d_core(job, 1); }

#endif

PUCE_KERNEL void puce_conv_2d_channels(const puce_conv_2d_job *job, int pixels)
{
    if (pixels == 4) puce_conv_2d_core_4(job);
    else if (pixels == 2) puce_conv_2d_core_2(job);
    else puce_conv_2d_core_1(job);
}

/* n bytes (a multiple of 4) of one pixel into a window of `pixels`; `to` is where its next word goes */
PUCE_KERNEL int32_t *puce_window_copy(int32_t *to, const int8_t *from, int n, int pixels)
{
    for (int i = 0; i < n; i += 4, to += 2 * pixels) {
        int32_t word;
        memcpy(&word, from + i, 4);
        puce_widen(word, to, to + pixels);
    }
    return to;
}

PUCE_KERNEL int32_t *puce_window_fill(int32_t *to, int32_t pair, int n, int pixels)
{
    for (int i = 0; i < n; i += 4, to += 2 * pixels) to[0] = to[pixels] = pair;
    return to;
}

/* Any n: taps from first (included) to last (excluded) come from x, others are zero; the last word is filled up */
PUCE_KERNEL int32_t *puce_window_bytes(int32_t *to, const int8_t *x, int first, int last, int n, int pixels, int x_zero)
{
    for (int i = 0; i < n; i += 4, to += 2 * pixels) {
        int8_t bytes[4];
        int32_t word;
        for (int j = i; j < i + 4; j++) bytes[j - i] = (int8_t)(j >= first && j < last ? x[j - first] : x_zero);
        memcpy(&word, bytes, 4);
        puce_widen(word, to, to + pixels);
    }
    return to;
}

/* One segment of a window: kw pixels of c bytes that lie next to each other, of which those from first to last are
   inside the picture; x is the first of those. Segments end on a word. */
PUCE_KERNEL int32_t *puce_window_segment(int32_t *to, const int8_t *x, int first, int last, int kw, int c, int pixels,
                                         int x_zero)
{
    const int32_t pair = (int32_t)((uint32_t)x_zero << 16 | (uint16_t)x_zero);
    const int n = kw * c;
    if (first >= last) return puce_window_fill(to, pair, n, pixels);
    if (c % 4 == 0) {
        to = puce_window_fill(to, pair, first * c, pixels);
        to = puce_window_copy(to, x, (last - first) * c, pixels);
        return puce_window_fill(to, pair, (kw - last) * c, pixels);
    }
    if (first > 0 || last < kw) return puce_window_bytes(to, x, first * c, last * c, n, pixels, x_zero);
    to = puce_window_copy(to, x, n & ~3, pixels);
    return puce_window_bytes(to, x + (n & ~3), 0, n & 3, n & 3, pixels, x_zero);
}

/* The windows of `pixels` output pixels from ox on, then all their channels */
PUCE_KERNEL void puce_conv_2d_pixels(const int8_t *const *x, int8_t *y, const int8_t *weights, const int32_t *requant,
                                     int32_t *window, int pixels, int ox, int w, int c, int oc, int kh, int kw,
                                     int sw, int left, int dw, int x_zero)
{
    const int run = dw == 1 ? kw : 1; /* pixels that lie next to each other */
    const int groups = kh * (kw / run) * ((run * c + 3) / 4);
    for (int p = 0; p < pixels; p++) {
        const int start = (ox + p) * sw - left;
        const int first = puce_first_tap(start, dw), last = puce_last_tap(start, dw, kw, w);
        int32_t *to = window + p;
        for (int ky = 0; ky < kh; ky++)
            for (int kx = 0; kx < kw; kx += run) {
                const int from = !x[ky] ? run : first <= kx ? 0 : first - kx < run ? first - kx : run;
                const int till = last - kx < run ? last - kx : run;
                const int8_t *px = from < till ? x[ky] + (start + (kx + from) * dw) * c : 0;
                to = puce_window_segment(to, px, from, till, run, c, pixels, x_zero);
            }
    }
    puce_conv_2d_job job = {window, window + 2 * pixels * groups, y, oc, requant, oc / 2, -groups & 3, weights};
    puce_conv_2d_channels(&job, pixels);
    if (oc % 2) { /* the last channel: once more with its neighbour */
        job.y += oc - 2;
        job.requant += oc / 2 * 8;
        job.pairs = 1;
        job.weights += oc / 2 * groups * 8;
        puce_conv_2d_channels(&job, pixels);
    }
}

/* `most` pixels at a time (4, 2 or 1) share a load of weights; scratch is [most, taps] int16, each run of taps that lie
   next to each other in a row rounded up to 4. The sums stay exact within the limits that packing.py proves. */
PUCE_KERNEL void puce_conv_2d_s8_dsp(const int8_t *const *x, int8_t *y, const int8_t *weights, const int32_t *requant,
                                     void *scratch, int w, int c, int ow, int oc, int kh, int kw, int sw, int left,
                                     int dw, int x_zero, int low, int high, int most)
{
    int ox = 0;
    for (int pixels = most; pixels > 0; pixels /= 2)
        for (; ox + pixels <= ow; ox += pixels)
            puce_conv_2d_pixels(x, y + ox * oc, weights, requant, scratch, pixels, ox, w, c, oc, kh, kw, sw, left, dw,
                                x_zero);
    if (low > -128 || high < 127)
        for (int i = 0; i < ow * oc; i++) y[i] = (int8_t)puce_clamp(y[i], low, high);
}

/* The same for kernels of one row, which get that row itself. */
PUCE_KERNEL void puce_conv_1d_s8_dsp(const int8_t *x, int8_t *y, const int8_t *weights, const int32_t *requant,
                                     void *scratch, int w, int c, int ow, int oc, int kh, int kw, int sw, int left,
                                     int dw, int x_zero, int low, int high, int most)
{
    puce_conv_2d_s8_dsp(&x, y, weights, requant, scratch, w, c, ow, oc, kh, kw, sw, left, dw, x_zero, low, high, most);
}

#endif
