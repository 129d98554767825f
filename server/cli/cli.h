/*
 * cli.h - the one program's commands: tenon serve, tenon plugin deploy, ...
 *
 * A command talks to the running server of its data folder over the server's own API. When none
 * runs it assembles the core in its own process, without workers, on a loopback port that nobody
 * knows, and talks to that: so there is one way to do a thing, and the data folder's lock decides
 * who may.
 *
 * Threads: the main thread, once.
 * Memory:  the caller owns argv.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

/* Runs the command that argv names. Returns the exit status: 0 done, 1 refused or failed, 2 wrong
 * usage. */
int cli_main(int argc, char **argv);

#endif
