# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Whatever hosts reply at any stage, no recipient gets a message twice, and the replies to the MTA
are true.

Each world has hosts that are drawn from a seed: a first connection and, from
then on, fresh ones that behave in another way. Told 250, a recipient has the
message once; told anything else, never.
"""

import random

import pytest
from checks import address
from stslab.internet import Mx
from stslab.mx import Behaviour, Drop, Reset

ODD = {
    "mail": ["550 Too many mails per connection", "554 5.7.1 No", "451 4.3.0 Later",
             "421 4.3.2 Bye", "503 5.5.1 Bad sequence", Drop(), b"what?\r\n", "250OK"],
    "data": ["503 5.5.1 Bad sequence", "554 5.5.1 No", "451 4.3.0 Later", "421 4.3.2 Bye",
             "250 2.0.0 Ok", Drop(), Reset(), b"354 Go on\r\n250 2.0.0 Ok\r\n"],
    "dot": ["554 5.7.1 Spam", "451 4.3.0 Later", "421 4.3.2 Bye", b"250OK\r\n",
            b"250-a\r\n251 b\r\n", b"550-a\r\n250 b\r\n", b"2\r\n", b"250-a\r\n554 no\r\n"],
    "drop_in_data": [5, 40],
    "most_recipients": [1, 2],
}
RCPT = ["550 5.1.1 No such user", "554 5.7.1 Enough", "503 5.5.1 Bad sequence", "450 4.2.1 Grey",
        "452 4.5.3 Too many", "552 5.2.2 Full", "552 Too many", "421 4.3.2 Bye", Drop(),
        b"250\tok\r\n"]
LOCALS = "abcde"


def drawn(dice):
    """The behaviour of the hosts of a world."""
    changes = {stage: dice.choice(actions) for stage, actions in ODD.items()
               if dice.random() < 0.15}
    changes["rcpt"] = {local: dice.choice(RCPT) for local in LOCALS if dice.random() < 0.3}
    return changes


def times(domain, subject, recipient):
    """How often the domain's hosts took the message for the recipient."""
    return sum(recipient in message.recipients for message in domain.messages()
               if subject in message.content)


def send(net_domain, mta, dice, number):
    count = dice.randint(1, len(LOCALS))
    recipients = [address(net_domain, local) for local in dice.sample(LOCALS, count)]
    subject = f"Subject: message {number}\r\n".encode()
    result = mta.deliver(recipients, content=subject + b"\r\n" + b"x\r\n" * 20)
    for recipient, reply in zip(recipients, result.final):
        assert reply.code != 421
        assert times(net_domain, subject, recipient) == (reply.code == 250), \
            f"{recipient} was told {reply}"


@pytest.mark.parametrize("policy", [None, "enforce"])
@pytest.mark.parametrize("seed", range(8))
def test_once_or_not_at_all(net, start, seed, policy):
    dice = random.Random(seed)
    mta = start({"smtp": {"host-retry": "1s"}})
    for _ in range(6):
        extensions = dice.choice([Behaviour.extensions, ("8BITMIME",)])
        domain = net.domain(policy=policy, mx=[
            Mx(10 * number, behaviour=Behaviour(extensions=extensions)) for number in (1, 2)])
        send(domain, mta, dice, 0)
        for number in range(1, 4):
            for host in domain.hosts:
                kept, host.behaviour = host.behaviour, Behaviour(extensions=extensions)
                for behaviour in (kept, host.behaviour):
                    for name, action in drawn(dice).items():
                        setattr(behaviour, name, action)
            send(domain, mta, dice, number)
