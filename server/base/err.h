/*
 * err.h - what went wrong on our side, filled once where it happened
 *
 * A function's own outcomes (not found, denied, exceeded) are an enum of that function. What is
 * left is a fault: the function returns -1 and *err says what failed. A fault travels untouched to
 * the edge, where it becomes a log line and a 500 with the trace id; it never reaches a client as
 * text.
 *
 * Threads: none inside.
 * Memory:  the caller owns the struct, usually on its stack; {0} is "no fault".
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err_code {
	ERR_NONE,
	ERR_NOMEM,       /* an allocation failed */
	ERR_IO,          /* the operating system refused a call: os_errno says why */
	ERR_CORRUPT,     /* stored data is not what we wrote */
	ERR_LIMIT,       /* something reached a bound that was meant never to be reached */
	ERR_INVALID,     /* configuration, manifest or argument that only an operator can mend */
	ERR_UNAVAILABLE, /* a peer (worker, spawner, upstream) is not there */
	ERR_TIMEOUT,     /* a wait of ours passed its deadline */
	ERR_STATE        /* the object is not in a state in which this may be asked */
};

struct err {
	enum err_code code;
	int os_errno; /* errno at the place of the fault, 0 when there was none */
	int line;
	const char *file; /* static string */
	char message[232];
};

/* Fills *err (which may be NULL) and evaluates to -1: a fault reads return ERR_SET(err, ...). */
#define ERR_SET(err, code, ...) err_set((err), (code), __FILE__, __LINE__, __VA_ARGS__)

/* Use ERR_SET. Keeps errno as it was and copies it into *err for ERR_IO. Returns -1. */
int err_set(struct err *err, enum err_code code, const char *file, int line, const char *format,
	...) __attribute__((format(printf, 5, 6)));

/* The code as a lower-case word for logs, for example "corrupt". Never NULL. */
const char *err_name(enum err_code code);

#endif
