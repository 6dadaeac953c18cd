/* SPDX-License-Identifier: Apache-2.0
   Conv2D int8 for cores with the DSP extension (Cortex-M4, M7, M33): two multiply-accumulates an instruction, two output
   channels in one weight. docs/design/kernels.md draws the packing. Elsewhere the same packed data goes through plain C. */
#ifndef PUCE_CONV_2D_DSP_H
#define PUCE_CONV_2D_DSP_H

#include "puce_kernel.h"

/* What the core works on. `window` holds the windows of 4, 2 or 1 pixels as int16, four taps at a time: first the words of
   taps (0, 2) of each pixel, then those of taps (1, 3). `table` holds for each pair of channels: where the sums of low and
   of 256 high + low start; the weights, a word of bytes (low, high) of taps (0, 2), one of taps (1, 3); for low, then for
   high: multiplier, rounding, shift. The asm reads the fields by their order. */
typedef struct {
    const int32_t *window;
    const int32_t *window_end;
    int8_t *y;  /* the first pixel's first channel */
    int32_t oc; /* from one pixel to the next */
    const int32_t *table;
    const int32_t *table_end;
} puce_conv_2d_job;

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__)

#define PUCE_CORE static __attribute__((naked, noinline, used))

/* Registers: r0 and r1 the words last read of window and table, r2 two weights a halfword (256 h + l), r12 their low
   bytes, r3 r4 inputs; r5 r6 r7 r8 sums of 256 h + l, r9 r10 r11 lr sums of l, of four pixels; the job is on the stack.
   Neighbouring loads pipeline: 2 + 1 + 1 cycles. */
#define PUCE_BEGIN \
    "push {r4-r11, lr}\n" \
    "ldm r0, {r1-r6}\n" \
    "subs r1, #4\n" \
    "subs r2, #4\n" \
    "push {r1-r6}\n" \
    "sub r1, r5, #4\n" \
    ".p2align 2\n" \
    "1: ldr r0, [sp]\n" \
    "ldr r9, [r1, #4]\n" \
    "ldr r5, [r1, #8]!\n"
#define PUCE_PIXEL(raw, low, a) "smlad " #raw ", r2, " #a ", " #raw "\n smlad " #low ", r12, " #a ", " #low "\n"
#define PUCE_WEIGHT(w) "ldr r2, [r1, #" #w "\n"
#define PUCE_X(x, a) "ldr " #a ", [r0, #" #x "\n"
#define PUCE_TAPS_4(w, x0, x1, x2, x3) \
    PUCE_WEIGHT(w) PUCE_X(x0, r3) PUCE_X(x1, r4) "sxtb16 r12, r2\n" PUCE_PIXEL(r5, r9, r3) PUCE_PIXEL(r6, r10, r4) \
    PUCE_X(x2, r3) PUCE_X(x3, r4) PUCE_PIXEL(r7, r11, r3) PUCE_PIXEL(r8, lr, r4)
#define PUCE_TAPS_2(w, x0, x1) \
    PUCE_WEIGHT(w) PUCE_X(x0, r3) PUCE_X(x1, r4) "sxtb16 r12, r2\n" PUCE_PIXEL(r5, r9, r3) PUCE_PIXEL(r6, r10, r4)
#define PUCE_TAPS_1(w, x0) PUCE_WEIGHT(w) PUCE_X(x0, r3) "sxtb16 r12, r2\n" PUCE_PIXEL(r5, r9, r3)
#define PUCE_AGAIN \
    "ldr r2, [sp, #4]\n" \
    "cmp r0, r2\n" \
    "bne 10b\n"
/* 2 high and 2 low out of 256 high + low and low; then round and shift: r2 multiplier, r3 half and the zero point moved
   up, r4 shift; a tie of a negative sum goes down */
#define PUCE_SPLIT(raw, low) "sub " #raw ", " #raw ", " #low "\n asr " #raw ", " #raw ", #7\n lsl " #low ", " #low ", #1\n"
#define PUCE_ROUND(sum) \
    "smmlar r12, " #sum ", r2, r3\n add r12, r12, " #sum ", asr #31\n asr r12, r12, r4\n ssat " #sum ", #8, r12\n"
#define PUCE_LOW "ldr r2, [r1, #4]\n ldr r3, [r1, #8]\n ldr r4, [r1, #12]\n"
#define PUCE_HIGH "ldr r2, [r1, #16]\n ldr r3, [r1, #20]\n ldr r4, [r1, #24]!\n"
#define PUCE_Y "ldr r2, [sp, #8]\n ldr r3, [sp, #12]\n ldr r0, [sp, #20]\n subs r0, #4\n add r4, r2, r3\n"
#define PUCE_STORE(y, low, high) "strb " #low ", [" #y "]\n strb " #high ", [" #y ", #1]\n"
#define PUCE_END \
    "adds r2, #2\n" \
    "str r2, [sp, #8]\n" \
    "cmp r0, r1\n" \
    "bne.w 1b\n" \
    "add sp, #24\n" \
    "pop {r4-r11, pc}\n"

