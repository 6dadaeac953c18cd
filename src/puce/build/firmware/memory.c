/* SPDX-License-Identifier: Apache-2.0 */
/* The four functions that a C compiler may call without being asked, and their EABI names; compiled with -fno-builtin
   so that their loops do not become calls to themselves. */
#include <stddef.h>
#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) word;

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    uint8_t *d = to;
    const uint8_t *s = from;
    if ((((uintptr_t)d ^ (uintptr_t)s) & 3u) == 0) {
        for (; n > 0 && ((uintptr_t)d & 3u) != 0; n--) *d++ = *s++;
        for (; n >= 16; n -= 16, d += 16, s += 16) {
            const word *from4 = (const word *)(const void *)s;
            word *to4 = (word *)(void *)d;
            const uint32_t a = from4[0], b = from4[1], c = from4[2], e = from4[3];
            to4[0] = a, to4[1] = b, to4[2] = c, to4[3] = e;
        }
        for (; n >= 4; n -= 4, d += 4, s += 4) *(word *)(void *)d = *(const word *)(const void *)s;
    }
    for (; n > 0; n--) *d++ = *s++;
    return to;
}

void *memmove(void *to, const void *from, size_t n) {
    uint8_t *d = to;
    const uint8_t *s = from;
    if ((uintptr_t)d - (uintptr_t)s >= n) return memcpy(to, from, n); /* memcpy goes upwards: right when to < from */
    while (n > 0) n--, d[n] = s[n];
    return to;
}

static inline void fill(void *to, uint32_t value, size_t n) {
    uint8_t *d = to;
    const uint32_t four = (value & 0xFFu) * 0x01010101u;
    for (; n > 0 && ((uintptr_t)d & 3u) != 0; n--) *d++ = (uint8_t)value;
    for (; n >= 16; n -= 16, d += 16) {
        word *to4 = (word *)(void *)d;
        to4[0] = four, to4[1] = four, to4[2] = four, to4[3] = four;
    }
    for (; n >= 4; n -= 4, d += 4) *(word *)(void *)d = four;
    for (; n > 0; n--) *d++ = (uint8_t)value;
}

void *memset(void *to, int value, size_t n) {
    fill(to, (uint32_t)value, n);
    return to;
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *x = a, *y = b;
    for (; n > 0; n--, x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}

#define EABI(suffix)                                                                 \
    void __aeabi_memcpy##suffix(void *restrict to, const void *restrict from, size_t n); \
    void __aeabi_memcpy##suffix(void *restrict to, const void *restrict from, size_t n) { memcpy(to, from, n); } \
    void __aeabi_memmove##suffix(void *to, const void *from, size_t n);              \
    void __aeabi_memmove##suffix(void *to, const void *from, size_t n) { memmove(to, from, n); } \
    void __aeabi_memset##suffix(void *to, size_t n, int value);                      \
    void __aeabi_memset##suffix(void *to, size_t n, int value) { fill(to, (uint32_t)value, n); } \
    void __aeabi_memclr##suffix(void *to, size_t n);                                 \
    void __aeabi_memclr##suffix(void *to, size_t n) { fill(to, 0, n); }
EABI()
EABI(4)
EABI(8)
