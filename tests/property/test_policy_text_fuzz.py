"""Whatever the text: a policy (or invariants) or its mistakes, never another exception, soon, and in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctpolicy.language.diagnostics import PolicyError
from ctpolicy.language.invariants import load_invariants
from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.language.rules import Invariants
from ctpolicy.language.source import LARGEST_POLICY, Source

EXAMPLES = [path.read_text() for path in sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))]
YAML_SPLICES = """*a|&a x|!!int 1|<<: {}|---|...|? [a]|{}|[]|[[]]|"|'|:|: |#|~|no|22:30|010|0x1F|1e3|-1|true|* |&"""
POLICY_SPLICES = """255|256|65536|9999999999999999999|1.2.3.4/0|1.2.3.4/33|::/0|::1%lo|tcp/|/|tcp/0-65535|udp/9-1|gre/1
|0|0/0|*|eth*|bypass: []|track: {}|groups: {a: b}|{file: /dev/zero}|{file: .}|expect: [x]|match: {}|paths: [in]"""
INVISIBLE = [
    "\t",
    "\r",
    "\r\n",
    "\x00",
    "\x1b[2J",
    "\x85",
    "\u2028",
    "\ufeff",
    "\ud800",
    "\n",
    "\n\n  ",
    "\n  - ",
    "\n    ",
]
INVARIANTS = [(Path(__file__).parents[2] / "examples" / "review" / "invariants.yaml").read_text()]
INVARIANT_SPLICES = """expires: 2027-02-30|2027-1-1|{ports: tcp/22}|[{overlay: vxlan}]|at-most-entries: {limit: x}
|waivers: []|no-acknowledged: false|never-bypass: []|sensitive: {}|meeting:|packets:|entries: [a, a]|invariant: gone"""
SPLICES = st.sampled_from(
    [
        *YAML_SPLICES.split("|"),
        *POLICY_SPLICES.replace("\n", "").split("|"),
        *INVARIANT_SPLICES.replace("\n", "").split("|"),
        *INVISIBLE,
    ]
)
LINES = st.sampled_from([line for text in EXAMPLES + INVARIANTS for line in text.splitlines(keepends=True)])


@st.composite
def mutated_examples(draw: st.DrawFn, examples: list[str] = EXAMPLES) -> str:
    """An example with some of its text cut out, doubled, or replaced by what means much to YAML or the language."""
    text = draw(st.sampled_from(examples))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        between = draw(st.one_of(st.just(""), st.just(text[start:end] * 2), SPLICES, LINES, st.text(max_size=5)))
        text = text[:start] + between + text[end:]
    return text


def invariants_or_mistakes(text: str) -> None:
    _read_or_mistakes(lambda: load_invariants([Source("invariants.yaml", text)]), Invariants)


def policy_or_mistakes(text: str | bytes) -> None:
    _read_or_mistakes(lambda: load_text(text), Policy)


def _read_or_mistakes(read: Callable[[], object], kind: type[object]) -> None:
    try:
        assert isinstance(read(), kind)
    except PolicyError as error:
        assert error.diagnostics
        places = [(told.file, told.line, told.column) for told in error.diagnostics if told.line]
        assert places == sorted(set(places))
        assert str(error).replace("\n", "").isprintable()


@given(mutated_examples())
@example("apiVersion: ctpolicy/v1\nname: x\nbypass: [{name: a, match: {protocol: udp, source-ports: []}}]\n")
def test_mutated_examples_are_policies_or_mistakes(text: str) -> None:
    policy_or_mistakes(text)


@given(mutated_examples(INVARIANTS))
def test_mutated_invariants_are_invariants_or_mistakes(text: str) -> None:
    invariants_or_mistakes(text)


@given(st.binary(max_size=300))
def test_random_bytes_are_mistakes(content: bytes) -> None:
    policy_or_mistakes(content)


@given(st.text(alphabet="abin:-?*&!|>'\"%@`#{}[], \n\t0123456789.~/", max_size=120))
def test_random_yaml_is_mistakes(text: str) -> None:
    policy_or_mistakes(text)


HEAD = "apiVersion: ctpolicy/v1\nname: x\n"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{n}: &{n} [{','.join(['*' + p] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "an alias bomb": BOMB,
    "deep lists": "a: " + "[" * 1_000_000,
    "deep mappings": "a: " + "{a: " * 500_000,
    "deep keys": "? " * 1_000_000,
    "deep indentation": "".join(" " * n + "a:\n" for n in range(2_000)),
    "a huge scalar": HEAD + "description: " + "x" * 4_000_000,
    "a huge scalar where another type belongs": HEAD + "bypass: " + "x" * 4_000_000,
    "a huge key": HEAD + "x" * 4_000_000 + ": 1",
    "a huge quoted scalar that does not end": HEAD + 'description: "' + "x" * 4_000_000,
    "a huge number": HEAD + "description: " + "9" * 4_000_000,
    "a long list of wrong items": HEAD + "bypass: [" + "1," * 190_000 + "]",
    "a long list of wrong addresses": HEAD + "groups: {a: [" + "1.2.3.4/1," * 190_000 + "]}",
    "a long list of right addresses": HEAD + "groups: {a: [" + "1.2.3.4," * 190_000 + "]}",
    "many keys": HEAD + "".join(f"k{n}: 1\n" for n in range(90_000)),
    "many groups": HEAD + "groups:\n" + "".join(f"  k{n}: nowhere\n" for n in range(90_000)),
    "many documents": "--- a\n" * 600_000,
    "many anchors": "".join(f"&a{n} " for n in range(90_000)),
    "many misspelt keys": HEAD + "bypass:\n" + "".join(f"- {{name: a{n}, overlayy: vxlan}}\n" for n in range(20_000)),
    "many misspelt groups": HEAD
    + "groups: {"
    + ",".join(f"g{n}: [1.2.3.4]" for n in range(5_000))
    + "}\nbypass:\n"
    + "".join(f"- {{name: a{n}, overlay: vxlan, peers: gg{n}}}\n" for n in range(5_000)),
    "too large": "#" * (LARGEST_POLICY + 1),
    "only line ends": "\n" * 4_000_000,
    "only comments": "#\n" * 2_000_000,
}


LOAD_AND_SAY_PEAK = """
import sys
from ctpolicy.language.diagnostics import PolicyError
from ctpolicy.language.load import load_text
try:
    load_text(sys.stdin.buffer.read())
except PolicyError as error:
    str(error)
# Not getrusage: its peak is that of whoever started this process, if that is higher (Linux 6.18).
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_takes_bounded_memory_and_time(text: str) -> None:
    """At most 300 MiB, the interpreter and the text itself among them, and 30 seconds on a busy machine."""
    child = subprocess.run(
        [sys.executable, "-c", LOAD_AND_SAY_PEAK], input=text.encode(), capture_output=True, timeout=30
    )
    assert child.stderr == b""
    assert int(child.stdout) < 300 << 10
