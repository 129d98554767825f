/*
 * config_value.h - from text to the number of a row, and back (private to config)
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config.h"

/* Parses text as a number of type CONFIG_INTEGER, CONFIG_BYTES or CONFIG_DURATION. False when it is
 * none, or passes an int64. */
bool config_value_parse(enum config_type type, struct bytes text, int64_t *ret);

/* Appends a number of such a type in its largest unit without a fraction: "64 MiB", "2 s". */
void config_value_format(enum config_type type, int64_t number, struct bytes_buf *out);

#endif
