# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Answers a second of the policy map beside postfix-mta-sts-resolver, in turns.

    make tests/bench/map_client
    STSGATE_BUILD=BUILD PEER=DIRECTORY integration/lab/private-network \\
        /usr/bin/python3 tests/bench/policy_map.py [ROUNDS [POLICIES]]

Debian's postfix-mta-sts-resolver must be installed, or unpacked below PEER
("dpkg -x" of what "apt-get download" brings), with python3-aiodns, -aiohttp,
-aiosqlite, -aioredis and -yaml.  Its own responder serves a filled cache, in
memory and in sqlite, so that DNS and HTTPS cost it nothing.  stsgated has fetched
its policies and asks its resolver whenever an answer is five seconds old.

Each round asks every server in turn, on one connection, on one with 16 questions on the
way, and on 50.  Quote the ratios: the machine's speed drifts, and a ratio is of one round.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "integration" / "lab"))

MS = 2500
LOADS = {"1 connection": (1, 1), "16 pipelined": (1, 16), "50 connections": (50, 1)}
PEER_PORT = 8461


def peer(kind, directory, names):
    """Runs in a process of its own: the package's responder, its cache filled."""
    import asyncio  # pylint: disable=import-outside-toplevel
    import logging

    if os.environ.get("PEER"):
        sys.path.insert(0, os.environ["PEER"] + "/usr/lib/python3/dist-packages")
    from postfix_mta_sts_resolver import utils
    from postfix_mta_sts_resolver.base_cache import CacheEntry
    from postfix_mta_sts_resolver.responder import STSSocketmapResponder

    logging.disable(logging.CRITICAL)
    options = {"cache_size": 100000} if kind == "internal" else {
        "filename": f"{directory}/cache.sqlite"}
    cfg = utils.populate_cfg_defaults({
        "host": "127.0.0.1", "port": PEER_PORT, "cache_grace": 86400,
        "cache": {"type": kind, "options": options}})
    if os.environ.get("UVLOOP"):
        utils.enable_uvloop()

    async def serve():
        cache = utils.create_cache(kind, cfg["cache"]["options"])
        await cache.setup()
        for name in names:
            await cache.set(name, CacheEntry(time.time(), "1", {
                "version": "STSv1", "mode": "enforce", "max_age": 864000,
                "mx": ["mx.bench.example"]}))
        responder = STSSocketmapResponder(cfg, asyncio.get_running_loop(), cache)
        await responder.start()
        print("ready", flush=True)
        await asyncio.Event().wait()

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(serve())


def measure(endpoint, names, load, ms=MS):
    """Answers a second, microseconds at the median and at 99 of 100, answers that were not OK."""
    connections, depth = LOADS[load]
    client = pathlib.Path(os.environ.get("STSGATE_BUILD", ".")) / "tests/bench/map_client"
    done = subprocess.run([client, endpoint, str(connections), str(depth), str(ms), *names],
                          stdout=subprocess.PIPE, text=True, check=True)
    _, rate, p50, p99, wrong = map(int, done.stdout.split())
    return rate, p50, p99, wrong


def publish(net, count):
    """`count` domains with enforced policies, all on one MX host that nobody calls."""
    from stslab.policyhost import Site, policy_text

    names = [f"b{number}.example" for number in range(count)]
    body = policy_text("enforce", ["mx.bench.example"]).encode()
    # The lab's zones have proven absence forgotten at once, and real ones do not.
    net.zones.change([("add", "example", "SOA",
                       "ns.example. hostmaster.example. 1000000 3600 600 86400 300", 300),
                      ("add", "mx.bench.example", "A", net.addresses.loopback(), 300)])
    for start in range(0, count, 100):
        steps = []
        for name in names[start:start + 100]:
            steps += [("add", name, "MX", "10 mx.bench.example.", 300),
                      ("add", "_mta-sts." + name, "TXT", '"v=STSv1; id=1;"', 300),
                      ("add", "mta-sts." + name, "A", net.policy_host.address, 300)]
            net.policy_host.sites["mta-sts." + name] = Site(body=body)
        net.zones.change(steps)
    return names


def start_peer(kind, directory, names):
    process = subprocess.Popen([sys.executable, str(HERE), "--peer", kind, directory, *names],
                               stdout=subprocess.PIPE, text=True)
    if process.stdout.readline().strip() != "ready":
        raise RuntimeError("postfix-mta-sts-resolver did not start")
    return process


def main(rounds=3, policies=1000):
    from stslab.internet import Internet

    with Internet() as net:
        names = publish(net, policies)
        daemon = net.daemons.start({"lmtp": {"max-sessions": 100}})
        ours = daemon.settings["policy-map"]["listen"][0]
        end = time.monotonic() + 300
        while measure(ours, names, "16 pipelined", 1000)[3] > 0:
            if time.monotonic() > end:
                raise RuntimeError("the policies could not be fetched")
        measure(ours, names, "50 connections")  # every fetch made earlier answers void
        results = {}
        for _ in range(rounds):
            for load in LOADS:
                results.setdefault(("stsgated", load), []).append(measure(ours, names, load))
                for kind in ("internal", "sqlite"):
                    process = start_peer(kind, str(net.directory), names)
                    try:
                        results.setdefault((kind, load), []).append(
                            measure(f"inet:127.0.0.1:{PEER_PORT}", names, load))
                    finally:
                        process.terminate()
                        process.wait(20)
        show(results)


def show(results):
    for (server, load), rows in results.items():
        rate, p50, p99, wrong = (statistics.median(column) for column in zip(*rows))
        line = f"{load:15} {server:9} {rate:8.0f}/s  p50 {p50:6.0f} us  p99 {p99:6.0f} us"
        if server != "stsgated":
            mine = results["stsgated", load]
            line += "  stsgated: {:5.1f} times the rate, p99 {:4.2f} of it".format(
                statistics.median(a[0] / b[0] for a, b in zip(mine, rows)),
                statistics.median(a[2] / b[2] for a, b in zip(mine, rows)))
        print(line + (f"  {wrong:.0f} NOT OK" if wrong else ""))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        main(*map(int, sys.argv[1:]))
