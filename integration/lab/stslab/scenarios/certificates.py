# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""TLS that ends with the attacker: encrypted, to the wrong one."""

from ..middle import Manner
from ..world import HELD, STOLEN
from . import Scenario


def _with(name, title, kind, story, lesson, result, **options):
    return Scenario(name, title, story, lesson, STOLEN, HELD, manner=Manner(certificate=kind),
                    result=result, **options)


SCENARIOS = (
    _with("self-signed", "Attacker with a self-signed certificate", "self-signed",
          "The attacker offers TLS himself, with a certificate that he made a minute ago. The "
          "line to him is encrypted, and he reads everything at its end.",
          "Encryption to whoever answers is no protection from whoever answers. A chain to a "
          "trusted CA is what a policy demands.",
          "certificate-not-trusted", senders=("exim", "sendmail")),
    _with("expired", "Attacker with an expired certificate", "expired",
          "The attacker has found the key of an old certificate for the right name, from a CA "
          "that is trusted. It expired long ago.",
          "Certificates expire so that lost keys lose their worth.", "certificate-expired"),
    _with("wrong-name", "Attacker with a certificate for another name", "wrong-name",
          "The attacker shows a perfectly good certificate, for a host of his own.",
          "Anybody can have a certificate for some name. It has to be the name of the MX host.",
          "certificate-host-mismatch"),
    _with("rogue-ca", "Attacker with a CA of his own", "rogue",
          "The attacker shows a certificate with the right name, from a CA that he runs himself.",
          "The right name is worth what the CA is worth that vouches for it.",
          "certificate-not-trusted"),
    _with("tlsa-mismatch", "Attacker against DANE", "self-signed",
          "The domain publishes no MTA-STS policy but TLSA records in its signed zone. The "
          "attacker ends TLS with a certificate of his own. The MTA by itself asks a resolver that "
          "does not validate, so DANE is nothing to it.",
          "stsgate validates DNSSEC itself and compares the certificate with the TLSA record. "
          "No CA is needed, and none can be fooled.",
          "validation-failure", policy=None, dane=True),
)