PUCE_CORE void puce_conv_2d_core_4(__attribute__((unused)) const puce_conv_2d_job *job)
{
    __asm__ volatile(
        PUCE_BEGIN
        "mov r10, r9\n mov r11, r9\n mov lr, r9\n mov r6, r5\n mov r7, r5\n mov r8, r5\n"
        ".p2align 2\n"
        "10:\n"
        PUCE_TAPS_4(4], 4], 8], 12], 16]) PUCE_TAPS_4(8], 20], 24], 28], 32])
        PUCE_TAPS_4(12], 36], 40], 44], 48]) PUCE_TAPS_4(16]!, 52], 56], 60], 64]!)
        PUCE_AGAIN
        PUCE_LOW
        PUCE_SPLIT(r5, r9) PUCE_SPLIT(r6, r10) PUCE_SPLIT(r7, r11) PUCE_SPLIT(r8, lr)
        PUCE_ROUND(r9) PUCE_ROUND(r10) PUCE_ROUND(r11) PUCE_ROUND(lr)
        PUCE_HIGH
        PUCE_ROUND(r5) PUCE_ROUND(r6) PUCE_ROUND(r7) PUCE_ROUND(r8)
        PUCE_Y
        "add r12, r2, r3, lsl #1\n"
        "add r3, r12, r3\n"
        PUCE_STORE(r2, r9, r5) PUCE_STORE(r4, r10, r6) PUCE_STORE(r12, r11, r7) PUCE_STORE(r3, lr, r8)
        PUCE_END ::: "memory");
}

PUCE_CORE void puce_conv_2d_core_2(__attribute__((unused)) const puce_conv_2d_job *job)
{
    __asm__ volatile(
        PUCE_BEGIN
        "mov r10, r9\n mov r6, r5\n"
        ".p2align 2\n"
        "10:\n"
        PUCE_TAPS_2(4], 4], 8]) PUCE_TAPS_2(8], 12], 16]) PUCE_TAPS_2(12], 20], 24]) PUCE_TAPS_2(16]!, 28], 32]!)
        PUCE_AGAIN
        PUCE_LOW
        PUCE_SPLIT(r5, r9) PUCE_SPLIT(r6, r10)
        PUCE_ROUND(r9) PUCE_ROUND(r10)
        PUCE_HIGH
        PUCE_ROUND(r5) PUCE_ROUND(r6)
        PUCE_Y
        PUCE_STORE(r2, r9, r5) PUCE_STORE(r4, r10, r6)
        PUCE_END ::: "memory");
}

PUCE_CORE void puce_conv_2d_core_1(__attribute__((unused)) const puce_conv_2d_job *job)
{
    __asm__ volatile(
        PUCE_BEGIN
        ".p2align 2\n"
        "10:\n"
        PUCE_TAPS_1(4], 4]) PUCE_TAPS_1(8], 8]) PUCE_TAPS_1(12], 12]) PUCE_TAPS_1(16]!, 16]!)
        PUCE_AGAIN
        PUCE_LOW
        PUCE_SPLIT(r5, r9)
        PUCE_ROUND(r9)
        PUCE_HIGH
        PUCE_ROUND(r5)
        PUCE_Y
        PUCE_STORE(r2, r9, r5)
        PUCE_END ::: "memory");
}

