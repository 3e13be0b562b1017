"""Saved conntrack tables: what `conntrack -L` prints, plain, `-o extended` or `-o xml`, and /proc/net/nf_conntrack.

Written after what libnetfilter_conntrack and the kernel print (conntrack-tools 1.4.4 to 1.4.8, Linux 4 to 6.18), and
held against both. A table is read in blocks. One regular expression finds all that is wanted in an ordinary line, and
what is no ordinary line comes out of it whole, to be looked at more closely; so every line is matched exactly once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from re import DOTALL, Match
from re import compile as pattern
from typing import Final, NamedTuple, Protocol

from ctpolicy.conntrack.statistics import EXTRAS, PROTOCOL, SEVENTH, Row, Tally

BLOCK: Final = 1 << 18
"""Bytes that are read at once."""

MOST_FAULTS: Final = 20
"""Lines that are shown; more are counted."""

MOST_OF_A_LINE: Final = 1 << 16
"""Bytes; an entry with all it can have is below 2,000."""

_SHOWN: Final = 120
_PROTOCOL: Final = itemgetter(PROTOCOL)
_EXTRAS: Final = itemgetter(EXTRAS)

_ADDRESS: Final = rb"[0-9a-f.:]+"
_COUNTS: Final = rb"(?:packets=[0-9]+ bytes=[0-9]+ )?"

# An entry with ports or of ICMP, with a timeout and no zone of one direction. Character classes that take no newline
# keep it in its line. What is in the end is any other line. What may be there or not is written `(?:...|)` and never
# `(...)?` or `(...)*`: the former is passed over by its first character, and a third quicker (Python 3.11).
_ORDINARY: Final = pattern(
    rb"(?:(?:ipv([46]) {5}(?:2|10) |)[a-z0-9]+ +([0-9]{1,3}) [0-9]+ ([A-Z][A-Z_0-9]* |)src=(" + _ADDRESS + rb") dst=("
    + _ADDRESS + rb") (?:sport=([0-9]+) dport=([0-9]+) |type=[0-9]+ (code=[0-9]+ id=[0-9]+ ))"
    rb"(?:packets=[0-9]+ bytes=[0-9]+ |)(?:\[UNREPLIED\]( )|)"
    rb"src=(?:\5 dst=\4 (?:sport=\7 dport=\6|type=[0-9]+ (?=\8)[^ ]+ [^ ]+)( )|" + _ADDRESS + rb" dst=" + _ADDRESS
    + rb" (?:sport=[0-9]+ dport=[0-9]+ |type=[0-9]+ code=[0-9]+ id=[0-9]+ ))"
    rb"(?:packets=[0-9]+ bytes=[0-9]+ |)(?:\[ASSURED\]( )|)(?:mark=[0-9]+ |)([^u\n][^\n]*? (?=use=)|)use=[0-9]+[^\n]*"
    rb"|([^\n]*))\n"
)  # fmt: skip

_PLACE: Final = (
    rb"(?:sport=(?P<{0}sport>\d+) dport=(?P<{0}dport>\d+) "
    rb"|type=(?P<{0}type>\d+) code=(?P<{0}code>\d+) id=(?P<{0}id>\d+) "
    rb"|srckey=(?P<{0}srckey>0x[0-9a-f]+) dstkey=(?P<{0}dstkey>0x[0-9a-f]+) )?"
)
_DIRECTION: Final = rb"src=(?P<{0}src>" + _ADDRESS + rb") dst=(?P<{0}dst>" + _ADDRESS + rb") " + _PLACE
_ENTRY: Final = pattern(
    rb"(?:(?:ipv(?P<family>[46])|unknown) +\d+ )?[a-z0-9-]+ +(?P<protocol>\d{1,3}) (?P<timeout>\d+ )?"
    rb"(?P<state>[A-Z][A-Z_0-9]* )?"
    rb"(?P<gre>timeout=\d+, stream_timeout=(?P<stream>\d+) )?"
    + _DIRECTION.replace(b"{0}", b"") + rb"(?P<zone>zone-orig=\d+ )?" + _COUNTS + rb"(?P<unreplied>\[UNREPLIED\] )?"
    + _DIRECTION.replace(b"{0}", b"r") + rb"(?P<rzone>zone-reply=\d+ )?" + _COUNTS + rb"(?P<assured>\[ASSURED\] )?"
    rb"(?P<extras>(?:[^u\s][^ ]* )*)use=\d+(?: .*)?",
)  # fmt: skip
_LOOKS_LIKE_AN_ENTRY: Final = pattern(rb"\s*(?:(?:ipv[46]|unknown) +\d+ +)?[a-z0-9-]+ +\d{1,3} |.*\bsrc=")
_SUMMARY: Final = pattern(rb"conntrack v[0-9.]+ \(conntrack-tools\): .*|</?conntrack>|<\?xml [^>]*\?>")


class Stream(Protocol):
    """What a table is read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


