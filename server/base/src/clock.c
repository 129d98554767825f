#include "clock.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

uint64_t clock_mono_ns(void)
{
	struct timespec now;
	int rc = clock_gettime(CLOCK_MONOTONIC, &now);

	assert(rc == 0);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

int64_t clock_wall_us(void)
{
	struct timespec now;
	int rc = clock_gettime(CLOCK_REALTIME, &now);

	assert(rc == 0);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void clock_format(int64_t wall_us, char out[static CLOCK_TEXT_BYTES])
{
	/* 0000-01-01 and the last microsecond of 9999, in microseconds from 1970. */
	const int64_t least = -62167219200000000, most = 253402300799999999;
	struct tm tm;

	if (wall_us < least)
		wall_us = least;
	if (wall_us > most)
		wall_us = most;
	int64_t rest_us = wall_us % 1000000;
	time_t seconds = (time_t)(wall_us / 1000000);
	if (rest_us < 0) {
		rest_us += 1000000;
		seconds--;
	}
	(void)gmtime_r(&seconds, &tm);
	/* Clamped above, so every part has its width; the modulos tell the compiler the same. */
	(void)snprintf(out, CLOCK_TEXT_BYTES, "%04u-%02u-%02u %02u:%02u:%02u.%03uZ",
		(unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)(tm.tm_mon + 1) % 100u,
		(unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
		(unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u,
		(unsigned)(rest_us / 1000) % 1000u);
}