/* n bytes (a multiple of 4, at least 4) of one pixel into a window of `pixels`; `to` is where its next word goes */
PUCE_KERNEL int32_t *puce_window_copy(int32_t *to, const int8_t *from, int n, int pixels)
{
    const int8_t *const end = from + n;
    int32_t a, b, c, d;
    if (n % 16 == 0) {
        __asm__ volatile(
            "1: ldr %[a], [%[from]]\n ldr %[c], [%[from], #4]\n"
            "sxtb16 %[b], %[a]\n sxtb16 %[a], %[a], ror #8\n sxtb16 %[d], %[c]\n sxtb16 %[c], %[c], ror #8\n"
            "str %[b], [%[to]]\n str %[a], [%[to], %[odd]]\n str %[d], [%[to], %[next]]\n str %[c], [%[to], %[last]]\n"
            "ldr %[a], [%[from], #8]\n ldr %[c], [%[from], #12]\n"
            "add %[from], #16\n"
            "sxtb16 %[b], %[a]\n sxtb16 %[a], %[a], ror #8\n sxtb16 %[d], %[c]\n sxtb16 %[c], %[c], ror #8\n"
            "str %[b], [%[to], %[next2]]\n str %[a], [%[to], %[odd2]]\n"
            "str %[d], [%[to], %[next3]]\n str %[c], [%[to], %[last3]]\n"
            "add %[to], %[four]\n"
            "cmp %[from], %[end]\n"
            "bne 1b\n"
            : [to] "+&r"(to), [from] "+&r"(from), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
            : [end] "r"(end), [odd] "i"(4 * pixels), [next] "i"(8 * pixels), [last] "i"(12 * pixels),
              [next2] "i"(16 * pixels), [odd2] "i"(20 * pixels), [next3] "i"(24 * pixels), [last3] "i"(28 * pixels),
              [four] "i"(32 * pixels)
            : "cc", "memory");
    } else {
        __asm__ volatile(
            "1: ldr %[a], [%[from]], #4\n"
            "sxtb16 %[b], %[a]\n sxtb16 %[a], %[a], ror #8\n"
            "str %[a], [%[to], %[odd]]\n str %[b], [%[to]], %[next]\n"
            "cmp %[from], %[end]\n"
            "bne 1b\n"
            : [to] "+&r"(to), [from] "+&r"(from), [a] "=&r"(a), [b] "=&r"(b)
            : [end] "r"(end), [odd] "i"(4 * pixels), [next] "i"(8 * pixels)
            : "cc", "memory");
    }
    return to;
}

#else

/* The same arithmetic on the same data, for any machine: two products of signed halfwords, modulo 2^32 */
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
    const int32_t *t = job->table;
    for (int8_t *y = job->y; t != job->table_end; y += 2) {
        uint32_t low[4], raw[4];
        for (int p = 0; p < pixels; p++) low[p] = (uint32_t)t[0], raw[p] = (uint32_t)t[1];
        t += 2;
        for (const int32_t *x = job->window; x != job->window_end; x += pixels, t++)
            for (int p = 0; p < pixels; p++) {
                raw[p] = puce_smlad(*t, x[p], raw[p]);
                low[p] = puce_smlad(puce_even(*t), x[p], low[p]);
            }
        for (int p = 0; p < pixels; p++) {
            y[p * job->oc] = puce_round_s8((int32_t)(low[p] << 1), t);
            y[p * job->oc + 1] = puce_round_s8((int32_t)(raw[p] - low[p]) >> 7, t + 3);
        }
        t += 6;
    }
}

PUCE_KERNEL void puce_conv_2d_core_4(const puce_conv_2d_job *job) { puce_conv_2d_core(job, 4); }
PUCE_KERNEL void puce_conv_2d_core_2(const puce_conv_2d_job *job) { puce_conv_2d_core(job, 2); }
PUCE_KERNEL void puce_conv_2d_core_1(const puce_conv_2d_job *job) { puce_conv_2d_core(job, 1); }

PUCE_KERNEL int32_t *puce_window_copy(int32_t *to, const int8_t *from, int n, int pixels)
{
    for (int i = 0; i < n; i += 4, to += 2 * pixels) {
        to[0] = puce_even(puce_word(from + i));
        to[pixels] = puce_odd(puce_word(from + i));
    }
    return to;
}

#endif

PUCE_KERNEL void puce_conv_2d_channels(const puce_conv_2d_job *job, int pixels)
{
    if (pixels == 4) puce_conv_2d_core_4(job);
    else if (pixels == 2) puce_conv_2d_core_2(job);
    else puce_conv_2d_core_1(job);
}

PUCE_KERNEL int32_t *puce_window_fill(int32_t *to, int x_zero, int n, int pixels)
{
    const int32_t pair = (int32_t)((uint32_t)x_zero << 16 | (uint16_t)x_zero);
    for (int i = 0; i < n; i += 4, to += 2 * pixels) to[0] = to[pixels] = pair;
    return to;
}

/* Any n: taps from first (included) to last (excluded) come from x, others are zero; the last word is filled up */
PUCE_KERNEL int32_t *puce_window_bytes(int32_t *to, const int8_t *x, int first, int last, int n, int pixels, int x_zero)
{
    for (int i = 0; i < n; i += 4, to += 2 * pixels) {
        int8_t bytes[4];
        for (int j = i; j < i + 4; j++) bytes[j - i] = (int8_t)(j >= first && j < last ? x[j - first] : x_zero);
        to[0] = puce_even(puce_word(bytes));
        to[pixels] = puce_odd(puce_word(bytes));
    }
    return to;
}

/* One run of a window: kw pixels of c bytes that lie next to each other, of which those from first to last are inside
   the picture; x is the first of those. Runs end on a word. */
