# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Forged DNS: mail is led to the attacker's own host."""

from ..world import HELD, STOLEN
from . import Scenario

SCENARIOS = (
    Scenario(
        "forge-mx", "Forged MX record",
        "The zone is not signed. The attacker forges the answer to the MX query: mail goes to "
        "mx.evil.example, a host with a valid certificate for its own name.",
        "The policy lists the MX hosts, and was fetched over HTTPS under the domain's own name: "
        "forged DNS cannot change it.",
        STOLEN, HELD, zone="plain", forges_mx=True,
        result="validation-failure", senders=("exim", "sendmail")),
    Scenario(
        "poison-answer", "Poisoned answer in a signed zone",
        "The zone is signed, but the resolver has been made to believe a forged MX record. The "
        "domain has neither MTA-STS nor DANE. The MTA by itself takes the resolver's word.",
        "stsgate checks the signatures itself. The forged answer has none: it is bogus, and "
        "nothing is delivered on it.",
        STOLEN, HELD, policy=None, forges_mx=True, result="dnssec-invalid"),
)
