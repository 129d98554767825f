/*
 * demo_data.h - demo/shop.json, as the build embeds it
 */
#ifndef CLI_DEMO_DATA_H
#define CLI_DEMO_DATA_H

#include <stddef.h>

extern const unsigned char demo_data[];
extern const size_t demo_data_bytes;

#endif
