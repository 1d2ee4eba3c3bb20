/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The values of the configuration that a plan depends on.
 */
#ifndef BASE_CONF_CONF_RULES_H
#define BASE_CONF_CONF_RULES_H

#include <stddef.h>

struct conf_strings {
	char **at;
	size_t count;
};

enum conf_enforce { ENFORCE_ON, ENFORCE_AUDIT, ENFORCE_OFF };
enum conf_tls { TLS_POLICY, TLS_MAY, TLS_ENCRYPT, TLS_VERIFY, TLS_DANE, TLS_AUDIT, TLS_NONE };
/* As in stsgate.conf: "policy", "may" and so on. */
const char *conf_tls_name(enum conf_tls tls);
enum conf_tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };

#endif
