/* SPDX-License-Identifier: Apache-2.0 */
/* All that the protocol asks of a board: bytes in, bytes out. One .c file a transport. */
#ifndef PUCE_PORT_H
#define PUCE_PORT_H
#include <stdint.h>

void port_start(void);
void port_read(void *to, uint32_t n);         /* waits until n bytes are there */
void port_write(const void *from, uint32_t n);

#endif
