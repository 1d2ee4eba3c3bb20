# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Hosts that misbehave at random: the short form of tests/long/test_chaos.py, with one seed."""

import chaos

SEED = 7


def test_each_reply_is_true_where_hosts_misbehave_now_and_then(net, start):
    mta = start(chaos.SETTINGS)
    domains = chaos.publish(net, SEED, share=0.02)
    traffic = chaos.Traffic(mta, domains, SEED)
    traffic.run(messages=80, sessions=10)
    print(traffic.summary())
    traffic.check()
    assert {250, 550} <= {reply.code for reply in traffic.told.values()}, "no mail, or no refusal"
