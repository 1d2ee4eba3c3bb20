# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The short tour: one message arrives over verified TLS, one downgrade is refused, and the same
attack succeeds once the protection is switched off.

Run by ./quickstart inside a private network.  Every claim it prints is read
from the wire, from Exim or from stsgated's log, and it fails when one of them
does not hold.
"""

import sys
import textwrap
import time

from stslab import mx
from stslab.exim import Exim
from stslab.internet import Internet

WIDTH = 96
COLUMN = 20
LMTP_PORT = 2424
SECRET = b"Subject: Your statement\n\nThe secret number is 4711.\n"


def say(text):
    print(textwrap.fill(text, WIDTH))


def heading(number, text):
    print(f"\n{number}. {text}\n")


def show(label, text):
    """One fact, in a column."""
    wrapped = textwrap.wrap(text, WIDTH - COLUMN) or ["nothing"]
    print(f"   {label}".ljust(COLUMN) + wrapped[0])
    for line in wrapped[1:]:
        print(" " * COLUMN + line)


def require(holds, what):
    """A claim that must be true, or the tour ends here."""
    if not holds:
        print(f"\nquickstart: this did not happen: {what}", file=sys.stderr)
        sys.exit(1)


def wire(host):
    """What the host saw, as a line of commands; plaintext and TLS told apart."""
    shown = []
    for connection in host.connections:
        for line in connection.lines:
            shown.append(line.text.split(":")[0] + (" [TLS]" if line.tls else " [clear]"))
    return ", ".join(shown)


def log_line(daemon, recipient):
    """stsgated's own words on a recipient's fate."""
    lines = daemon.wait_log("delivery", to=recipient)
    require(lines, f"a log line of the delivery to {recipient}")
    return lines[-1]


def deliver_verified(exim, daemon, bank):
    recipient = "alice@" + bank.name
    message = exim.send(recipient, content=SECRET)
    arrived = bank.messages()
    require(len(arrived) == 1 and arrived[0].tls, "the message arrived over TLS")
    require(not exim.waiting(message), "Exim's queue is empty")
    line = log_line(daemon, recipient)
    require(line["tls"] == "verified" and line["status"] == "sent", "the certificate was verified")
    show("Exim's log", exim.mainlog(message)[-2])
    show("stsgated", f"policy={line['policy']} mode={line['mode']} policy-id={line['policy-id']} "
         f"mx={line['mx']} tls={line['tls']} proto={line['proto']} status={line['status']}")
    show("the MX host saw", wire(bank.host))
    show("result", "delivered, over TLS that proved the host's name")


def refuse_downgrade(exim, daemon, hotel):
    recipient = "bob@" + hotel.name
    message = exim.send(recipient, content=SECRET)
    require(not hotel.messages(), "the attacker got no message")
    require(all("MAIL" not in c.verbs and not c.content_octets for c in hotel.host.connections),
            "the attacker saw neither sender nor content")
    waiting = exim.waiting(message)
    require(waiting, "the message waits in Exim's queue")
    line = log_line(daemon, recipient)
    require(line["status"] == "deferred" and line["result"] == "starttls-not-supported",
            "the refusal was logged as starttls-not-supported")
    show("Exim's queue", f"{message} to {recipient}, kept and tried again later")
    show("stsgated", line["reply"])
    show("attacker saw", wire(hotel.host))
    show("result", "refused; neither sender nor content left this machine")


def steal_unprotected(exim, daemon, hotel):
    """The same message without the policy: else the refusal would prove nothing."""
    daemon.reconfigure({"sts": {"enforce": "off"}})
    daemon.restart()
    exim.run_queue()
    stolen = hotel.messages()
    require(len(stolen) == 1 and not stolen[0].tls and b"4711" in stolen[0].content,
            "without the policy the attacker reads the message")
    secret = next(line for line in stolen[0].content.decode().splitlines() if "4711" in line)
    show("attacker saw", wire(hotel.host))
    show("attacker read", secret)
    show("result", "stolen: this is what every delivery without MTA-STS risks")


def protected_domain(net, name, **options):
    """A domain that publishes an enforced policy for its only MX host."""
    return net.domain(name=name, policy="enforce", **options)


def tour(net):
    exim = Exim(net.directory / "exim", LMTP_PORT)
    bank = protected_domain(net, "bank.example")
    hotel = protected_domain(net, "hotel.example", behaviour=mx.Behaviour(offer_starttls=False))
    daemon = net.daemons.start({"lmtp": {"listen": [f"inet:127.0.0.1:{LMTP_PORT}"]}})

    say("A private Internet runs inside this machine: a signed DNS root and zone (Knot), an HTTPS "
        "host with MTA-STS policies, and two mail servers. Both domains publish `mode: enforce`: "
        "mail for them must travel over TLS to a host whose certificate proves its name.")
    say("Exim knows nothing of this. It hands its mail to stsgated by LMTP "
        "(integration/exim/), and stsgated delivers.")
    heading(1, "bank.example: the honest case")
    deliver_verified(exim, daemon, bank)
    heading(2, "hotel.example: an attacker on the way strips STARTTLS, so that mail "
            "would go in the clear")
    refuse_downgrade(exim, daemon, hotel)
    print()
    say("Why does a message wait? An administrator asks `stsgate policy hotel.example`:")
    print()
    print(textwrap.indent(daemon.ask("policy", hotel.name).stdout.rstrip(), "   "))
    heading(3, 'the same attack with `sts { enforce = "off" }`, and Exim tries its queue again')
    steal_unprotected(exim, daemon, hotel)


def main():
    began = time.monotonic()
    with Internet() as net:
        tour(net)
    print()
    say(f"Done in {time.monotonic() - began:.0f} s. The private Internet is gone; read README.md "
        "to put stsgated between your own MTA and the network.")


if __name__ == "__main__":
    main()
