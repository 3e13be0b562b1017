"""Properties that hold of every policy, tried on this one, with packets near its boundaries.

A proof (proofs.py) compares two readings of the same sets of packets. Here packets are followed one at a time, by code
that knows nothing of such sets, so that a fault which both readings share would show. What is tried is random, the same
each time, and bounded. Where a property breaks, Hypothesis looks for a case that is as simple as can be: it takes as
long for one packet as it takes to try ten, so that it is not asked, nor imported, before there is something to find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final, TypeVar

from ctpolicy.boundaries import boundary_source
from ctpolicy.errors import InputError
from ctpolicy.language.load import merge
from ctpolicy.language.policy import Entry, Forward, HostClient, HostService, Match, Policy, Ports
from ctpolicy.meaning import Decision, Meaning, legs
from ctpolicy.meaning_space import bypass_space
from ctpolicy.netfilter.backend import Backend, Names
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.ruleset import Table
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace, bounded
from ctpolicy.review.proofs import IPTABLES, IPTABLES_ALONE, MOST_WORK, fits_iptables, fits_iptables_alone, services
from ctpolicy.review.review import Check, Level, Progress, Remark, Result, Subject
from ctpolicy.review.spaces import Spaces

FEWEST: Final = 20
"""Packets, however large the policy is."""

_MOST_DECIDED: Final = 200_000
"""Entries that are asked about packets for one property, one by one: a second or two."""

_MOST_SIMPLER: Final = 300
"""Cases among which a first simple one is looked for."""

_MOST_CHANGED: Final = 8
"""Policies that differ from this one in one entry, each of which is compiled."""

_Case = TypeVar("_Case")

_REMEDY: Final = "this is a fault of ctpolicy, not of the policy: do not apply it, and report it"


@dataclass(frozen=True, slots=True)
class Tried:
    """A policy, and all that has to agree about it. Tests put something broken into it.

    Args:
        policy: in question.
        decide: what it means, by its legs.
        contains: what it means, as a set of packets.
        rules: by backend, the entries by which its compiled rules leave a packet untracked.
        compile: a policy to rules; nftables'.
        deciding: the entries by which such rules leave a packet untracked.
        merged: the union of policies.
    """

    policy: Policy
    decide: Callable[[Packet], Decision]
    contains: Callable[[Packet], bool]
    rules: Mapping[str, Names]
    compile: Callable[[Policy], Table]
    deciding: Callable[[Table], Names]
    merged: Callable[[list[Policy]], Policy]

    @classmethod
    def of(cls, policy: Policy, untracked: PacketSpace | None = None) -> Tried:
        """All of it as it is; `untracked` is what the policy means, if it is known already."""
        space = bypass_space(policy) if untracked is None else untracked
        rules = {"nftables": NFTABLES.deciding(NFTABLES.compile(policy))}
        backends = (
            ("iptables with ipset", IPTABLES, fits_iptables),
            ("iptables without ipset", IPTABLES_ALONE, fits_iptables_alone),
        )
        for name, backend, fits in backends:
            names = _names(policy, backend) if fits(policy) else None
            if names is not None:
                rules[name] = names
        return cls(
            policy,
            Meaning.of(policy).decide,
            lambda packet: packet in space,
            rules,
            NFTABLES.compile,
            NFTABLES.deciding,
            merge,
        )


def _names(policy: Policy, backend: Backend[Any]) -> Names | None:
    try:
        return backend.deciding(backend.compile(policy))
    except InputError:  # it has no words for the policy, which its proof tells
        return None


class _BrokenError(Exception):
    """A property does not hold."""

    def __init__(self, message: str, packet: Packet | None = None, entry: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.packet = packet
        self.entry = entry


def check_properties(policy: Policy, examples: int, progress: Progress, spaces: Spaces | None = None) -> list[Check]:
    """Every property, each tried at most so often; `spaces` are the policy's, if they are known already."""
    try:
        with bounded(MOST_WORK):
            tried = Tried.of(policy, spaces.untracked if spaces else None)
    except TooLargeError:
        message = "the properties were not tried: too many different packets"
        remark = Remark("RV012", Level.WARNING, message, remedy="give entries groups of addresses that they share")
        return [Check(Subject.PROPERTIES, _ONE_ANSWER, Result.BROKEN, "given up", (remark,))]
    return properties_of(tried, examples, progress)


