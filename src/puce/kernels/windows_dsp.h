/* SPDX-License-Identifier: Apache-2.0
   The windows of a convolution, widened to int16 four taps at a time, in groups of pixels side by side: what
   conv_2d_dsp.h multiplies. docs/design/kernels.md draws them. */
#ifndef PUCE_WINDOWS_DSP_H
#define PUCE_WINDOWS_DSP_H

#include "dsp.h"

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__)

#define PUCE_CORE static __attribute__((naked, noinline, used))

/* n bytes (a multiple of 4, at least 4) of each of four pixels, `step` bytes apart, into their windows; then those of the
   next four, `groups` times. Returns their end. r1 r2 r3 r12 the pixels, lr the end of the first; r4 to r7 taps 0 and 2,
   r8 to r11 taps 1 and 3; stack: n, from one group to the next, registers, groups. */
PUCE_CORE int32_t *puce_widen_4(__attribute__((unused)) int32_t *to, __attribute__((unused)) const int8_t *from,
                                __attribute__((unused)) int step, __attribute__((unused)) int n,
                                __attribute__((unused)) int groups)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        "lsl r5, r2, #2\n"
        "sub r5, r5, r3\n"
        "push {r3, r5}\n"
        "add lr, r1, r3\n"
        "mov r4, r2\n"
        "add r2, r1, r4\n add r3, r2, r4\n add r12, r3, r4\n"
        ".p2align 2\n"
        "1: ldr r8, [r1], #4\n ldr r9, [r2], #4\n ldr r10, [r3], #4\n ldr r11, [r12], #4\n"
        "sxtb16 r4, r8\n sxtb16 r5, r9\n sxtb16 r6, r10\n sxtb16 r7, r11\n"
        "sxtb16 r8, r8, ror #8\n sxtb16 r9, r9, ror #8\n sxtb16 r10, r10, ror #8\n sxtb16 r11, r11, ror #8\n"
        "stm r0!, {r4-r11}\n"
        "cmp r1, lr\n"
        "bne 1b\n"
        "ldr r4, [sp, #44]\n ldr r5, [sp, #4]\n ldr r6, [sp]\n"
        "subs r4, #1\n"
        "str r4, [sp, #44]\n"
        "add r1, r5\n add r2, r5\n add r3, r5\n add r12, r5\n add lr, r1, r6\n"
        "bne 1b\n"
        "add sp, #8\n"
        "pop {r4-r11, pc}\n" ::: "memory");
}

/* n bytes (a multiple of 4, at least 4) of one pixel into its window among those of `pixels` */
PUCE_KERNEL void puce_widen(int32_t *to, const int8_t *from, int n, int pixels)
{
    const int8_t *const end = from + n;
    int32_t a, b;
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

#else

PUCE_KERNEL void puce_widen(int32_t *to, const int8_t *from, int n, int pixels)
{
    for (int i = 0; i < n; i += 4, to += 2 * pixels) {
        to[0] = puce_even(puce_word(from + i));
        to[pixels] = puce_odd(puce_word(from + i));
    }
}

PUCE_KERNEL int32_t *puce_widen_4(int32_t *to, const int8_t *from, int step, int n, int groups)
{
    for (int p = 0; p < 4 * groups; p += 4, to += 2 * n)
        for (int i = 0; i < 4; i++) puce_widen(to + i, from + (p + i) * step, n, 4);
    return to;
}

#endif

/* The taps of one window, side by side in bytes: those outside the picture are x_zero. Runs of `run` pixels lie next to
   each other. */
PUCE_KERNEL void puce_window_bytes(int8_t *to, const int8_t *const *x, int start, int w, int c, int kh, int kw, int run,
                                   int dw, int x_zero)
{
    PUCE_ROLLED
    for (int ky = 0; ky < kh; ky++)
        for (int kx = 0; kx < kw; kx += run, to += run * c) {
            const int at = start + kx * dw; /* the run's first pixel; runs of several have dw 1 */
            const int from = !x[ky] || at + run <= 0 || at >= w ? run : at < 0 ? -at : 0;
            const int till = !x[ky] || at + run <= 0 || at >= w ? run : at + run > w ? w - at : run;
            if (from == 0 && till == run && x[ky]) {
                __builtin_memcpy(to, x[ky] + at * c, (size_t)(run * c));
                continue;
            }
            PUCE_ROLLED
            for (int i = 0; i < from * c; i++) to[i] = (int8_t)x_zero;
            PUCE_ROLLED
            for (int i = from * c; i < till * c; i++) to[i] = x[ky][at * c + i];
            PUCE_ROLLED
            for (int i = till * c; i < run * c; i++) to[i] = (int8_t)x_zero;
        }
}

/* The windows of a group of `pixels` from ox on. `bytes` holds a window before it is widened where it lies at an edge, or
   where its runs do not end on a word: then four. They are filled up to 4 taps with anything: the weights there are zero. */
PUCE_KERNEL void puce_windows(int32_t *to, int8_t *bytes, const int8_t *const *x, int rows, int ox, int pixels, int w, int c,
                              int kh, int kw, int sw, int left, int dw, int x_zero)
{
    const int run = dw == 1 ? kw : 1, start = ox * sw - left, taps = (kh * kw * c + 3) & ~3;
    const int whole = run * c % 4 == 0;
    if (rows && start >= 0 && start + (pixels - 1) * sw + (kw - 1) * dw < w) {
        if (whole) {
            PUCE_ROLLED
            for (int ky = 0; ky < kh; ky++) {
                PUCE_ROLLED
                for (int kx = 0; kx < kw; kx += run) {
                    const int8_t *from = x[ky] + (start + kx * dw) * c;
                    if (pixels == 4) {
                        to = puce_widen_4(to, from, sw * c, run * c, 1);
                        continue;
                    }
                    for (int i = 0; i < pixels; i++) puce_widen(to + i, from + i * sw * c, run * c, pixels);
                    to += run * c / 2 * pixels;
                }
            }
            return;
        }
        if (pixels == 4 && kh * kw * c <= 64) { /* a first layer: few channels */
            PUCE_ROLLED
            for (int k = 0; k < kh * kw; k += run) {
                const int8_t *from = x[k / kw] + (start + k % kw * dw) * c;
                for (int i = 0; i < 4; i++) __builtin_memcpy(bytes + i * taps + k * c, from + i * sw * c, (size_t)(run * c));
            }
            puce_widen_4(to, bytes, taps, taps, 1);
            return;
        }
    }
    PUCE_ROLLED
    for (int i = 0; i < pixels; i++) {
        int8_t *const one = bytes + (whole || pixels < 4 ? 0 : i * taps);
        puce_window_bytes(one, x, start + i * sw, w, c, kh, kw, run, dw, x_zero);
        if (whole || pixels < 4) puce_widen(to + i, bytes, taps, pixels);
    }
    if (!whole && pixels == 4) puce_widen_4(to, bytes, taps, taps, 1);
}

#endif