PUCE_KERNEL int32_t *puce_window_run(int32_t *to, const int8_t *x, int first, int last, int kw, int c, int pixels,
                                     int x_zero)
{
    const int n = kw * c;
    if (first >= last) return puce_window_fill(to, x_zero, n, pixels);
    if (first == 0 && last == kw) {
        if (n >= 4) to = puce_window_copy(to, x, n & ~3, pixels);
        return n & 3 ? puce_window_bytes(to, x + (n & ~3), 0, n & 3, n & 3, pixels, x_zero) : to;
    }
    if (c % 4) return puce_window_bytes(to, x, first * c, last * c, n, pixels, x_zero);
    to = puce_window_fill(to, x_zero, first * c, pixels);
    to = puce_window_copy(to, x, (last - first) * c, pixels);
    return puce_window_fill(to, x_zero, (kw - last) * c, pixels);
}

/* The windows of `pixels` output pixels from ox on, then all their channels. A window is filled up to 8 taps with
   anything: its weights there are zero. */
PUCE_KERNEL void puce_conv_2d_pixels(const int8_t *const *x, int8_t *y, const int32_t *table, int32_t *window, int pixels,
                                     int ox, int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                     int x_zero)
{
    const int run = dw == 1 ? kw : 1; /* pixels that lie next to each other */
    const int words = (kh * (kw / run) * ((run * c + 3) / 4) + 1) / 2 * 4;
    const int inside = left == 0 && (ow - 1) * sw + (kw - 1) * dw < w; /* no window leaves its rows */
    for (int p = 0; p < pixels; p++) {
        const int start = (ox + p) * sw - left;
        const int first = inside ? 0 : puce_first_tap(start, dw), last = inside ? kw : puce_last_tap(start, dw, kw, w);
        int32_t *to = window + p;
        for (int ky = 0; ky < kh; ky++)
            for (int kx = 0; kx < kw; kx += run) {
                const int from = !x[ky] ? run : first <= kx ? 0 : first - kx < run ? first - kx : run;
                const int till = last - kx < run ? last - kx : run;
                const int8_t *px = from < till ? x[ky] + (start + (kx + from) * dw) * c : 0;
                to = puce_window_run(to, px, from, till, run, c, pixels, x_zero);
            }
    }
    const int pair = words + 8;
    puce_conv_2d_job job = {window, window + words * pixels, y, oc, table, table + oc / 2 * pair};
    puce_conv_2d_channels(&job, pixels);
    if (oc % 2) { /* the last channel: once more with its neighbour */
        job.y = y + oc - 2;
        job.table = table + oc / 2 * pair;
        job.table_end = job.table + pair;
        puce_conv_2d_channels(&job, pixels);
    }
}

/* `most` pixels at a time (4, 2 or 1) share a load of weights; scratch is [taps, most] int16, each run of taps that lie
   next to each other in a row rounded up to 4, the window to 8. The sums are exact within limits that packing.py proves. */
PUCE_KERNEL void puce_conv_2d_s8_dsp(const int8_t *const *x, int8_t *y, const int32_t *table, void *scratch,
                                     int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                     int x_zero, int low, int high, int most)
{
    const int fours = most >= 4 ? ow & ~3 : 0, twos = most >= 2 ? ow & ~1 : 0;
    for (int ox = 0; ox < fours; ox += 4)
        puce_conv_2d_pixels(x, y + ox * oc, table, scratch, 4, ox, w, c, ow, oc, kh, kw, sw, left, dw, x_zero);
    for (int ox = fours; ox < twos; ox += 2)
        puce_conv_2d_pixels(x, y + ox * oc, table, scratch, 2, ox, w, c, ow, oc, kh, kw, sw, left, dw, x_zero);
    for (int ox = twos; ox < ow; ox++)
        puce_conv_2d_pixels(x, y + ox * oc, table, scratch, 1, ox, w, c, ow, oc, kh, kw, sw, left, dw, x_zero);
    if (low > -128 || high < 127)
        for (int i = 0; i < ow * oc; i++) y[i] = (int8_t)puce_clamp(y[i], low, high);
}

/* The same for kernels of one row, which get that row itself. */
PUCE_KERNEL void puce_conv_1d_s8_dsp(const int8_t *x, int8_t *y, const int32_t *table, void *scratch,
                                     int w, int c, int ow, int oc, int kh, int kw, int sw, int left, int dw,
                                     int x_zero, int low, int high, int most)
{
    puce_conv_2d_s8_dsp(&x, y, table, scratch, w, c, ow, oc, kh, kw, sw, left, dw, x_zero, low, high, most);
}

#endif