_ONE_ANSWER: Final = "policy, set of packets and rules agree on each packet"


def properties_of(tried: Tried, examples: int, progress: Progress) -> list[Check]:
    """Every property of something that may be broken on purpose."""
    policy = tried.policy
    entries = len(policy.bypass) + len(policy.track)
    packets = max(FEWEST, min(examples, _MOST_DECIDED // (1 + entries)))
    few = min(examples, _MOST_CHANGED)
    progress("trying properties of the policy")
    changed = _Changed(tried, few)
    near = boundary_source(policy)
    return [
        _tried(_ONE_ANSWER, packets, _packets(near, _has_one_answer(tried)), ", ".join(tried.rules)),
        _tried("flows are untracked both ways or not at all", packets, _packets(*_flows(tried, near))),
        _tried("a policy in parts, merged in any order, is the same", few, _orders(policy, _is_merged(tried))),
        *(
            _tried(name, *asked) if fits_iptables(policy) else _too_large(name, policy)
            for name, asked in (
                (_TRACK_WINS, (packets, _entries_and_packets(policy, near, changed.tracked))),
                (_OTHERS_STAY, (packets, _entries_and_packets(policy, near, changed.removed))),
                (_ALIKE, (few, lambda times: _orders(policy, _is_compiled_alike(tried))(times))),
            )
        ),
    ]


Run = Callable[[int], int]
"""Tries a property so often; how often it was tried. Raises _BrokenError for a simple case that breaks it."""


_TRACK_WINS: Final = "what is tracked is never untracked"
_OTHERS_STAY: Final = "leaving an entry out changes its packets alone"
_ALIKE: Final = "compiling it again gives the same rules"


def _too_large(name: str, policy: Policy) -> Check:
    told = f"for this the policy is compiled again and again, and it has {services(policy):,} services"
    return Check(Subject.PROPERTIES, name, Result.NOT_ASKED, told)


def _tried(name: str, examples: int, run: Run, about: str = "") -> Check:
    try:
        times = run(examples)
    except _BrokenError as error:
        remark = Remark("RV006", Level.ERROR, error.message, remedy=_REMEDY, witness=error.packet, entry=error.entry)
        return Check(Subject.PROPERTIES, name, Result.BROKEN, "a counterexample was found", (remark,))
    if not times:
        return Check(Subject.PROPERTIES, name, Result.NOT_ASKED, "the policy has nothing that it is about")
    return Check(Subject.PROPERTIES, name, Result.HELD, f"tried {times:,} times" + (f": {about}" if about else ""))


# What is tried.


Near = Callable[[Random], Packet]
"""Makes packets near a policy's boundaries."""


def _packets(near: Near, law: Callable[[Packet], None]) -> Run:
    """Tries a law of packets near the policy's boundaries."""
    return lambda examples: _search(examples, law, near)


def _entries_and_packets(policy: Policy, near: Near, law: Callable[[Entry, Packet], None]) -> Run:
    """Tries a law of a bypass entry and packets near the policy's boundaries."""
    if not policy.bypass:
        return lambda _: 0
    return lambda examples: _search(
        examples, lambda pair: law(*pair), lambda random: (random.choice(policy.bypass), near(random))
    )


def _orders(policy: Policy, law: Callable[[list[Policy]], None]) -> Run:
    """Tries a law of policies whose union this one is, in some order."""

    def parts(random: Random) -> list[Policy]:
        count = random.choice((1, 2, 3))
        of = {entry.name: random.randrange(count) for entry in policy.entries()}
        several = [_part(policy, of, number) for number in range(count)]
        random.shuffle(several)
        return several

    return lambda examples: _search(examples, law, parts)


def _part(policy: Policy, of: Mapping[str, int], number: int) -> Policy:
    bypass = tuple(entry for entry in policy.bypass if of[entry.name] == number)
    track = tuple(entry for entry in policy.track if of[entry.name] == number)
    return replace(policy, bypass=bypass, track=track, expect=policy.expect if number == 0 else ())


def _search(examples: int, law: Callable[[_Case], None], case: Callable[[Random], _Case]) -> int:
    """Try a law so often.

    Raises:
        _BrokenError: for the simplest case that breaks it and was found.
    """
    random = Random(0)  # noqa: S311
    for _ in range(examples):
        try:
            law(case(random))
        except _BrokenError:
            _simplest(law, case)
            raise
    return examples


def _simplest(law: Callable[[_Case], None], case: Callable[[Random], _Case]) -> None:
    """Raise the error for as simple a case as Hypothesis finds; nothing if it finds none."""
    from hypothesis import HealthCheck, Phase, Verbosity, given, settings
    from hypothesis import strategies as st
    from hypothesis.configuration import set_hypothesis_home_dir
    from hypothesis.errors import Flaky

    @settings(
        max_examples=_MOST_SIMPLER,
        derandomize=True,
        database=None,
        deadline=None,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False).map(case))
    def attempt(found: Any) -> None:
        law(found)

    set_hypothesis_home_dir("/dev/null/nowhere")  # it would leave a directory `.hypothesis` where the review is run
    try:
        attempt()
    except Flaky:
        return  # what breaks it once and then does not, as a compiler that is not deterministic, is as simple as it is
    finally:
        set_hypothesis_home_dir(None)


# The laws.


def _has_one_answer(tried: Tried) -> Callable[[Packet], None]:
    def law(packet: Packet) -> None:
        decision = tried.decide(packet)
        if tried.contains(packet) is not decision.untracked:
            raise _BrokenError(
                f"{_said(decision)}, and as a set of packets it says the opposite", packet, _by(decision)
            )
        for backend, names in tried.rules.items():
            found = names(packet)
            if bool(found) is not decision.untracked:
                raise _BrokenError(f"{_said(decision)}, and the rules of {backend} do not", packet, _by(decision))
            others = sorted(set(found) - set(decision.bypassed_by))
            if others:
                message = f"the rules of {backend} leave it untracked by `{others[0]}`, which is not about it"
                raise _BrokenError(message, packet, others[0])

    return law


def _said(decision: Decision) -> str:
    return f"the policy {'leaves the packet untracked' if decision.untracked else 'tracks the packet'}"


def _by(decision: Decision) -> str:
    return next(iter(decision.tracked_by or decision.bypassed_by), "")


def _flows(tried: Tried, near: Near) -> tuple[Near, Callable[[Packet], None]]:
    """Packets near the entries that are about whole flows, and the law of them."""
    policy = tried.policy
    if all(map(is_whole, policy.entries())):
        return near, flows_are_whole(tried.decide)
    whole = replace(policy, bypass=tuple(filter(is_whole, policy.bypass)), track=tuple(filter(is_whole, policy.track)))
    return boundary_source(whole), flows_are_whole(Meaning.of(whole).decide)


def is_whole(entry: Entry) -> bool:
    """Whether an entry covers a packet exactly if it covers what answers it. Tunnels are not answered port for port."""
    both = isinstance(entry, Match) and entry.both_ways
    return both or isinstance(entry, HostService | HostClient | Forward | Ports)


def flows_are_whole(decide: Callable[[Packet], Decision]) -> Callable[[Packet], None]:
    """The law of a policy whose entries are all whole."""

    def law(packet: Packet) -> None:
        answer = packet.reverse()
        if answer.reverse() != packet:  # from the wire, nothing answers an address of loopback
            return
        decision, answered = decide(packet), decide(answer)
        if decision.untracked is not answered.untracked:
            by = _by(decision if decision.untracked else answered)
            raise _BrokenError(
                f"one of two that answer each other is untracked, and the other not: `{answer}`", packet, by
            )

    return law


class _Changed:
    """Policies that differ from one in an entry, compiled: so many of them at most."""

    def __init__(self, tried: Tried, most: int) -> None:
        self._tried = tried
        self._most = most
        self._known: dict[tuple[str, str], Names] = {}

    def tracked(self, entry: Entry, packet: Packet) -> None:
        """With the entry as a track entry too, its packets are tracked, and all others fare as before."""
        policy = self._tried.policy
        names = self._names("track", entry, lambda: self._with_track(policy, entry))
        if names is None:
            return
        before = self._tried.decide(packet)
        held = any(packet in leg for leg in legs(entry))
        if bool(names(packet)) is not (before.untracked and not held):
            message = f"with `{entry.name}` tracked as well, the packet is " + (
                "tracked" if before.untracked else "not"
            )
            raise _BrokenError(f"track does not win: {message}", packet, entry.name)

    def removed(self, entry: Entry, packet: Packet) -> None:
        """Without the entry, packets that others bypass fare as before, and its own alone are tracked."""
        policy = self._tried.policy
        left = tuple(other for other in policy.bypass if other.name != entry.name)
        names = self._names("without", entry, lambda: replace(policy, bypass=left))
        if names is None:
            return
        before = self._tried.decide(packet)
        wanted = before.untracked and before.bypassed_by != (entry.name,)
        if bool(names(packet)) is not wanted:
            said = "is untracked" if not wanted else "is tracked"
            raise _BrokenError(f"without `{entry.name}` the packet {said}, which it has no part in", packet, entry.name)

    @staticmethod
    def _with_track(policy: Policy, entry: Entry) -> Policy:
        taken = {one.name for one in policy.entries()}
        name = next(name for at in range(len(taken) + 1) if (name := f"t{at}") not in taken)
        track = sorted((*policy.track, replace(entry, name=name)), key=lambda one: one.name)
        return replace(policy, track=tuple(track))

    def _names(self, how: str, entry: Entry, change: Callable[[], Policy]) -> Names | None:
        key = (how, entry.name)
        if key not in self._known:
            if sum(1 for known, _ in self._known if known == how) >= self._most:
                return None
            self._known[key] = self._tried.deciding(self._tried.compile(change()))
        return self._known[key]


def _is_merged(tried: Tried) -> Callable[[list[Policy]], None]:
    def law(parts: list[Policy]) -> None:
        union = tried.merged(parts)
        policy = tried.policy
        for was, now in ((policy.bypass, union.bypass), (policy.track, union.track)):
            if was != now:
                other = next((entry.name for entry in (*was, *now) if (entry in was) is not (entry in now)), "")
                raise _BrokenError(f"in {len(parts)} parts that are merged, the policy has other entries", entry=other)

    return law


def _is_compiled_alike(tried: Tried) -> Callable[[list[Policy]], None]:
    compiled = tried.compile(tried.policy)
    rendered = NFTABLES.written(compiled)

    def law(parts: list[Policy]) -> None:
        bypass = _made_anew(entry for part in parts for entry in part.bypass)
        track = _made_anew(entry for part in parts for entry in part.track)
        again = tried.compile(replace(tried.policy, bypass=bypass, track=track))
        if again != compiled or NFTABLES.written(again) != rendered:
            raise _BrokenError("compiled once more, it gives other rules")

    return law


def _made_anew(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Equal entries that are other objects, by name."""
    return tuple(sorted((replace(entry) for entry in entries), key=lambda entry: entry.name))
