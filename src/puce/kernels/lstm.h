/* SPDX-License-Identifier: Apache-2.0
   LSTM over a sequence: x is [steps, in], y [steps, cell] or, where only the last is wanted, [cell]. Gates in the order
   input, forget, cell, output: w is [4, cell, in], r [4, cell, cell]. The state starts at zero.
   The int16 functions are those of gemmlowp, on which TFLite's integer LSTM stands: 16-bit words with m integer bits. */
#ifndef PUCE_LSTM_H
#define PUCE_LSTM_H

#include "puce_kernel.h"

PUCE_KERNEL int32_t puce_saturate16(int32_t x)
{
    return puce_clamp(x, -32768, 32767);
}

/* a * b / 2^15, rounded, ties up. */
PUCE_KERNEL int32_t puce_high16(int32_t a, int32_t b)
{
    const int32_t high = (a * b + (1 << 14)) >> 15;
    return high < 32767 ? high : 32767;
}

/* x / 2^n, ties away from zero; n >= 1. */
PUCE_KERNEL int32_t puce_halved(int32_t x, int n)
{
    return (x + (1 << (n - 1)) - (x < 0)) >> n;
}

/* exp(a) for a <= 0 with m integer bits, as a fraction of 2^15: a series on a quarter, times a constant for each bit. */
PUCE_KERNEL int32_t puce_exp16(int32_t a, int m)
{
    static const int16_t factor[7] = {25520, 19875, 12055, 4435, 600, 11, 0}; /* exp(-1/4), exp(-1/2) ... exp(-16) */
    const int32_t quarter = 1 << (13 - m);
    const int32_t rest = (a & (quarter - 1)) - quarter;
    const int32_t x = rest * (1 << m) + 4096;
    const int32_t x2 = puce_high16(x, x), x3 = puce_high16(x2, x), x4 = puce_high16(x2, x2);
    const int32_t series = x + puce_halved(puce_high16(puce_halved(x4, 2) + x3, 10923) + x2, 1);
    int32_t result = puce_saturate16(28918 + puce_high16(28918, series));
    for (int e = 0; e < m + 2; e++)
        if ((rest - a) & (quarter << e)) result = puce_high16(result, factor[e]);
    return a == 0 ? 32767 : result;
}

/* 2 / (1 + a) with two integer bits, by Newton's method, for a fraction a. */
PUCE_KERNEL int32_t puce_reciprocal16(int32_t a)
{
    const int32_t half = (a + 32768) >> 1;
    int32_t x = 23130 + puce_high16(half, -15420);
    for (int i = 0; i < 3; i++) x += puce_saturate16(puce_high16(x, 8192 - puce_high16(half, x)) * 4);
    return x;
}

/* Of a word with 3 integer bits. */
PUCE_KERNEL int32_t puce_sigmoid16(int32_t a)
{
    if (a == 0) return 16384;
    const int32_t result = puce_saturate16(puce_reciprocal16(puce_exp16(a > 0 ? -a : a, 3)) * 2);
    return a > 0 ? result : 32767 - result;
}

PUCE_KERNEL int32_t puce_tanh16(int32_t a, int m)
{
    if (a == 0) return 0;
    const int32_t result = puce_saturate16((puce_reciprocal16(puce_exp16(a > 0 ? -a : a, m + 1)) - 8192) * 4);
    return a > 0 ? result : -result;
}

/* One gate before its activation. start: what the sums of raw inputs and of raw states begin with; scale: two multipliers. */
PUCE_KERNEL int32_t puce_lstm_gate(const int8_t *x, const int8_t *h, const int8_t *w, const int8_t *r,
                                   const int32_t *start, const int32_t *scale, int in, int cell)
{
    int32_t a = start[0], b = start[1];
    for (int k = 0; k < in; k++) a += x[k] * w[k];
    for (int k = 0; k < cell; k++) b += h[k] * r[k];
    a = puce_saturate16(puce_requantize(a, scale[0], scale[1]));
    return puce_saturate16(a + puce_requantize(b, scale[2], scale[3]));
}

/* scratch: cell int16 of cell state, cell int8 of output state, cell int8 of the next one. The cell state has m integer
   bits. */