class Fault(NamedTuple):
    """A line that is no entry.

    Args:
        line: its number, from 1.
        reason: what is wrong with it.
        text: its beginning.
    """

    line: int
    reason: str
    text: str


@dataclass(slots=True)
class Lines:
    """What was found in a saved table besides its entries.

    Args:
        read: lines, of whatever kind: what `wc -l` counts.
        faults: the first of those that are no entries and should be.
        faulty: how many there are of them.
        others: empty lines, and those that the tool prints around a table.
    """

    read: int = 0
    faults: list[Fault] = field(default_factory=list)
    faulty: int = 0
    others: int = 0

    def tell(self, line: int, reason: str, text: bytes) -> None:
        """A line that cannot be read."""
        self.faulty += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(line, reason, text[:_SHOWN].decode(errors="backslashreplace")))

    def follow(self, other: Lines) -> None:
        """Take in what comes after, which was counted from 1."""
        later = [fault._replace(line=fault.line + self.read) for fault in other.faults]
        self.faults = [*self.faults, *later][:MOST_FAULTS]
        self.read += other.read
        self.faulty += other.faulty
        self.others += other.others


class Batch(NamedTuple):
    """Some entries.

    Args:
        rows: theirs.
        with_extras: whether any of them may be in a zone or offloaded.
    """

    rows: list[Row]
    with_extras: bool


def read_entries(stream: Stream, lines: Lines) -> Iterator[Batch]:
    """The entries of a saved table, block by block.

    Args:
        stream: the table.
        lines: is told all that is no entry.
    """
    rest = b""
    while block := stream.read(BLOCK):
        block = rest + block
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if end:
            yield from _block(block[:end], lines)
        if len(rest) > MOST_OF_A_LINE:
            rest = rest[:MOST_OF_A_LINE]  # it is no entry, however it goes on
    if rest:
        yield from _block(rest + b"\n", lines)


def tally_entries(stream: Stream, tally: Tally, lines: Lines) -> None:
    """Count the entries of a saved table.

    Args:
        stream: the table.
        tally: counts them.
        lines: is told all that is no entry.
    """
    for batch in read_entries(stream, lines):
        tally.add(batch.rows, batch.with_extras)


def _block(block: bytes, lines: Lines) -> Iterator[Batch]:
    """The entries of some whole lines."""
    rows: list[Row] = _ORDINARY.findall(block)
    first = lines.read + 1
    lines.read += len(rows)
    odd: list[tuple[int, bytes]] = []
    if not all(map(_PROTOCOL, rows)):
        odd = [(first + at, row[SEVENTH]) for at, row in enumerate(rows) if not row[PROTOCOL]]
        rows = [row for row in rows if row[PROTOCOL]]
    if rows:
        yield Batch(rows, any(map(_EXTRAS, rows)))
    closer = [row for number, line in odd for row in _closer(number, line, lines)]
    if closer:
        yield Batch(closer, True)


def _closer(number: int, line: bytes, lines: Lines) -> Iterator[Row]:
    """The entry in a line that is no ordinary one, or what is wrong with it."""
    line = line.strip()
    found = _ENTRY.fullmatch(line)
    if found is not None:
        yield _row(found)
    elif line.startswith(b"<flow"):
        row = _xml_row(line)
        if row is not None:
            yield row
        else:
            lines.tell(number, "a flow in XML that is cut or damaged", line)
    elif not line or _SUMMARY.fullmatch(line):
        lines.others += 1
    elif _LOOKS_LIKE_AN_ENTRY.match(line):
        lines.tell(number, "an entry that is cut or damaged", line)
    else:
        lines.tell(number, "no entry of a conntrack table", line)


