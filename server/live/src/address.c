/* How many clients each address has. */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

struct address {
	struct live_node node;
	unsigned n_clients;
	char text[48];
};

static bool is_address(const struct live_node *node, const void *key)
{
	return bytes_eq_string(*(const struct bytes *)key, ((const struct address *)node)->text);
}

static struct address *find(struct live *live, struct bytes text)
{
	return (struct address *)live_table_find(
		&live->addresses, live_hash(text), is_address, &text);
}

bool address_take(struct live *live, struct bytes text)
{
	struct address *address = find(live, text);

	if (address) {
		if (address->n_clients >= live->config.clients_per_address)
			return false;
		address->n_clients++;
		return true;
	}
	address = calloc(1, sizeof *address);
	if (!address)
		return false;
	(void)bytes_to_string(text, address->text, sizeof address->text);
	address->n_clients = 1;
	if (live_table_add(&live->addresses, &address->node, live_hash(text)))
		return true;
	free(address);
	return false;
}

void address_give(struct live *live, struct bytes text)
{
	struct address *address = find(live, text);

	if (!address || --address->n_clients > 0)
		return;
	live_table_remove(&live->addresses, &address->node);
	free(address);
}

void address_fini(struct live *live)
{
	struct live_node *node;

	while ((node = live_table_any(&live->addresses))) {
		live_table_remove(&live->addresses, node);
		free(node);
	}
	live_table_fini(&live->addresses);
}
