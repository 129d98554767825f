/*
 * group.h - what the steps of a write say to the group that they are part of
 */
#ifndef RECORD_SRC_GROUP_H
#define RECORD_SRC_GROUP_H

#include "record_group.h"
#include "work.h"

/* The work's checks and hooks are through: only its job is left. */
void group_item_ready(struct record_group *group);
/* The schema changed: all items begin again, those that are ready too. */
void group_begin_again(struct record_group *group);
/* Whether an earlier item of the group writes to the row of this work. */
bool group_wrote_before(const struct record_work *work);

#endif
