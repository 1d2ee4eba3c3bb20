/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A milter session's connection to stsgated's policy map: opened with the first question, kept, and
 * opened again when stsgated was restarted meanwhile. Belongs to one session, used by one thread at
 * a time.
 */
#ifndef INTEGRATION_MILTER_MILTER_LINK_H
#define INTEGRATION_MILTER_MILTER_LINK_H

#include <stdbool.h>

#include "base/deadline.h"
#include "base/stream.h"
#include "base/conf/conf.h"
#include "integration/milter/milter_verdict.h"

struct milter_link {
	struct stream *stream;	/* NULL: not connected */
};

/* Has the policy of domain gathered, and says what would become of a message to it. UNKNOWN says
 * why: stsgated is away, slow, or does not know. False when it is not even there, or silent until
 * the deadline: asking about the next recipient would only cost time. */
bool milter_link_ask(struct milter_link *link, const struct conf_listener *map, const char *domain,
    bool requiretls, struct deadline deadline, struct milter_verdict *verdict);
void milter_link_close(struct milter_link *link);

#endif
