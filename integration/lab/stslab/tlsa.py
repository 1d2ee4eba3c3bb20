# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""TLSA records in presentation form, from the certificates that MX hosts show.

    tlsa.of(host, "3 1 1")              the host's own certificate or key
    tlsa.of(host, "2 0 1")              that of the authority that it sends with it
    tlsa.wrong("3 1 1")                 of the right length, and nobody's
"""

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import serialization

_DIGESTS = {1: hashlib.sha256, 2: hashlib.sha512}
_LENGTHS = {0: 91, 1: 32, 2: 64}


def _certificates(path):
    with open(path, "rb") as file:
        pem = file.read()
    begin = b"-----BEGIN CERTIFICATE-----"
    return [x509.load_pem_x509_certificate(begin + part) for part in pem.split(begin)[1:]]


def _selected(certificate, selector):
    if selector == 0:
        return certificate.public_bytes(serialization.Encoding.DER)
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def of(host, fields):
    """The record with these fields for what `host`, an mx.MxHost, shows now."""
    usage, selector, matching = (int(field) for field in fields.split())
    chain = _certificates(host.certificate().path)
    octets = _selected(chain[-1] if usage in (0, 2) else chain[0], selector)
    digest = _DIGESTS.get(matching)
    return f"{fields} {(digest(octets).digest() if digest else octets).hex()}"


def wrong(fields):
    """A record with these fields that no certificate matches."""
    return f"{fields} {'5a' * _LENGTHS.get(int(fields.split()[2]), 32)}"


def at(name, port=25):
    """Where the records of the host `name` lie."""
    return f"_{port}._tcp.{name}"
