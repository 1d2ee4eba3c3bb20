# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The scenarios: what goes wrong on the way, and what must be observed.

A Scenario is data; what it does to a place is one function.  perform() sends
the same message with each of its senders, by itself and with stsgate, and
gives a Performance.  unexpected() says what did not come out as announced.
"""

from dataclasses import dataclass, field

from .. import middle


@dataclass(frozen=True)
class Scenario:
    """One story.  `alone` and `guarded` are the verdicts that must be seen."""

    name: str
    title: str
    story: str
    lesson: str
    alone: str
    guarded: str
    kind: str = "attack"            # or "honest": nobody means harm
    zone: str = "example"           # "plain" is not signed
    policy: str = "enforce"         # the domain's MTA-STS mode, or None
    dane: bool = False              # it publishes TLSA records
    primed: bool = False            # stsgate has seen the policy before
    manner: middle.Manner = middle.Manner()
    does: object = None             # more to be done to the place, a function
    behind: object = None           # the class of the host, in place of the attacker's
    content: object = None          # the message, in place of the letter
    forges_mx: bool = False         # mail is led to the attacker's own host
    result: str = ""                # the RFC 8460 result type that the report must hold
    senders: tuple = ("exim",)

    def place(self, world, name=None):
        """A domain for it, as it was before anything happened."""
        return world.place(name or f"{self.name}.{self.zone}", policy=self.policy,
                           dane=self.dane, behind=self.behind)

    def on(self, place):
        place.host.manner = self.manner
        if self.forges_mx:
            place.forge_mx()
        if self.does is not None:
            self.does(place)

    def fits(self, place):
        """Whether it can be switched on at a place that was made for something else."""
        return (self.policy == place.policy and self.dane == place.dane
                and place.name.endswith("." + self.zone) and self.behind is None)


@dataclass
class Performance:
    """A scenario and what was seen: pairs of runs, alone and guarded, one for each sender."""

    scenario: Scenario
    pairs: list = field(default_factory=list)
    report: dict = None
    seconds: float = 0

    def results(self):
        """The result types in the report."""
        policies = self.report["policies"] if self.report else []
        return [detail["result-type"] for policy in policies
                for detail in policy.get("failure-details", [])]

    def unexpected(self):
        """What did not come out as announced, in words."""
        wanted = self.scenario
        for alone, guarded in self.pairs:
            for run, verdict in ((alone, wanted.alone), (guarded, wanted.guarded)):
                if run.verdict != verdict:
                    yield (f"{wanted.name}: {run.sender} {'with' if run.guarded else 'without'} "
                           f"stsgate: {run.verdict}, not {verdict}: {run.log} {run.delivery}")
        if self.report is None:
            yield f"{wanted.name}: no TLS report was made"
        elif wanted.result and wanted.result not in self.results():
            yield f"{wanted.name}: {wanted.result} is not in the report: {self.results()}"


def perform(world, scenario, senders=None, told=None, sending=None):
    """Run it; `sending(sender, guarded)` is called before each message, `told(run)` after it."""
    place = scenario.place(world)
    performance = Performance(scenario)
    if scenario.primed:
        place.prime()
    scenario.on(place)
    for sender in senders or scenario.senders:
        pair = []
        for guarded in (False, True):
            if sending is not None:
                sending(sender.capitalize(), guarded)
            run = world.send(place, sender, guarded, scenario.content)
            pair.append(run)
            if told is not None:
                told(run)
        performance.pairs.append(tuple(pair))
    performance.report = world.report(place)
    place.calm()
    return performance


def every():
    """All scenarios by name, in the order of the tour."""
    from . import certificates, downgrade, forged, honest, smuggling
    listed = (*honest.FIRST, *downgrade.SCENARIOS, *certificates.SCENARIOS, *forged.SCENARIOS,
              *smuggling.SCENARIOS, *honest.FAULTS)
    return {scenario.name: scenario for scenario in listed}
