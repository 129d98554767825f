#include "api_house.h"

#include "limits.h"

#include <stdlib.h>

int api_house_on_open(struct store_conn *conn, void *context, struct err *err)
{
	struct api_house_boot *boot = context;

	if (record_on_open(conn, &boot->record, err) < 0)
		return -1;
	return settings_book_open(conn, &boot->config, &boot->settings, err);
}

void api_house_boot_fini(struct api_house_boot *boot)
{
	record_boot_fini(&boot->record);
	settings_book_free(boot->settings);
	boot->settings = NULL;
}

int api_house_new(const struct record_config *record, struct store *store,
	struct api_house_boot *boot, struct api_house **ret, struct err *err)
{
	DEFER(api_house_free) struct api_house *house = calloc(1, sizeof *house);
	struct record_config config = *record;

	if (!house)
		return ERR_SET(err, ERR_NOMEM, "no memory for a tenant");
	config.store = store;
	config.boot = &boot->record;
	if (record_book_new(&config, &house->book, err) < 0)
		return -1;
	house->settings = boot->settings;
	boot->settings = NULL; /* handed over */
	settings_book_attach(house->settings, store, limits_on_settings, house);
	*ret = house;
	house = NULL; /* handed over */
	return 0;
}

void api_house_free(struct api_house *house)
{
	if (!house)
		return;
	record_book_free(house->book);
	settings_book_free(house->settings);
	free(house);
}
