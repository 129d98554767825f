/*
 * record_kept.h - revisions and the trash: what a collection keeps of its records, for superusers
 *
 * A collection's options say how many revisions of each record it keeps, and whether what is
 * deleted goes to the trash. A revision is the record as it was before a change. What is in the
 * trash is gone for everybody and everything but these calls: its row is in no table of records, so
 * its id and its unique values are free, and what pointed at it was taken care of as for any
 * delete.
 *
 * Each is a call like those of record.h; 403 unless the viewer is a superuser.
 *
 *   record_revisions      GET   .../records/{id}/revisions
 *   record_revert         POST  .../records/{id}/revert {"revision": n}: an update
 *   record_trash          GET   .../records/trash
 *   record_restore        POST  .../records/trash/{id}/restore: 400 when a value is taken by now
 *   record_purge          DELETE .../records/trash/{id}, or without an id all of it
 *
 * Threads: start a call on its loop; done comes on that loop. Memory: as of any call in record.h.
 */
#ifndef RECORD_KEPT_H
#define RECORD_KEPT_H

#include "record.h"

#define RECORD_REVISIONS_MAX 100 /* that a collection may keep of each record */

void record_revisions(struct record_call *call);
void record_revert(struct record_call *call);
void record_trash(struct record_call *call);
void record_restore(struct record_call *call);
void record_purge(struct record_call *call);

#endif
