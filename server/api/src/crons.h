/*
 * crons.h - what is done for each tenant by the clock: old answers and old keys are forgotten
 *
 * Lane 0 looks once an hour at the tenants whose databases are open; one that nobody uses has
 * nothing new to forget. A superuser may run a job at any time (/api/crons).
 */
#ifndef API_CRONS_H
#define API_CRONS_H

#include "internal.h"

/* Starts the clock on lane 0, before the loops run. */
void crons_start(struct api *api);

#endif
