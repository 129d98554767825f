/* Revisions of records, and the trash. */
#include "records.h"

#include "record_kept.h"

void revisions_list(void *request)
{
	records_run(request, record_revisions, false, NULL);
}

void revisions_revert(void *request)
{
	records_run(request, record_revert, true, NULL);
}

void trash_list(void *request)
{
	records_run(request, record_trash, false, NULL);
}

void trash_restore(void *request)
{
	records_run(request, record_restore, false, NULL);
}

void trash_purge(void *request)
{
	records_run(request, record_purge, false, NULL);
}
