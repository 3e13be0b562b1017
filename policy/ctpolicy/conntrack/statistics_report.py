"""What `conntrack stats` says, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from ctpolicy.conntrack.dumps import Lines
from ctpolicy.conntrack.facts import EXTENSION_BYTES, STATISTICS, Statistics, TableFacts
from ctpolicy.conntrack.frequent import Top
from ctpolicy.conntrack.statistics import NO_STATE, Counted, Kind, TableStatistics
from ctpolicy.conntrack.survey import Rates, Survey

_MEANINGS: Final = {
    "drop": "packets dropped: no room for their entry",
    "early_drop": "entries that had to go because the table was full",
    "insert_failed": "entries not made: another had their tuple",
    "chain_too_long": "entries not made: their bucket had too many",
    "clash_resolve": "two packets at once that made one entry of two",
    "invalid": "packets of no flow",
    "error": "malformed packets",
    "search_restart": "lookups that began anew",
    "found": "ports that were taken, so that another was chosen",
    "insert": "entries made by hand or by synchronisation",
}
"""What is counted, what hurts most first."""

_FULL_SOON: Final = 0.9
_MEGABYTE: Final = 1_000_000

SEVENTH: Final = (
    "In `-o extended`, the seventh field is the source of entries that have a state (TCP, SCTP, DCCP) and the",
    "destination of all others. So this is what the pipeline prints; who makes entries is told by the top sources.",
)


def survey_lines(survey: Survey) -> Iterator[str]:
    """All of it, as tables."""
    if survey.facts is not None:
        yield from _facts(survey.facts, survey.rates)
        if not survey.facts.is_loaded:
            return
    if survey.lines is not None:
        yield from _faults(survey.lines)
    yield from _reach(survey)
    yield from _entries(survey.entries)


def _facts(facts: TableFacts, rates: Rates | None) -> Iterator[str]:
    if not facts.is_loaded:
        yield "Conntrack is not in this kernel: its module nf_conntrack is not loaded, so nothing is tracked."
        return
    entries = facts.entries
    if entries is not None:
        of = f" of {facts.maximum}" if facts.maximum else ", and no limit" if facts.maximum == 0 else ""
        fill = f"   {_percent(facts.fill)}, room for {facts.headroom}" if facts.fill is not None else ""
        yield f"entries   {entries}{of}{fill}"
        if facts.is_full:
            yield "          The table is FULL: packets of new flows are dropped."
        elif facts.fill is not None and facts.fill >= _FULL_SOON:
            yield "          The table is nearly full."
        if facts.buckets:
            yield f"buckets   {facts.buckets}   {entries / facts.buckets:.2f} entries each, on average"
        yield f"memory    {_memory(facts, entries)}"
    if facts.shows_no_use:
        yield "          Nothing here says that any rule of this network namespace uses conntrack."
    if facts.statistics is not None:
        yield ""
        yield from _statistics(facts.statistics, rates)
    yield ""


def _memory(facts: TableFacts, entries: int) -> str:
    full = f", {_megabytes(facts.memory(facts.maximum))} when full" if facts.maximum else ""
    how = "told by the kernel" if facts.is_measured else "assumed"
    each = f"{facts.entry_bytes} bytes an entry ({how}) and {EXTENSION_BYTES} for its extensions"
    return f"about {_megabytes(facts.memory(entries))}{full}   {each}"


def _statistics(counted: Statistics, rates: Rates | None) -> Iterator[str]:
    watched = f"{f'a second, over {rates.seconds:.1f} s':>24}" if rates is not None else ""
    yield f"{'counted since boot':<18}{'':>12}{watched}"
    for name, meaning in _MEANINGS.items():
        rate = f"{getattr(rates.counted, name) / rates.seconds:>24.1f}" if rates is not None else ""
        yield f"  {name.replace('_', ' '):<16}{getattr(counted, name):>12}{rate}   {meaning}"
    if rates is not None:
        yield f"  {'entries':<16}{'':>12}{rates.entries / rates.seconds:>+24.1f}   by which the table grows"


def _faults(lines: Lines) -> Iterator[str]:
    if lines.others or lines.faulty:
        yield f"lines     {lines.read}, of which {lines.others} are empty or the tool's own"
    if lines.faulty:
        yield f"{lines.faulty} of {lines.read} lines are no entries that can be read:"
        for fault in lines.faults:
            yield f"  line {fault.line}: {fault.reason}: {fault.text}"
        if lines.faulty > len(lines.faults):
            yield f"  and {lines.faulty - len(lines.faults)} more"
    if lines.others or lines.faulty:
        yield ""


def _reach(survey: Survey) -> Iterator[str]:
    if survey.uncertainty is None:
        return
    why = "the first entries of the hash table, which are as good as a random sample" if survey.is_sample else (
        "what could be read before the deadline"
    )  # fmt: skip
    yield f"Below are {survey.entries.total.entries} entries: {why}."
    yield f"Shares are right within {100 * survey.uncertainty:.1f} points, 19 times out of 20."
    yield ""


def _entries(told: TableStatistics) -> Iterator[str]:
    total = told.total.entries
    rows = [("unreplied", told.total.unreplied, "no packet of the other direction was seen"),
            ("assured", told.total.assured, "not dropped early when the table is full"),
            ("translated", told.total.translated, "by NAT"),
            ("offloaded", told.offloaded, "in a flow table")]  # fmt: skip
    yield f"{'entries':<16}{total:>12}"
    for name, number, meaning in rows:
        if number or name != "offloaded":
            yield f"  {name:<14}{number:>12}{_share(number, total)}   {meaning}"
    if not total:
        return
    yield ""
    yield from _kinds(told.protocols, total)
    for title, counted, of in (
        ("TCP by state", told.tcp_states, sum(one.entries for one in told.tcp_states)),
        ("families", told.families, total),
        ("zones", told.zones, total),
    ):
        if counted:
            yield ""
            yield from _table(title, counted, of)
        if counted is told.tcp_states and any(state.name == NO_STATE for state in counted):
            yield f"  {NO_STATE}: no state is told of what is offloaded; the pipeline counts it by its destination."
    for title, top in (
        ("top sources", told.sources),
        ("top destinations", told.destinations),
        ("top destination ports", told.destination_ports),
    ):
        yield ""
        yield from _top(title, top, total)
    if not told.seventh_fields_are_sources:
        yield ""
        yield from _top("top seventh fields", told.seventh_fields, total)
        yield from (f"  {line}" for line in SEVENTH)


def _kinds(kinds: Iterable[Kind], total: int) -> Iterator[str]:
    yield f"{'by protocol':<16}{'':>21}{'unreplied':>12}{'assured':>12}{'translated':>12}"
    for kind in kinds:
        shares = "".join(f"{_percent(part / kind.entries):>12}" for part in kind[2:])
        yield f"  {kind.name:<14}{kind.entries:>12}{_share(kind.entries, total)}{shares}"


def _table(title: str, rows: Sequence[tuple[str, int]], total: int) -> Iterator[str]:
    width = max(14, *(len(name) for name, _ in rows)) if rows else 14
    yield title
    for name, number in rows:
        yield f"  {name:<{width}}{number:>12}{_share(number, total)}"


def _top(title: str, top: Top, total: int) -> Iterator[str]:
    different = f"{top.different} different" if top.is_exact else f"more than {top.different} different"
    yield from _table(f"{title}, of {different}", top.ranked, total)
    if not top.is_exact:
        yield f"  Too many to count each: a number may be too small, by at most {top.error}."


def _share(number: int, total: int) -> str:
    return f"{_percent(number / total if total else 0):>9}"


def _percent(share: float | None) -> str:
    return f"{100 * (share or 0):.1f} %"


def _megabytes(number: int) -> str:
    return f"{number / _MEGABYTE:.1f} MB"


def survey_json(survey: Survey) -> dict[str, Any]:
    """The same as one object, by schemas/conntrack-stats-v1.schema.json."""
    told = survey.entries
    uncertainty = survey.uncertainty
    return {
        "apiVersion": "ctpolicy.conntrack-stats/v1",
        "table": None if survey.facts is None else _facts_json(survey.facts),
        "rates": None if survey.rates is None else _rates_json(survey.rates),
        "lines": None if survey.lines is None else _lines_json(survey.lines),
        "sample": None if uncertainty is None else {"late": survey.is_late, "uncertainty": round(uncertainty, 6)},
        **{key: number for key, number in told.total._asdict().items() if key != "name"},
        "offloaded": told.offloaded,
        "protocols": [kind._asdict() for kind in told.protocols],
        "families": _counted_json(told.families),
        "tcpStates": _counted_json(told.tcp_states),
        "zones": _counted_json(told.zones),
        "sources": _top_json(told.sources),
        "destinations": _top_json(told.destinations),
        "destinationPorts": _top_json(told.destination_ports),
        "seventhFields": _top_json(told.seventh_fields),
    }


def _facts_json(facts: TableFacts) -> dict[str, Any]:
    return {
        "loaded": facts.is_loaded,
        "entries": facts.entries,
        "maximum": facts.maximum,
        "buckets": facts.buckets,
        "fill": None if facts.fill is None else round(facts.fill, 6),
        "headroom": facts.headroom,
        "memoryBytes": None if facts.entries is None else facts.memory(facts.entries),
        "memoryBytesWhenFull": facts.memory(facts.maximum) if facts.maximum else None,
        "statistics": None if facts.statistics is None else _statistics_json(facts.statistics),
        "timeouts": dict(sorted(facts.timeouts.items())),
        "settings": dict(sorted(facts.settings.items())),
    }


def _rates_json(rates: Rates) -> dict[str, Any]:
    return {"seconds": rates.seconds, "entries": rates.entries, "statistics": _statistics_json(rates.counted)}


def _statistics_json(counted: Statistics) -> dict[str, int]:
    return {_camel(name): getattr(counted, name) for name in STATISTICS}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _lines_json(lines: Lines) -> dict[str, Any]:
    faults = [fault._asdict() for fault in lines.faults]
    return {"read": lines.read, "faulty": lines.faulty, "others": lines.others, "faults": faults}


def _counted_json(counted: Iterable[Counted]) -> list[dict[str, Any]]:
    return [one._asdict() for one in counted]


def _top_json(top: Top) -> dict[str, Any]:
    return {"different": top.different, "error": top.error, "top": [one._asdict() for one in top.ranked]}