def _row(found: Match[bytes]) -> Row:
    part = {name: text or b"" for name, text in found.groupdict().items()}
    return (
        part["family"],
        part["protocol"],
        part["state"],
        part["src"],
        part["dst"],
        part["sport"],
        part["dport"],
        b"",
        b" " if part["unreplied"] else b"",
        b" " if _is_mirrored(part) else b"",
        b" " if part["assured"] else b"",
        part["zone"] + part["rzone"] + part["extras"],
        _seventh(part),
    )


def _is_mirrored(part: dict[str, bytes]) -> bool:
    """Whether the reply is the original turned around. An echo's id stays, and its type is that of the answer."""
    return (
        part["src"] == part["rdst"]
        and part["dst"] == part["rsrc"]
        and (part["sport"], part["dport"]) == (part["rdport"], part["rsport"])
        and (part["srckey"], part["dstkey"]) == (part["rdstkey"], part["rsrckey"])
        and (part["id"], part["code"]) == (part["rid"], part["rcode"])
    )


def _seventh(part: dict[str, bytes]) -> bytes:
    """Of the line in extended form, where that is neither source nor destination."""
    if part["gre"]:
        return part["stream"]
    if part["timeout"]:
        return b""
    after = (part["sport"], part["type"], part["srckey"])
    return next(filter(None, after), part["zone"] or b"[UNREPLIED]" if part["unreplied"] else part["rsrc"])


_XML_FLOW: Final = pattern(
    rb'<flow[^>]*><meta direction="original">(.*?)</meta><meta direction="reply">(.*?)</meta>'
    rb'<meta direction="independent">(.*?)</meta></flow>',
    DOTALL,
)
_XML_LAYERS: Final = pattern(
    rb'<layer3 protonum="\d+" protoname="(?:ipv(?P<family>[46])|unknown)"><src>(?P<src>[0-9a-f.:]+)</src><dst>(?P<dst>'
    rb'[0-9a-f.:]+)</dst></layer3><layer4 protonum="(?P<protocol>\d{1,3})" protoname="[a-z0-9-]+"(?:/>|>(?P'
    rb"<inside>.*?)</layer4>)(?P<after>.*)",
    DOTALL,
)
_XML_WORD: Final = pattern(rb"<([a-z0-9-]+)>([^<]*)</\1>|<([a-z]+)/>")


def _xml_row(line: bytes) -> Row | None:
    flow = _XML_FLOW.fullmatch(line)
    if flow is None:
        return None
    original, reply = (_XML_LAYERS.fullmatch(part) for part in flow.groups()[:2])
    if original is None or reply is None:
        return None
    told = {word or flag: value for word, value, flag in _XML_WORD.findall(flow[3])}
    places = [{word: value for word, value, _ in _XML_WORD.findall(one["inside"] or b"")} for one in (original, reply)]
    here, there = places
    part = {
        **dict.fromkeys(("gre", "zone", "stream", "srckey", "type", "sport"), b""),
        **{name: here.get(name.encode(), b"") for name in ("sport", "dport", "type", "code", "id", "srckey", "dstkey")},
        **{f"r{name}": there.get(name.encode(), b"") for name in ("sport", "dport", "code", "id", "srckey", "dstkey")},
        "src": original["src"], "dst": original["dst"], "rsrc": reply["src"], "rdst": reply["dst"],
        "unreplied": b" " if b"unreplied" in told else b"", "timeout": told.get(b"timeout", b""),
    }  # fmt: skip
    zones = b"".join(
        b"%b=%b " % (word, value)
        for word, place in ((b"zone", flow[3]), (b"zone-orig", original["after"]), (b"zone-reply", reply["after"]))
        for name, value, _ in _XML_WORD.findall(place)
        if name == b"zone"
    )
    return (
        original["family"] or b"",
        original["protocol"],
        told.get(b"state", b""),
        part["src"],
        part["dst"],
        part["sport"],
        part["dport"],
        b"",
        part["unreplied"],
        b" " if _is_mirrored(part) else b"",
        b" " if b"assured" in told else b"",
        zones + (b"[OFFLOAD] " if not part["timeout"] else b""),
        _seventh(part),
    )
