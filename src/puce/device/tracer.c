/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the basic blocks of an emulated core as they start: their price, the flash lines that they miss, who called whom.
   Runs inside the emulator's block hook, so nothing here may be slow. Costs are doubles: sums of quarters are exact. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { NONE, JUMP, CALL, RETURN };       /* what the last instruction of a block does */
enum { REGISTERS = 16, SLOTS = 16, DEPTH = 256, TABLE = 1 << 16 };
static const uint32_t NOWHERE = 0xFFFFFFFFu;

/* A load whose address is base + (index << shift) + offset, of the values at the start of the block. A base from 16 on is a
   word on the stack, -1 is none. */
typedef struct {
    int32_t base, index, shift;
    uint32_t offset, bytes;
} load;

typedef struct {
    uint32_t address, size;
    double cost;       /* with the last branch not taken, if it may be */
    double taken_cost; /* more if that branch is taken */
    double entry_cost; /* more when a taken branch comes here: the first instruction straddles words */
    uint32_t instructions, loads_executed, loads_unknown;
    int32_t transfer, conditional, function, is_function_start;
    uint32_t loads, registers; /* loads to follow; bit mask of the registers that they need */
    uint32_t slots;
    load load[64];
    uint32_t slot_offset[SLOTS]; /* from the stack pointer */
} block;

typedef struct {
    double base, data_waits, instruction_waits, instructions, loads, unknown;
} counters;

typedef struct {
    int32_t function;
    uint32_t returns_to;
    counters start;
} frame;

typedef struct {
    int32_t lines, newest, oldest, used;
    int32_t *slot_of; /* by line number of the flash; -1: not cached */
    int32_t *line_of, *newer, *older;
} cache;

typedef int (*read_register)(void *uc, int id, void *value);
typedef int (*read_memory)(void *uc, uint64_t address, void *bytes, uint64_t size);
typedef void (*decode)(uint32_t address, uint32_t size, block *out);

typedef struct {
    uint32_t flash_start, flash_bytes, line_bytes, data_bytes, instruction_bytes, functions;
    double data_miss, instruction_miss;
    int32_t register_id[REGISTERS];
    read_register read_register;
    read_memory read_memory;
    decode decode;
} settings;

typedef struct {
    settings is;
    cache data, code;
    block *table[TABLE];
    block *last;
    double clock;
    counters now;
    int32_t depth, open_roots, any_root;
    frame stack[DEPTH];
    counters *inclusive, *exclusive;
    uint64_t *calls;
    int32_t *open;
    uint8_t *is_root;
} tracer;

static int start_cache(cache *c, uint32_t lines, uint32_t flash_lines) {
    c->lines = (int32_t)lines;
    c->slot_of = malloc(sizeof(int32_t) * flash_lines);
    c->line_of = malloc(sizeof(int32_t) * (lines + 1u));
    c->newer = malloc(sizeof(int32_t) * (lines + 1u));
    c->older = malloc(sizeof(int32_t) * (lines + 1u));
    return c->slot_of && c->line_of && c->newer && c->older;
}

static void empty_cache(cache *c, uint32_t flash_lines) {
    memset(c->slot_of, 0xFF, sizeof(int32_t) * flash_lines);
    c->newest = c->oldest = -1;
    c->used = 0;
}

static void stop_cache(cache *c) {
    free(c->slot_of), free(c->line_of), free(c->newer), free(c->older);
}

static void unlink_slot(cache *c, int32_t slot) {
    const int32_t newer = c->newer[slot], older = c->older[slot];
    if (newer >= 0) c->older[newer] = older;
    else c->newest = older;
    if (older >= 0) c->newer[older] = newer;
    else c->oldest = newer;
}

/* Touch a line; return 1 if it was not there. The least recently used one makes room. */
static int misses(cache *c, uint32_t line) {
    int32_t slot = c->slot_of[line];
    const int missed = slot < 0;
    if (c->lines == 0) return 1;
    if (!missed && slot == c->newest) return 0;
    if (!missed) {
        unlink_slot(c, slot);
    } else if (c->used < c->lines) {
        slot = c->used++;
    } else {
        slot = c->oldest;
        unlink_slot(c, slot);
        c->slot_of[c->line_of[slot]] = -1;
    }
    c->slot_of[line] = slot;
    c->line_of[slot] = (int32_t)line;
    c->older[slot] = c->newest;
    c->newer[slot] = -1;
    if (c->newest >= 0) c->newer[c->newest] = slot;
    c->newest = slot;
    if (c->oldest < 0) c->oldest = slot;
    return missed;
}

