/*
 * console.h - the web console's files, embedded in the binary, and the headers they are served with
 *
 * The build turns every file of web/dist into constant bytes, plain and gzip. Serving the console
 * is then a pure lookup: path in, bytes and headers out, no file system and nothing to configure.
 *
 *   /_/assets/NAME-HASH.EXT   the file, to be kept for ever; absent: not found, never the page
 *   /_/NAME                   the file, checked again on each use
 *   /_/ and any other path    index.html, never stored: the page finds its own way by the path
 *
 * A missing asset must not be answered with the page: after an upgrade an open tab asks for code of
 * the old build, and HTML in place of a script is a riddle where 404 is an answer.
 *
 * Threads: any; all data is constant. Memory: every view given out lives for ever.
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

#include "bytes.h"

struct console_header {
	struct bytes name, value;
};

struct console_asset {
	struct bytes body;
	struct bytes content_type;
	struct bytes cache_control;
	struct bytes etag; /* with its quotes; empty for the page, which is never stored */
	bool is_gzip;      /* send Content-Encoding: gzip */
};

enum console_find_result {
	CONSOLE_FOUND,
	CONSOLE_NOT_FOUND /* not below the console, or an asset that this build does not have */
};

/* Looks up the answer to GET path, where path is as it came, without its query. accepts_gzip says
 * whether the gzip form may be chosen; it is, wherever it is the shorter one. The answer depends on
 * Accept-Encoding, and console_headers() says so. On CONSOLE_NOT_FOUND *ret stays as it was; the
 * path "/_" is one of those, and is to be redirected to "/_/". */
enum console_find_result console_find(
	struct bytes path, bool accepts_gzip, struct console_asset *ret);

/* The headers that every answer below /_/ carries, found or not: the content security policy with
 * Trusted Types, and the other walls around the page. */
const struct console_header *console_headers(size_t *ret_n);

/* Names the embedded build: it changes when any byte of it does. An open page that is told another
 * id than its own knows that the server was upgraded. */
struct bytes console_build_id(void);

/* True when the value of an Accept-Encoding header, which may be empty, allows gzip. */
bool console_accepts_gzip(struct bytes accept_encoding);

/* True when the value of an If-None-Match header names this asset, so that 304 is the answer. */
bool console_is_unchanged(const struct console_asset *asset, struct bytes if_none_match);

#endif
