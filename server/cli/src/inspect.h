/*
 * inspect.h - run a program that stands beside our own and become its exit status
 */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

/* Finds name in the folder of the running program. Returns 0, or -1 when the path does not fit. */
int sibling_path(const char *name, char *out, unsigned cap);
/* Replaces this process by tenon-inspect FILE. Returns 1, having told stderr, when it cannot. */
int inspect_run(const char *file);
/* Replaces this process by tenon-verify with these arguments (NULL-terminated). As above. */
int verify_run(char *const *arguments);

#endif
