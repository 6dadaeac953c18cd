/* SPDX-License-Identifier: Apache-2.0 */
/* The model behind a wire: answers HELLO and RUN frames, for ever. docs/reference/protocol.md is the contract. */
#include <stddef.h>
#include <stdint.h>

#include "cycles.h"
#include "port.h"
#include "puce_model.h"

enum { PROTOCOL = 1 };
enum { SYNC_1 = 0xA5, SYNC_2 = 0x5A };
enum { HELLO = 'H', HELLO_REPLY = 'h', RUN = 'R', RUN_REPLY = 'r', ERROR_REPLY = 'e' };
enum { BAD_CRC = 1, BAD_LENGTH = 2, BAD_TYPE = 3, BAD_KIND = 4 };

typedef struct {
    uint8_t type;
    uint8_t kind;
    uint8_t length[4];
} header;

/* CRC-32 of IEEE 802.3 (reflected 0x04C11DB7), four bits a step: 64 bytes of table. */
static uint32_t crc_add(uint32_t crc, const void *data, uint32_t n) {
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    const uint8_t *next = data;
    while (n-- > 0) {
        crc ^= *next++;
        crc = table[crc & 15u] ^ (crc >> 4);
        crc = table[crc & 15u] ^ (crc >> 4);
    }
    return crc;
}

static void put32(uint8_t *to, uint32_t value) {
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get32(const uint8_t *from) {
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static uint32_t reply_crc;

static void send(const void *data, uint32_t n) {
    reply_crc = crc_add(reply_crc, data, n);
    port_write(data, n);
}

static void send_header(uint8_t type, uint32_t length) {
    static const uint8_t sync[2] = {SYNC_1, SYNC_2};
    header head = {.type = type, .kind = 0};
    put32(head.length, length);
    port_write(sync, sizeof sync);
    reply_crc = 0xFFFFFFFFu;
    send(&head, sizeof head);
}

static void send_crc(void) {
    uint8_t crc[4];
    put32(crc, ~reply_crc);
    port_write(crc, sizeof crc);
}

static void send_error(uint8_t code) {
    send_header(ERROR_REPLY, 1);
    send(&code, 1);
    send_crc();
}

static void send_hello(void) {
    static const char names[] = PUCE_VERSION "\0" PUCE_MODEL_NAME; /* two strings, each with its NUL */
    uint8_t facts[20] = {PROTOCOL, PUCE_MODEL_INPUT_TYPE, PUCE_MODEL_OUTPUT_TYPE, PUCE_MODEL_FED_BY_ROWS};
    put32(facts + 4, PUCE_MODEL_FINGERPRINT);
    put32(facts + 8, PUCE_MODEL_INPUT_BYTES);
    put32(facts + 12, PUCE_MODEL_OUTPUT_BYTES);
    put32(facts + 16, PUCE_CLOCK_HZ);
    send_header(HELLO_REPLY, sizeof facts + sizeof names);
    send(facts, sizeof facts);
    send(names, sizeof names);
    send_crc();
}

static void send_outputs(const void *outputs, uint32_t cycles) {
    uint8_t count[4];
    put32(count, cycles);
    send_header(RUN_REPLY, sizeof count + PUCE_MODEL_OUTPUT_BYTES);
    send(count, sizeof count);
    send(outputs, PUCE_MODEL_OUTPUT_BYTES);
    send_crc();
}

static int is_byte(uint8_t type) { return type == 'b' || type == 'B'; }

static int kind_is_known(uint8_t kind) {
    return kind == PUCE_MODEL_INPUT_TYPE || (is_byte(kind) && is_byte(PUCE_MODEL_INPUT_TYPE));
}

/* int8 and uint8 pictures differ by 128, which is the top bit: q = u - 128. */
static void shift_by_128(void *bytes, uint32_t n) {
    uint8_t *next = bytes;
    for (; n > 0; n--) *next++ ^= 0x80u;
}

static uint32_t read_into(void *to, uint32_t n, uint32_t crc, uint8_t kind) {
    port_read(to, n);
    crc = crc_add(crc, to, n);
    if (kind != PUCE_MODEL_INPUT_TYPE) shift_by_128(to, n);
    return crc;
}

static int crc_is_right(uint32_t crc) {
    uint8_t sent[4];
    port_read(sent, sizeof sent);
    return get32(sent) == ~crc;
}

#if PUCE_MODEL_FED_BY_ROWS

/* The picture is never whole: a wrong CRC is found when the model has already seen the rows, and its outputs are dropped. */
static void run(uint8_t kind, uint32_t crc) {
    static uint8_t row[PUCE_MODEL_ROW_BYTES] __attribute__((aligned(4)));
    const void *outputs = NULL;
    uint32_t cycles = 0;
    puce_model_begin();
    for (uint32_t i = 0; i < PUCE_MODEL_ROWS; i++) {
        crc = read_into(row, sizeof row, crc, kind);
        const uint32_t before = cycles_now();
        outputs = puce_model_feed_row(row);
        cycles += cycles_now() - before;
    }
    if (crc_is_right(crc)) send_outputs(outputs, cycles);
    else send_error(BAD_CRC);
}

#else

static void run(uint8_t kind, uint32_t crc) {
    crc = read_into(puce_model_input(), PUCE_MODEL_INPUT_BYTES, crc, kind);
    if (!crc_is_right(crc)) {
        send_error(BAD_CRC);
        return;
    }
    const uint32_t before = cycles_now();
    const void *outputs = puce_model_run();
    const uint32_t after = cycles_now();
    send_outputs(outputs, after - before);
}

#endif

static void wait_for_sync(void) {
    uint8_t last = 0, next = 0;
    do {
        last = next;
        port_read(&next, 1);
    } while (last != SYNC_1 || next != SYNC_2);
}

/* After any error the receiver looks for the next sync: a lost byte costs one frame. */
static void answer(void) {
    header head;
    wait_for_sync();
    port_read(&head, sizeof head);
    const uint32_t crc = crc_add(0xFFFFFFFFu, &head, sizeof head);
    const uint32_t length = get32(head.length);
    if (head.type == HELLO) {
        if (length != 0) send_error(BAD_LENGTH);
        else if (!crc_is_right(crc)) send_error(BAD_CRC);
        else send_hello();
    } else if (head.type == RUN) {
        if (length != PUCE_MODEL_INPUT_BYTES) send_error(BAD_LENGTH);
        else if (!kind_is_known(head.kind)) send_error(BAD_KIND);
        else run(head.kind, crc);
    } else {
        send_error(BAD_TYPE);
    }
}

int main(void) {
    port_start();
    cycles_start();
    for (;;) answer();
}
