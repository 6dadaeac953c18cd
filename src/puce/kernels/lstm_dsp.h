/* SPDX-License-Identifier: Apache-2.0
   LSTM int8 for cores with the DSP extension: two cells in one weight, their four gates side by side, and one table for
   sigmoid and tanh. docs/design/kernels.md draws it. Elsewhere the same packed data goes through plain C. */
#ifndef PUCE_LSTM_DSP_H
#define PUCE_LSTM_DSP_H

#include "lstm.h"
#include "puce_kernel.h"

typedef struct {
    const int8_t *x, *x_end; /* a multiple of 4 bytes */
} puce_lstm_source;

/* The asm reads the fields by their order. */
typedef struct {
    const int32_t *stream; /* of a source: 4 starts of 256 high + low, 4 of low; weights [n / 4][gate][inputs 0 2, 1 3] */
    int32_t *table;        /* [source + 1][gate]: multiplier, half, shift, and what is added to the results of both cells, which
                              go to the same places of the next source */
    const puce_lstm_source *end; /* behind the last source: the input alone, or the hidden state too */
    puce_lstm_source sources[2];
} puce_lstm_job;

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__)

/* r0 x, r1 weights last read, r3 r4 inputs (0, 2) and (1, 3), r2 r12 the weights of one gate for them; r5 r6 r7 r8 sums of
   256 high + low, r9 r10 r11 lr sums of low, of the four gates. On the stack: the next source, x_end, table, the end
   of the sources. */
#define PUCE_LSTM_WEIGHTS(a, b) "ldr r2, [r1, #" #a "\n ldr r12, [r1, #" #b "\n"
#define PUCE_LSTM_PAIR(raw, low) \
    "smlad " #raw ", r2, r3, " #raw "\n smlad " #raw ", r12, r4, " #raw "\n sxtb16 r2, r2\n sxtb16 r12, r12\n" \
    "smlad " #low ", r2, r3, " #low "\n smlad " #low ", r12, r4, " #low "\n"
#define PUCE_LSTM_FOUR(a, b, c, d, e, f, g, h) \
    "ldr r3, [r0], #4\n" PUCE_LSTM_WEIGHTS(a, b) "sxtb16 r4, r3, ror #8\n sxtb16 r3, r3\n" PUCE_LSTM_PAIR(r5, r9) \
    PUCE_LSTM_WEIGHTS(c, d) PUCE_LSTM_PAIR(r6, r10) \
    PUCE_LSTM_WEIGHTS(e, f) PUCE_LSTM_PAIR(r7, r11) \
    PUCE_LSTM_WEIGHTS(g, h) PUCE_LSTM_PAIR(r8, lr)
#define PUCE_LSTM_ROUND(sum) "smmlar r12, " #sum ", r2, r3\n add r12, r12, " #sum ", asr #31\n asr " #sum ", r12, r4\n"
#define PUCE_LSTM_GATE(raw, low) \
    "ldm r0!, {r2, r3, r4}\n" \
    "sub " #raw ", " #raw ", " #low "\n lsl " #low ", " #low ", #1\n asr " #raw ", " #raw ", #7\n" \
    PUCE_LSTM_ROUND(low) PUCE_LSTM_ROUND(raw) \
    "ldm r0!, {r2, r3}\n" \
    "add " #low ", r2\n add " #raw ", r3\n ssat " #low ", #16, " #low "\n ssat " #raw ", #16, " #raw "\n" \
    "str " #low ", [r0, #72]\n str " #raw ", [r0, #76]\n"

