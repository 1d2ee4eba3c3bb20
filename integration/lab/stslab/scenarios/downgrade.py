# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""TLS is taken away: what opportunistic TLS has nothing to say against."""

from ..middle import Manner
from ..world import HELD, STOLEN
from . import Scenario

BOTH = ("exim", "sendmail")

SCENARIOS = (
    Scenario(
        "strip-starttls", "STARTTLS stripped from EHLO",
        "An attacker on the way removes one line from the server's answer to EHLO: STARTTLS. "
        "The sender believes that the server knows no TLS, and sends in the clear.",
        "Opportunistic TLS takes what is offered, and who sits on the wire decides what is. "
        "The policy says that this domain always offers TLS.",
        STOLEN, HELD, manner=Manner(strip=True), result="starttls-not-supported", senders=BOTH),
    Scenario(
        "refuse-starttls", "STARTTLS answered with an error",
        "STARTTLS is offered, but the attacker answers the command with an error, as if the "
        "server were in trouble with its TLS. The sender goes on without.",
        "An error that is easy to forge must not be a reason to give up encryption.",
        STOLEN, HELD, manner=Manner(starttls="454 4.7.0 TLS not available due to local problem"),
        result="starttls-not-supported"),
    Scenario(
        "break-handshake", "TLS handshake broken",
        "The attacker answers the sender's ClientHello with garbage. The handshake fails, and "
        "the sender comes again without TLS.",
        "A handshake that fails is an alarm, not a compatibility problem, where a policy "
        "promises TLS.",
        STOLEN, HELD, manner=Manner(handshake=b"this is not TLS\r\n"),
        result="validation-failure"),
    Scenario(
        "inject-plaintext", "Plaintext injected after STARTTLS",
        "Behind the server's 220 to STARTTLS the attacker puts a line of his own, in the same "
        "packet, for a client that reads it as if it had come through TLS.",
        "Exim 4.96 no longer believes the line. But its handshake is spoilt, and it comes again "
        "in the clear: the injection has become a downgrade.",
        STOLEN, HELD, manner=Manner(inject=b"250 2.0.0 Ready, no need for TLS\r\n"),
        result="validation-failure"),
    Scenario(
        "block-policy", "Policy host blocked, policy cached",
        "STARTTLS is stripped, and the attacker also cuts every connection to the HTTPS host "
        "with the policy, hoping that without a policy there is nothing to enforce.",
        "A policy once fetched is kept on disk until its max_age ends, whatever becomes of its "
        "host. The attacker would have had to be there before the first message.",
        STOLEN, HELD, primed=True, manner=Manner(strip=True),
        does=lambda place: place.block_policy_host(), result="starttls-not-supported"),
    Scenario(
        "hide-txt", "TXT record forged away",
        "STARTTLS is stripped, and the DNS answers that there is no _mta-sts record: the domain "
        "seems to have given up MTA-STS.",
        "A missing record is no reason to forget a policy (RFC 8461, 5.1). A domain that wants "
        "to end publishes mode none.",
        STOLEN, HELD, zone="plain", primed=True, manner=Manner(strip=True),
        does=lambda place: place.hide_txt(), result="starttls-not-supported"),
    Scenario(
        "forge-txt", "TXT record with a new id, HTTPS blocked",
        "STARTTLS is stripped, the DNS names a new policy id, and the new policy cannot be "
        "fetched: the old one seems to be over.",
        "A policy is replaced only by one that was fetched over verified HTTPS. Until then the "
        "old one is in force.",
        STOLEN, HELD, zone="plain", primed=True, manner=Manner(strip=True),
        does=lambda place: (place.forge_txt(), place.block_policy_host()),
        result="starttls-not-supported"),
)
