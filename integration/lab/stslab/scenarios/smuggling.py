# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""SMTP smuggling: a second message hidden in the first.

Current Exim mends bare CR on its way in, so that it is no vulnerable sender.
Debian's Sendmail passes it on as it came, and some receiving gateways take it
for the end of a line: there the theft is of the sender's good name.
"""

from .. import lax
from ..world import FORGED, HARMLESS, HOSTNAME
from . import Scenario


def _two_in_one(place, secret):
    """The end of the data, as a server sees it to which a bare CR is the end of a line."""
    inner = (f"MAIL FROM:<director@{HOSTNAME}>", f"RCPT TO:<{place.recipient()}>", "DATA",
             f"From: The Director <director@{HOSTNAME}>", f"To: {place.recipient()}",
             "Subject: Urgent", "", f"Pay 90000 to the account that ends in {secret}, today.")
    return (f"From: An Intern <intern@{HOSTNAME}>\nTo: {place.recipient()}\nSubject: Lunch?\n\n"
            f"See you at noon, room {secret}.\r.\r" + "\r".join(inner) + "\n").encode()


SCENARIOS = (
    Scenario(
        "smuggle", "SMTP smuggling",
        "Somebody who may send through your MTA hides the end of the data in his message, as "
        "CR . CR, and behind it a second message from the director. Sendmail passes it on as it "
        "is (Exim mends it), and a gateway that takes bare CR for the end of a line sees two "
        "messages.",
        "The second message comes from your own server, over TLS, and passes SPF. stsgate "
        "sends a bare CR to nobody: what was hidden stays text in the first message.",
        FORGED, HARMLESS, behind=lax.LaxHost, content=_two_in_one, senders=("sendmail",)),
)