/* The two cells' gates before their activations; returns where the stream goes on. */
static __attribute__((naked, noinline, used, aligned(16))) const int32_t *
puce_lstm_core(__attribute__((unused)) const puce_lstm_job *job)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        "ldm r0!, {r1, r2, r3}\n"
        "push {r0-r3}\n"
        "1: ldr r3, [sp]\n"
        "ldm r1!, {r5-r11, lr}\n"
        "ldm r3!, {r0, r2}\n"
        "str r3, [sp]\n"
        "str r2, [sp, #4]\n"
        "subs r2, r2, r0\n"
        "subs r1, #4\n"
        "lsls r2, r2, #29\n"
        "bpl.n 10f\n"
        "subs r1, #32\n"
        "b.n 11f\n"
        ".p2align 2\n"
        "10:\n" PUCE_LSTM_FOUR(4], 8], 12], 16], 20], 24], 28], 32])
        "11:\n" PUCE_LSTM_FOUR(36], 40], 44], 48], 52], 56], 60], 64]!)
        "ldr r2, [sp, #4]\n"
        "cmp r0, r2\n"
        "bne.w 10b\n"
        "ldr r0, [sp, #8]\n"
        "adds r1, #4\n"
        PUCE_LSTM_GATE(r5, r9) PUCE_LSTM_GATE(r6, r10) PUCE_LSTM_GATE(r7, r11) PUCE_LSTM_GATE(r8, lr)
        "str r0, [sp, #8]\n"
        "ldr r2, [sp]\n"
        "ldr r3, [sp, #12]\n"
        "cmp r2, r3\n"
        "bne.w 1b\n"
        "mov r0, r1\n"
        "add sp, #16\n"
        "pop {r4-r11, pc}\n" ::: "memory");
}

#else

PUCE_KERNEL uint32_t puce_lstm_smlad(int32_t a, int32_t b, uint32_t sum)
{
    return sum + (uint32_t)((int16_t)a * (int16_t)b) + (uint32_t)((a >> 16) * (b >> 16));
}

PUCE_KERNEL int32_t puce_lstm_round(int32_t sum, const int32_t *r)
{
    const int64_t high = ((int64_t)sum * r[0] * 2 + ((int64_t)1 << 31)) >> 32;
    return (int32_t)(high + r[1] + (sum >> 31)) >> r[2];
}

static const int32_t *puce_lstm_core(const puce_lstm_job *job)
{
    int32_t *table = job->table;
    const int32_t *w = job->stream;
    for (const puce_lstm_source *source = job->sources; source != job->end; source++, table += 20) {
        uint32_t raw[4], low[4];
        for (int g = 0; g < 4; g++) raw[g] = (uint32_t)w[g], low[g] = (uint32_t)w[4 + g];
        w += 8;
        for (const int8_t *x = source->x; x != source->x_end; x += 4)
            for (int g = 0; g < 4; g++, w += 2) {
                const int32_t even = puce_even(puce_word(x)), odd = puce_odd(puce_word(x));
                raw[g] = puce_lstm_smlad(w[1], odd, puce_lstm_smlad(w[0], even, raw[g]));
                low[g] = puce_lstm_smlad(puce_even(w[1]), odd, puce_lstm_smlad(puce_even(w[0]), even, low[g]));
            }
        for (int g = 0; g < 4; g++) {
            int32_t *const r = table + 5 * g;
            r[23] = puce_saturate16(r[3] + puce_lstm_round((int32_t)low[g], r));
            r[24] = puce_saturate16(r[4] + puce_lstm_round((int32_t)(raw[g] - low[g]) >> 8, r));
        }
    }
    return w;
}

#endif

#define PUCE_LSTM_CURVE 37460 /* from here on the curve is 2, in 1/2^13: what its table ends in */

/* puce_sigmoid16 by the table. */
PUCE_KERNEL int32_t puce_lstm_sigmoid_of(int32_t a, const int16_t *curve)
{
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
    int32_t sign;
    __asm__("asrs %1, %0, #31\n eors %0, %1\n subs %0, %0, %1\n ldrh %0, [%2, %0, lsl #1]\n usat %0, #15, %0, lsl #1\n"
            "eor %0, %0, %1, lsr #17"
            : "+l"(a), "=&l"(sign)
            : "r"(curve), "m"(*(const int16_t(*)[PUCE_LSTM_CURVE + 1])curve)
            : "cc");
    return a;
#else
    const int32_t sign = a >> 31;
    return puce_clamp(2 * curve[(a ^ sign) - sign], 0, 32767) ^ (sign & 32767);
#endif
}

/* puce_tanh16 by the table; shift = m - 2. */
PUCE_KERNEL int32_t puce_lstm_tanh_of(int32_t a, const int16_t *curve, int shift)
{
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
    int32_t sign, k = a;
    __asm__("asrs %1, %0, #31\n eors %0, %1\n subs %0, %0, %1" : "+l"(k), "=&l"(sign) : : "cc");
    k <<= shift;
    int32_t value = curve[k < PUCE_LSTM_CURVE ? k : PUCE_LSTM_CURVE] - 8192;
    __asm__("ssat %0, #16, %0, lsl #2\n eors %0, %1\n subs %0, %0, %1" : "+l"(value) : "l"(sign) : "cc");
    return value;
#else
    const int32_t sign = a >> 31, k = ((a ^ sign) - sign) << shift;
    return (puce_saturate16(4 * (curve[k < PUCE_LSTM_CURVE ? k : PUCE_LSTM_CURVE] - 8192)) ^ sign) - sign;
#endif
}

