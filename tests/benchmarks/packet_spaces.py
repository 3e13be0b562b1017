"""What exact sets of packets cost: to build, to join, to subtract, to compare; and that growth is near linear.

Each size is measured in a process of its own, so that its peak of memory is its own. The ratio is the time to that of
a tenth of the size: 10 is linear.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from benchmarks.measuring import Measurement
from ctpolicy.language.policy import Addresses, Entry, HostService, Match, Policy, ProtocolBox, ProtocolPorts
from ctpolicy.meaning_space import bypass_space
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.space import table_space
from ctpolicy.packetspace.intervals import IntervalSet

GROWTH_LIMIT: Final = 20.0
"""For ten times the size; sorting and a cold memory cost more than linear."""
_Result = TypeVar("_Result")
_UDP: Final = 17
_FIRST: Final = 0x0B000000
"""11.0.0.0"""


def measure_spaces() -> list[Measurement]:
    """Each kind of policy at its size and at a tenth of it."""
    found = []
    for kind, (size, name, _) in KINDS.items():
        small, large = _in_a_child(kind, size // 10), _in_a_child(kind, size)
        group = f"packet spaces, {name}"
        for step, took in large.items():
            if step == "peak":
                found.append(Measurement(group, "peak of memory, the interpreter in it", took / 1024, "MB"))
            else:
                limit = GROWTH_LIMIT if step in {"build", "the compiled table's"} else None
                found.append(Measurement(group, step, 1000 * took, "ms", took / small[step], limit))
    return found


def _in_a_child(kind: str, size: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.packet_spaces", kind, str(size)]
    measured: dict[str, float] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return measured


def _entries(size: int, shift: int) -> Iterator[Entry]:
    """Services with a port and clients of their own."""
    for number in range(size):
        port = ProtocolPorts(_UDP, IntervalSet.single(10_000 + (number + shift) % 50_000))
        yield HostService(name=f"service-{number}", services=(port,), peers=_addresses(256 * number, 256))


def _prefixes(size: int, shift: int) -> Iterator[Entry]:
    """One service whose clients are many prefixes, none beside another."""
    prefixes = [(_FIRST + 32 * number, _FIRST + 32 * number + 15) for number in range(shift, size + shift)]
    port = ProtocolPorts(_UDP, IntervalSet.single(4789))
    yield HostService(name="service", services=(port,), peers=Addresses(IntervalSet.of(prefixes), IntervalSet()))


def _pairs(size: int, shift: int) -> Iterator[Entry]:
    """A box for each pair of a source and a port."""
    for number in range(size):
        port = IntervalSet.single(1 + (7919 * number + shift) % 65_000)
        boxes = (ProtocolBox(_UDP, destination_ports=port),)
        yield Match(name=f"pair-{number}", boxes=boxes, source=_addresses(number, 1))


def _addresses(offset: int, count: int) -> Addresses:
    return Addresses(IntervalSet(((_FIRST + offset, _FIRST + offset + count - 1),)), IntervalSet())


KINDS: Final[dict[str, tuple[int, str, Callable[[int, int], Iterator[Entry]]]]] = {
    "entries": (10_000, "10,000 entries with a port and clients of their own", _entries),
    "prefixes": (100_000, "one list of 100,000 prefixes", _prefixes),
    "pairs": (100_000, "100,000 pairs of a source and a port", _pairs),
}


def _measure(kind: str, size: int) -> dict[str, float]:
    _, _, entries = KINDS[kind]
    one, other = (Policy("measured", bypass=tuple(entries(size, shift))) for shift in (0, 3))
    gc.freeze()
    took: dict[str, float] = {}
    space = _timed(took, "build", lambda: bypass_space(one))
    changed = bypass_space(other)
    _timed(took, "union", lambda: space | changed)
    _timed(took, "difference", lambda: space - changed)
    again = bypass_space(one)
    assert _timed(took, "equality", lambda: space == again)
    assert _timed(took, "containment", lambda: space <= space | changed)
    _timed(took, "a witness of the difference", lambda: (space - changed).witness())
    if kind != "pairs":  # a hundred thousand entries are a chain each: what is measured is the compiler
        table = compile_policy(one)
        meant = _timed(took, "the compiled table's", lambda: table_space(table))
        assert meant.certainly == space
    # Not getrusage: its peak is that of whoever started this process, if that is higher (Linux 6.18).
    status = Path("/proc/self/status").read_text().splitlines()
    took["peak"] = next(float(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    return took


def _timed(took: dict[str, float], name: str, action: Callable[[], _Result]) -> _Result:
    began = time.perf_counter()
    result = action()
    took[name] = time.perf_counter() - began
    return result


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]))))
