# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Plays scenarios in a private network of its own, for tests that are in another one.

    player.py SOCKET      names come in, (pairs, report, faults) go out
"""

import multiprocessing.connection
import sys

from stslab import scenarios
from stslab.world import World


def main():
    known = scenarios.every()
    with World() as world:
        with multiprocessing.connection.Listener(sys.argv[1], "AF_UNIX") as listener:
            with listener.accept() as asker:
                try:
                    while True:
                        performance = scenarios.perform(world, known[asker.recv()])
                        asker.send((performance.pairs, performance.report,
                                    list(performance.unexpected())))
                except EOFError:
                    return


if __name__ == "__main__":
    main()
