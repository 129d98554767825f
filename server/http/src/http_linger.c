/*
 * Closing a socket while bytes of the client lie unread in it resets the connection, and a reset
 * throws away what the client has not read yet: the refusal. So such a socket outlives the
 * library's connection as a copy, which says that nothing more will come, and reads and drops until
 * the client closes or LINGER_MS have passed.
 */
#include "http_lane.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGERERS_MOST 256 /* per lane; beyond it sockets are just closed */

struct lingerer {
	struct lane *lane;
	struct loop_watch watch;
	struct loop_timer timer;
	struct lingerer *next, **at; /* in lane->lingerers */
};

static void lingerer_end(struct lingerer *lingerer)
{
	loop_timer_stop(&lingerer->timer);
	loop_watch_remove(&lingerer->watch);
	close(lingerer->watch.fd);
	*lingerer->at = lingerer->next;
	if (lingerer->next)
		lingerer->next->at = lingerer->at;
	lingerer->lane->n_lingerers--;
	free(lingerer);
}

static void on_linger_timer(struct loop_timer *timer)
{
	lingerer_end((struct lingerer *)(void *)((char *)timer - offsetof(struct lingerer, timer)));
}

static void on_linger_ready(struct loop_watch *watch, uint32_t events)
{
	char dropped[4096];

	(void)events;
	/* Once: what is left makes the descriptor ready again. */
	ssize_t n = recv(watch->fd, dropped, sizeof dropped, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		lingerer_end((struct lingerer *)(void *)((char *)watch -
							 offsetof(struct lingerer, watch)));
}

void linger_start(struct connection *connection)
{
	struct lane *lane = connection->lane;
	struct lingerer *lingerer;
	int unread = 0, fd;

	if (!connection->was_refused &&
		(ioctl(connection->fd, FIONREAD, &unread) != 0 || unread == 0))
		return;
	if (lane->is_closing || lane->n_lingerers >= LINGERERS_MOST)
		return;
	fd = fcntl(connection->fd, F_DUPFD_CLOEXEC, 0);
	lingerer = fd >= 0 ? calloc(1, sizeof *lingerer) : NULL;
	if (!lingerer) {
		if (fd >= 0)
			close(fd);
		return;
	}
	shutdown(fd, SHUT_WR);
	lingerer->lane = lane;
	lingerer->watch = (struct loop_watch){ .fd = fd, .on_ready = on_linger_ready };
	lingerer->timer.on_fire = on_linger_timer;
	lingerer->next = lane->lingerers;
	lingerer->at = &lane->lingerers;
	if (lingerer->next)
		lingerer->next->at = &lingerer->next;
	lane->lingerers = lingerer;
	lane->n_lingerers++;
	if (loop_watch_add(lane->loop, &lingerer->watch, EPOLLIN, NULL) != 0 ||
		loop_timer_start(lane->loop, &lingerer->timer,
			loop_now_ns(lane->loop) + LINGER_MS * CLOCK_NS_PER_MS, NULL) != 0)
		lingerer_end(lingerer);
}

void linger_end_all(struct lane *lane)
{
	while (lane->lingerers)
		lingerer_end(lane->lingerers);
}