PUCE_KERNEL void puce_lstm_s8(const int8_t *x, int8_t *y, const int8_t *w, const int8_t *r, const int32_t *start,
                              const int32_t *scale, void *scratch, int steps, int in, int cell, int whole, int m, int clip,
                              int32_t multiplier, int32_t shift, int zero)
{
    int16_t *c = (int16_t *)scratch;
    int8_t *h = (int8_t *)(c + cell), *next = h + cell;
    memset(c, 0, (size_t)cell * sizeof *c);
    memset(h, zero, (size_t)cell);
    for (int t = 0; t < steps; t++, x += in) {
        for (int i = 0; i < cell; i++) {
            int32_t gate[4];
            for (int g = 0; g < 4; g++) {
                const int row = g * cell + i;
                gate[g] = puce_lstm_gate(x, h, w + row * in, r + row * cell, start + 2 * row, scale + 4 * g, in, cell);
            }
            const int32_t kept = puce_halved(puce_sigmoid16(gate[1]) * c[i], 15);
            const int32_t added = puce_halved(puce_sigmoid16(gate[0]) * puce_tanh16(gate[2], 3), 15 + m);
            const int32_t state = puce_saturate16(kept + added);
            c[i] = (int16_t)(clip ? puce_clamp(state, -clip, clip) : state);
            const int32_t out = puce_sigmoid16(gate[3]) * puce_tanh16(c[i], m);
            next[i] = (int8_t)puce_clamp(puce_requantize(out, multiplier, shift) + zero, -128, 127);
        }
        memcpy(h, next, (size_t)cell);
        if (whole || t == steps - 1) memcpy(y + (whole ? t * cell : 0), h, (size_t)cell);
    }
}

/* exp(x) for x <= 0, to about 1e-7: a series on half an octave, times a power of two. */
PUCE_KERNEL float puce_lstm_exp(float x)
{
    if (x < -87.0f) return 0.0f;
    const int n = (int)(x * 1.44269504f - 0.5f);
    const float f = (x - (float)n * 0.693359375f) + (float)n * 2.12194440e-4f;
    float p = 1.0f / 5040.0f;
    p = p * f + 1.0f / 720.0f;
    p = p * f + 1.0f / 120.0f;
    p = p * f + 1.0f / 24.0f;
    p = p * f + 1.0f / 6.0f;
    p = p * f + 0.5f;
    p = p * f + 1.0f;
    p = p * f + 1.0f;
    union {
        uint32_t bits;
        float value;
    } power = {(uint32_t)(n + 127) << 23};
    return p * power.value;
}

PUCE_KERNEL float puce_lstm_sigmoid(float x)
{
    const float e = puce_lstm_exp(x < 0.0f ? x : -x);
    return x < 0.0f ? e / (1.0f + e) : 1.0f / (1.0f + e);
}

PUCE_KERNEL float puce_lstm_tanh(float x)
{
    const float a = x < 0.0f ? -x : x;
    if (a < 0.3f) { /* the quotient below would lose digits */
        const float s = x * x;
        return x * (1.0f + s * (-1.0f / 3.0f + s * (2.0f / 15.0f + s * (-17.0f / 315.0f + s * (62.0f / 2835.0f)))));
    }
    const float e = puce_lstm_exp(-2.0f * a), result = (1.0f - e) / (1.0f + e);
    return x < 0.0f ? -result : result;
}

/* scratch: cell floats of cell state, cell of output state, cell of the next one. */
PUCE_KERNEL void puce_lstm_f32(const float *x, float *y, const float *w, const float *r, const float *bias, void *scratch,
                               int steps, int in, int cell, int whole, float clip)
{
    float *c = (float *)scratch, *h = c + cell, *next = h + cell;
    memset(scratch, 0, (size_t)(3 * cell) * sizeof(float));
    for (int t = 0; t < steps; t++, x += in) {
        for (int i = 0; i < cell; i++) {
            float gate[4];
            for (int g = 0; g < 4; g++) {
                const int row = g * cell + i;
                float sum = bias[row];
                for (int k = 0; k < in; k++) sum += x[k] * w[row * in + k];
                for (int k = 0; k < cell; k++) sum += h[k] * r[row * cell + k];
                gate[g] = sum;
            }
            const float kept = puce_lstm_sigmoid(gate[1]) * c[i];
            c[i] = kept + puce_lstm_sigmoid(gate[0]) * puce_lstm_tanh(gate[2]);
            if (clip > 0.0f) c[i] = puce_clamp_f32(c[i], -clip, clip);
            next[i] = puce_lstm_sigmoid(gate[3]) * puce_lstm_tanh(c[i]);
        }
        memcpy(h, next, (size_t)cell * sizeof(float));
        if (whole || t == steps - 1) memcpy(y + (whole ? t * cell : 0), h, (size_t)cell * sizeof(float));
    }
}

#endif