static uint32_t count_misses(const tracer *t, cache *c, uint32_t address, uint32_t bytes) {
    const uint32_t first = address - t->is.flash_start;
    uint32_t found = 0;
    if (first >= t->is.flash_bytes || bytes == 0) return 0;
    uint32_t last = first + bytes - 1;
    if (last >= t->is.flash_bytes) last = t->is.flash_bytes - 1;
    for (uint32_t line = first / t->is.line_bytes; line <= last / t->is.line_bytes; line++) found += (uint32_t)misses(c, line);
    return found;
}

static uint32_t follow_loads(tracer *t, void *uc, const block *b) {
    uint32_t value[REGISTERS + SLOTS] = {0};
    uint32_t found = 0;
    for (uint32_t i = 0; i < REGISTERS; i++)
        if (b->registers >> i & 1u) t->is.read_register(uc, t->is.register_id[i], &value[i]);
    for (uint32_t i = 0; i < b->slots; i++) t->is.read_memory(uc, value[13] + b->slot_offset[i], &value[REGISTERS + i], 4);
    for (uint32_t i = 0; i < b->loads; i++) {
        const load *l = &b->load[i];
        uint32_t address = l->offset;
        if (l->base >= 0) address += value[l->base];
        if (l->index >= 0) address += value[l->index] << l->shift;
        found += count_misses(t, &t->data, address, l->bytes);
    }
    return found;
}

static counters minus(const counters *a, const counters *b) {
    const counters c = {a->base - b->base, a->data_waits - b->data_waits, a->instruction_waits - b->instruction_waits,
                        a->instructions - b->instructions, a->loads - b->loads, a->unknown - b->unknown};
    return c;
}

static void add(counters *to, const counters *c) {
    to->base += c->base, to->data_waits += c->data_waits, to->instruction_waits += c->instruction_waits;
    to->instructions += c->instructions, to->loads += c->loads, to->unknown += c->unknown;
}

static int is_counting(const tracer *t) { return !t->any_root || t->open_roots > 0; }

/* Cycles of one block, or of the branch behind it, go to the clock, and to the sums while a root function runs. */
static void spend(tracer *t, int32_t function, const counters *c) {
    t->clock += c->base + c->data_waits + c->instruction_waits;
    if (!is_counting(t)) return;
    add(&t->now, c);
    if (function >= 0) add(&t->exclusive[function], c);
}

static void enter(tracer *t, int32_t function, uint32_t returns_to) {
    if (t->depth == DEPTH || function < 0) return;
    frame *f = &t->stack[t->depth++];
    f->function = function, f->returns_to = returns_to, f->start = t->now;
    t->open[function]++;
    t->open_roots += t->is_root[function];
    if (is_counting(t)) t->calls[function]++;
}

static void leave(tracer *t) {
    const frame *f = &t->stack[--t->depth];
    if (--t->open[f->function] == 0) { /* the outermost call of a function counts for all */
        const counters spent = minus(&t->now, &f->start);
        add(&t->inclusive[f->function], &spent);
    }
    t->open_roots -= t->is_root[f->function];
}

static void follow_call(tracer *t, const block *from, const block *to) {
    const uint32_t behind = from->address + from->size;
    if (from->transfer == CALL && to->address != behind) {
        enter(t, to->function, behind);
    } else if (from->transfer == RETURN && t->depth > 0 && t->stack[t->depth - 1].returns_to == to->address) {
        while (t->depth > 0 && t->stack[t->depth - 1].returns_to == to->address) leave(t); /* several after tail calls */
    } else if (from->transfer == JUMP && to->is_function_start && to->function != from->function && t->depth > 0) {
        enter(t, to->function, t->stack[t->depth - 1].returns_to);
    }
}

static block *find(tracer *t, uint32_t address, uint32_t size) {
    uint32_t at = (address >> 1) * 2654435761u >> 16;
    while (t->table[at] != NULL && (t->table[at]->address != address || t->table[at]->size != size)) at = (at + 1) % TABLE;
    if (t->table[at] == NULL) {
        block *fresh = calloc(1, sizeof *fresh);
        if (fresh == NULL) abort();
        fresh->address = address, fresh->size = size;
        t->is.decode(address, size, fresh);
        t->table[at] = fresh;
    }
    return t->table[at];
}