/* x * multiplier / 2^(31 + right), rounded twice as puce_requantize does, for |x| < 2^30; half is 2^(right - 1), and may hold
   what is to be added to the result, moved up. */
PUCE_KERNEL int32_t puce_lstm_output(int32_t x, int32_t multiplier, int32_t half, int32_t right)
{
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
    int32_t sum;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(sum) : "r"(2 * x), "r"(multiplier), "r"(half));
    sum = (sum + (x >> 31)) >> right;
    __asm__("ssat %0, #8, %0" : "+r"(sum));
    return sum;
#else
    const int64_t high = ((int64_t)x * multiplier + (1 << 30)) >> 31;
    return puce_clamp((int32_t)(high + half + (x >> 31)) >> right, -128, 127);
#endif
}

/* cell is even; stream holds what puce_lstm_job says, for two cells after the other, rounding the table of a job.
   scratch: 60 words of that table, cell int16 of cell state filled up to 4, then x filled up to 4 where `in` is no multiple
   of 4, then, where only the last step is wanted, twice the output state filled up to 4. */
PUCE_KERNEL void puce_lstm_s8_dsp(const int8_t *x, int8_t *y, const int32_t *stream, const int32_t *rounding,
                                  const int16_t *curve, void *scratch, int steps, int in, int cell, int whole, int m, int clip,
                                  int32_t multiplier, int32_t shift, int zero)
{
    const int x_filled = (in + 3) & ~3, h_filled = (cell + 3) & ~3;
    const int32_t half = (1 << (-shift - 1)) + zero * (1 << -shift);
    int32_t *const table = scratch;
    int16_t *const c = (int16_t *)(table + 60);
    int8_t *const copy = (int8_t *)(c + h_filled), *const states = copy + (in < x_filled ? x_filled : 0);
    memcpy(table, rounding, 40 * sizeof *table);
    memset(c, 0, (size_t)h_filled * sizeof *c);
    const int8_t *const first = in < x_filled ? copy : x;
    const int step = in < x_filled ? 0 : in;
    puce_lstm_job job = {stream, table, job.sources + 1, {{first, first + x_filled}, {0, 0}}};
    int skipped = 8 + 2 * h_filled; /* the state of the first step is real zero: no source yet */
    const int32_t *gates = table + 23;
    for (int t = 0; t < steps; t++) {
        int8_t *const next = whole ? y + t * cell : t == steps - 1 ? y : states + (t & 1) * h_filled;
        for (int i = 0; in < x_filled && i < in; i++) copy[i] = x[t * in + i];
        job.stream = stream;
        int16_t *state = c;
        int8_t *out = next;
        PUCE_ROLLED
        for (const int8_t *const end = next + cell; out != end;) {
            job.stream = puce_lstm_core(&job) + skipped;
            PUCE_ROLLED
            for (const int32_t *gate = gates; gate != gates + 2; gate++, state++, out++) {
                const int32_t added = puce_lstm_sigmoid_of(gate[0], curve) * puce_lstm_tanh_of(gate[10], curve, 1);
                const int32_t kept = puce_halved(puce_lstm_sigmoid_of(gate[5], curve) * *state, 15);
                const int32_t sum = puce_saturate16(kept + puce_halved(added, 15 + m));
                const int32_t now = clip ? puce_clamp(sum, -clip, clip) : sum;
                *state = (int16_t)now;
                const int32_t product = puce_lstm_sigmoid_of(gate[15], curve) * puce_lstm_tanh_of(now, curve, m - 2);
                *out = (int8_t)puce_lstm_output(product, multiplier, half, -shift);
            }
        }
        job.sources[0].x += step;
        job.sources[0].x_end += step;
        job.sources[1] = (puce_lstm_source){next, next + h_filled};
        job.end = job.sources + 2;
        skipped = 0;
        gates = table + 43;
    }
}

#endif
