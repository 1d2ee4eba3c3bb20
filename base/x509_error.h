/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The names of OpenSSL's errors of verification. Pure.
 */
#ifndef BASE_X509_ERROR_H
#define BASE_X509_ERROR_H

/* "X509_V_ERR_CERT_HAS_EXPIRED" for 10; "X509_V_ERR_UNSPECIFIED" for what is not known. */
const char *x509_error_name(int x509_error);
/* The same in words: "certificate has expired". */
const char *x509_error_text(int x509_error);

#endif