EXPORT void tracer_block(void *uc, uint64_t address, uint32_t size, void *user) {
    tracer *t = user;
    block *b = find(t, (uint32_t)address, size);
    block *last = t->last;
    if (last == NULL) {
        if (b->is_function_start) enter(t, b->function, NOWHERE);
    } else {
        const int taken = last->transfer != NONE && b->address != last->address + last->size;
        const counters branch = {.base = (taken ? last->taken_cost + b->entry_cost : 0.0)};
        spend(t, last->function, &branch);
        follow_call(t, last, b);
    }
    const counters spent = {
        .base = b->cost,
        .data_waits = b->loads ? t->is.data_miss * follow_loads(t, uc, b) : 0.0,
        .instruction_waits = t->is.instruction_miss * count_misses(t, &t->code, b->address, b->size),
        .instructions = b->instructions,
        .loads = b->loads_executed,
        .unknown = b->loads_unknown,
    };
    spend(t, b->function, &spent);
    t->last = b;
}

static uint32_t flash_lines(const tracer *t) { return t->is.flash_bytes / t->is.line_bytes + 1; }

/* Forget all that was counted and all that was cached; the calls that are open stay open. */
EXPORT void tracer_clear(tracer *t, const uint8_t *is_root) {
    const size_t n = t->is.functions;
    static const counters zero;
    empty_cache(&t->data, flash_lines(t));
    empty_cache(&t->code, flash_lines(t));
    t->last = NULL, t->now = zero, t->clock = 0, t->any_root = 0, t->open_roots = 0;
    for (size_t i = 0; i < n; i++) {
        t->inclusive[i] = t->exclusive[i] = zero, t->calls[i] = 0;
        t->is_root[i] = is_root[i];
        t->any_root |= is_root[i];
        t->open_roots += t->open[i] * is_root[i];
    }
    for (int32_t i = 0; i < t->depth; i++) t->stack[i].start = zero;
}

/* Drop the calls that are open: what runs next starts from nowhere. */
EXPORT void tracer_forget_calls(tracer *t) {
    t->depth = t->open_roots = 0;
    for (size_t i = 0; i < t->is.functions; i++) t->open[i] = 0;
}

EXPORT void tracer_free(tracer *t) {
    if (t == NULL) return;
    for (uint32_t i = 0; i < TABLE; i++) free(t->table[i]);
    stop_cache(&t->data), stop_cache(&t->code);
    free(t->inclusive), free(t->exclusive), free(t->calls), free(t->open), free(t->is_root), free(t);
}

EXPORT tracer *tracer_new(const settings *is) {
    tracer *t = calloc(1, sizeof *t);
    const size_t n = is->functions + 1u;
    if (t == NULL) return NULL;
    t->is = *is;
    t->inclusive = calloc(n, sizeof(counters)), t->exclusive = calloc(n, sizeof(counters));
    t->calls = calloc(n, sizeof(uint64_t)), t->open = calloc(n, sizeof(int32_t)), t->is_root = calloc(n, 1);
    const int caches = start_cache(&t->data, is->data_bytes / is->line_bytes, flash_lines(t)) &
                       start_cache(&t->code, is->instruction_bytes / is->line_bytes, flash_lines(t));
    if (!caches || !t->inclusive || !t->exclusive || !t->calls || !t->open || !t->is_root) {
        tracer_free(t);
        return NULL;
    }
    tracer_clear(t, t->is_root);
    return t;
}

EXPORT double tracer_clock(const tracer *t) { return t->clock; }

EXPORT void tracer_totals(const tracer *t, counters *out) { *out = t->now; }

/* What function i took; calls that are still open count up to now. */
EXPORT uint64_t tracer_function(const tracer *t, uint32_t i, counters *inclusive, counters *exclusive) {
    *inclusive = t->inclusive[i], *exclusive = t->exclusive[i];
    for (int32_t k = 0; k < t->depth; k++) {
        if (t->stack[k].function != (int32_t)i) continue;
        const counters spent = minus(&t->now, &t->stack[k].start);
        add(inclusive, &spent);
        break;
    }
    return t->calls[i];
}
