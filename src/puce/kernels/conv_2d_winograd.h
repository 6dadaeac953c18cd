/* SPDX-License-Identifier: Apache-2.0
   Conv2D 3x3 int8, stride 1, for cores with the DSP extension: Winograd's F(4x2, 3x3) in whole numbers. Four rows of output
   at a time; 24 products make 8 outputs, not 72. docs/design/kernels.md has the pictures, ops/_winograd.py the proof. */
#ifndef PUCE_CONV_2D_WINOGRAD_H
#define PUCE_CONV_2D_WINOGRAD_H

#include "puce_kernel.h"
#include "winograd_input.h"
#include "winograd_products.h"

PUCE_KERNEL void puce_winograd_outputs(const puce_winograd_output *out, int positive)
{
    if (positive) puce_winograd_finish_positive(out);
    else puce_winograd_finish_any(out);
}

/* All channels of four rows of output. */
PUCE_KERNEL void puce_winograd_channels(int8_t *y, int8_t *below, const int32_t *table, const int32_t *v, int32_t *m,
                                        int ow, int oc, int groups, int quads, int positive)
{
    const int whole = ow / 2, u_words = 4 * quads, pair = 24 * u_words + 8;
    puce_winograd_job job = {v, table + u_words, table, m, m + 192 * groups, 4 * u_words, 768 * groups, m + 192};
    puce_winograd_output out = {m, whole, table + 24 * u_words, {y, below, below + ow * oc, below + 2 * ow * oc},
                                oc, -oc, 3 * oc, 0xAAAAAAABu};
    PUCE_ROLLED
    for (int o = 0; o < oc; o += 2, job.u += pair, job.u_next += pair, out.m -= 8, out.table += pair - 8) {
        if (o + 1 == oc) out.along--; /* an odd last channel: once more with its neighbour */
        if (quads % 4 == 0) puce_winograd_products_16(&job);
        else if (quads % 2) puce_winograd_products_4(&job);
        else puce_winograd_products_8(&job);
        PUCE_ROLLED
        for (int i = 0; i < 2; i++, out.m += 4, out.along++, out.table += 4) {
            if (whole) puce_winograd_outputs(&out, positive);
            if (ow % 2) { /* the last tile has one column: both go there */
                puce_winograd_output last = out;
                last.m += whole / 4 * 192 + whole % 4, last.tiles = 1, last.along += (2 * whole - 1) * oc, last.back = 0;
                puce_winograd_outputs(&last, positive);
            }
        }
    }
}

/* x is six rows of [w, c], from `top` above row y on; at every fourth row this one and the next three are computed, which
   wait in `state`. `scratch` holds v, then m or, before, what v is made of. Where zero is -128, `positive`, rounding is
   simpler. Sums are exact within limits that ops/_winograd.py proves. */
PUCE_KERNEL void puce_conv_2d_s8_winograd(const int8_t *const *x, int8_t *y, const int32_t *table, void *state,
                                          void *scratch, int row, int w, int c, int ow, int oc, int left, int x_zero,
                                          int low, int high, int positive)
{
    int8_t *const below = state;
    if (row % 4) {
        memcpy(y, below + (row % 4 - 1) * ow * oc, (size_t)(ow * oc));
        return;
    }
    const int tiles = (ow + 1) / 2, groups = (tiles + 3) / 4, quads = (c + 3) / 4;
    int32_t *const v = scratch, *const m = v + 192 * groups * quads;
    puce_winograd_input(v, x, m, groups, left, w, c, x_zero);
    puce_winograd_channels(y, below, table, v, m, ow, oc, groups, quads, positive);
    if (low > -128 || high < 127) {
        for (int i = 0; i < ow * oc; i++) y[i] = (int8_t)puce_clamp(y[i], low, high);
        for (int i = 0; i < 3 * ow * oc; i++) below[i] = (int8_t)puce_clamp(below[i], low, high);
    }
}

#endif
