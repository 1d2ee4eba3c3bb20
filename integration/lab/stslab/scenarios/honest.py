# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Nobody means harm: the honest delivery, and the faults of administrators."""

from ..world import HELD, UNPROVEN, VERIFIED
from . import Scenario

FIRST = (
    Scenario(
        "honest", "The honest case",
        "Nobody interferes; somebody listens. Mail goes over TLS to the host that the policy "
        "lists, and that proves its name.",
        "Both arrive, and the listener sees noise. But the MTA by itself would have sent to "
        "anybody: it did not look at the certificate.",
        UNPROVEN, VERIFIED, kind="honest"),
)

FAULTS = (
    Scenario(
        "expired-in-testing", "Expired certificate, policy in testing",
        "The receiver forgot to renew his certificate. His policy is in mode testing: deliver, "
        "and tell me what would have failed.",
        "The mail arrives, and the report tells the receiver what he would have lost under "
        "enforce. Without stsgate nobody learns of it.",
        UNPROVEN, UNPROVEN, kind="honest", policy="testing",
        does=lambda place: place.let_certificate_expire(), result="certificate-expired"),
    Scenario(
        "mx-not-listed", "MX host missing from the policy",
        "The receiver moved to a new MX host and forgot to list it in his policy, which is in "
        "mode enforce.",
        "From outside this looks just like a forged MX record, so the message waits. The reply "
        "names host and policy, and the report tells the receiver on the same day.",
        UNPROVEN, HELD, kind="honest", does=lambda place: place.list_other_mx(),
        result="validation-failure"),
    Scenario(
        "policy-none", "Policy in none, expired certificate",
        "The receiver gives up MTA-STS in good order: his policy says mode none. His "
        "certificate has expired as well.",
        "none means: no policy. Mail flows as it would without stsgate, and neither is "
        "anything refused nor counted as a failure.",
        UNPROVEN, UNPROVEN, kind="honest", policy="none",
        does=lambda place: place.let_certificate_expire()),
)
