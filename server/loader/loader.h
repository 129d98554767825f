/*
 * loader.h - bring one plugin into this process, and trust nothing that it says
 *
 * dlopen() runs the plugin's constructors, so this belongs inside the finished sandbox and nowhere
 * else. What the plugin exports is looked at once: one data symbol, inside of its own mapping, of
 * our major and at least the frozen size, with terminated strings. These checks make good error
 * messages; they are no boundary, since the plugin's code has already run.
 *
 * Nothing is ever unloaded: one plugin per process, one load per process.
 *
 * Threads: the worker's only thread. Memory: what the result points to lives as long as the
 * process.
 */
#ifndef LOADER_H
#define LOADER_H

#include <tenon/plugin.h>

#include "bytes.h"
#include "err.h"

struct loader_plugin {
	struct tenon_plugin plugin; /* a copy; what a shorter, older one lacks is zero */
	struct bytes manifest;      /* the note "Tenon", type 1; empty when there is none */
};

/* Loads the file at path. Returns 0, or -1: ERR_INVALID with a sentence for the plugin's author. */
int loader_open(const char *path, struct loader_plugin *ret, struct err *err);

#endif
