/* SPDX-License-Identifier: Apache-2.0
   Dense int8 for cores without the DSP extension: weights of four outputs share a word. */
#ifndef PUCE_DENSE_QUADS_H
#define PUCE_DENSE_QUADS_H

#include "quads.h"

/* words are [out / 4, n], outputs filled up to 4; start is [out]; rounding is multiplier, offset, shift: once, or (each) for
   each output, which is (sum * multiplier + offset) >> 32 >> shift. The sum fits int32 while n <= 65000. */
PUCE_KERNEL void puce_dense_s8_quads(const int8_t *x, int8_t *y, const int32_t *words, const int32_t *start,
                                     const int32_t *rounding, int n, int out, int low, int high, int each)
{
    PUCE_ROLLED
    for (int o = 0; o < out; o += 4, words += n) {
        puce_quads_job job = {.x = &x, .rows = 1, .n = n, .words = words};
        puce_quads_run(&job);
        const int count = out - o < 4 ? out - o : 4;
        PUCE_ROLLED
        for (int i = 0; i < count; i++, rounding += each ? 3 : 0) {
            const int32_t sum = (int32_t)((uint32_t)puce_quads_sum(&job, i) + (uint32_t)*start++);
            const int64_t v = (int64_t)sum * rounding[0] + rounding[1];
            *y++ = (int8_t)puce_clamp((int32_t)(v >> 32) >> rounding[2], low, high);
        }
    }
}

#endif
