/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <zlib.h>

#include "cmd/libraries.h"

void
libraries_net(FILE *out)
{
	fprintf(out, "%s\n", OpenSSL_version(OPENSSL_VERSION));
	fprintf(out, "libcurl %s\n", curl_version_info(CURLVERSION_NOW)->version);
	fprintf(out, "zlib %s\n", zlibVersion());
}
