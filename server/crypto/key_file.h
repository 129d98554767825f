/*
 * key_file.h - a secret that lives in a file of its own
 *
 * data/keys/ holds one file per secret: its bytes as hexadecimal digits and a line feed, mode 0600.
 * A file that others may read, that belongs to another user, or that is not a regular file is
 * refused: its content can no longer be called a secret.
 *
 * Threads: all functions from any thread; two processes may race to create one file, both read the
 * winner's. Memory: the caller's; buffers used on the way are wiped.
 */
#ifndef CRYPTO_KEY_FILE_H
#define CRYPTO_KEY_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define KEY_FILE_MAX 64 /* bytes of the longest secret */

/* Reads the secret of n bytes at path into out; when there is no such file, draws it from the
 * kernel's generator and creates the file, durable before this returns. The folder must exist.
 * Returns 0, or -1: ERR_IO, or ERR_INVALID for a file with a looser mode, a wrong owner or a wrong
 * content. */
int key_file_open(const char *path, size_t n, uint8_t *out, struct err *err);

#endif
