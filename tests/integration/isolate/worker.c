/*
 * worker.c - a stand-in for tenon-worker: enters the sandbox, then does one thing
 *
 * It lets the sandbox and the spawner be tested by themselves, and gives the canary the little of a
 * host that it needs.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "jail.h"
#include "sandbox.h"
#include <tenon/plugin.h>

static struct jail_segment *segment;

static int32_t respond(struct tenon_call *call, const struct tenon_response *response)
{
	(void)call;
	size_t n = response->body_n < sizeof segment->answer ? response->body_n
							     : sizeof segment->answer - 1;
	memcpy(segment->answer, response->body, n);
	return TENON_OK;
}

static const struct tenon_call_api call_api = {
	.size = sizeof call_api,
	.rev = 1,
	.respond = respond,
};

static const void *iface(struct tenon_host *host, const char *id, uint32_t min_rev)
{
	(void)host;
	(void)min_rev;
	return strcmp(id, TENON_CALL_ID) == 0 ? &call_api : NULL;
}

static void call_plugin(void)
{
	struct tenon_host host = { .size = sizeof host, .abi_major = 1, .iface = iface };
	struct tenon_config config = { .size = sizeof config };
	struct tenon_instance *instance = NULL;
	void *library = dlopen(SANDBOX_PLUGIN_PATH, RTLD_NOW | RTLD_LOCAL);
	const struct tenon_plugin *plugin = library ? dlsym(library, "tenon_plugin_v1") : NULL;

	if (!plugin) {
		(void)dprintf(2, "%s\n", dlerror());
		_exit(3);
	}
	if (plugin->create(&host, NULL, &config, &instance) || plugin->invoke(instance, NULL))
		_exit(4);
}

static void list_descriptors(void)
{
	struct stat status;
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		if (fstat(fd, &status) == 0)
			n += (size_t)snprintf(segment->answer + n, sizeof segment->answer - n,
				"%s%d", n ? " " : "", fd);
}

static void act(void)
{
	volatile char *nowhere = NULL;

	switch ((enum jail_act)segment->act) {
	case JAIL_WAIT:
		for (;;)
			(void)nanosleep(&(struct timespec){ .tv_sec = 3600 }, NULL);
	case JAIL_CALL:
		call_plugin();
		return;
	case JAIL_SYSCALL:
		(void)syscall(segment->number, 0, 0, 0, 0, 0, 0);
		return;
	case JAIL_INT80:
#ifdef __x86_64__
		__asm__ volatile("int $0x80" : : "a"(20) : "memory");
#endif
		return;
	case JAIL_LOOP:
		for (;;)
			__asm__ volatile("");
	case JAIL_HOG:
		for (size_t i = 0;; i++) {
			char *p = malloc(1 << 20);
			if (!p)
				_exit(5);
			memset(p, (int)i + 1, 1 << 20);
			__asm__ volatile("" : : "r"(p) : "memory"); /* it is used */
		}
	case JAIL_SEGV:
		*nowhere = 1;
		return;
	case JAIL_ABORT:
		abort();
	case JAIL_LIST:
		list_descriptors();
		return;
	}
}

int main(int argc, char **argv)
{
	struct sandbox_spec spec;
	struct err err = { 0 };

	if (argc != 2 || sandbox_spec_parse(argv[1], &spec, &err)) {
		(void)dprintf(2, "bad arguments: %s\n", err.message);
		return 2;
	}
	segment = mmap(NULL, JAIL_SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		SANDBOX_FD_SEGMENT, 0);
	if (segment == MAP_FAILED)
		return 2;
	(void)close(SANDBOX_FD_SEGMENT);
	sandbox_worker_enter(&spec);

	uint64_t one = 1;
	segment->ready_ns = clock_mono_ns();
	if (write(SANDBOX_FD_EVENT, &one, sizeof one) != sizeof one)
		return 2;
	act();
	_exit(0);
}
