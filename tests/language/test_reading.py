"""What text files hold and YAML tests cannot show: bytes, control characters, line ends, wide characters."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctpolicy.language.diagnostics import Diagnostic, Place, PolicyError, render
from ctpolicy.language.load import load_files, load_text, merge
from ctpolicy.language.policy import Policy, ProtocolPorts

HEAD = "apiVersion: ctpolicy/v1\nname: x\n"


def told(text: str | bytes) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        load_text(text)
    return str(caught.value).split("\n")


def test_what_is_not_utf8_is_told_at_its_place() -> None:
    assert told("description: grün\n".encode("latin-1"))[0] == "policy.yaml:1:16: byte 0xfc is not UTF-8"


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\r"])
def test_a_control_character_is_told_at_its_place(character: str) -> None:
    lines = told(f"{HEAD}description: a{character}b\n")
    assert lines[0] == f"policy.yaml:3:15: control character U+{ord(character):04X}"
    assert character not in "".join(lines)


def test_a_lone_surrogate_is_told() -> None:
    assert told(HEAD + "description: \ud800\n")[0] == "policy.yaml:3:14: control character U+D800"


def test_windows_line_ends_and_a_byte_order_mark_are_taken() -> None:
    text = "\ufeff" + HEAD.replace("\n", "\r\n") + "bypass:\r\n  - {name: a, ports: udp/70000}\r\n"
    assert told(text)[:3] == [
        "policy.yaml:4:26: port 70000 is above 65535",
        "      - {name: a, ports: udp/70000}",
        "                             ^~~~~",
    ]


def test_the_caret_stands_below_wide_characters() -> None:
    lines = told(HEAD + 'bypass: [{description: "日本", name: a, ports: udp/70000}]\n')
    assert lines[0].startswith("policy.yaml:3:")
    assert lines[2].index("^") == lines[1].index("70000") + 2


def test_a_long_line_is_shown_in_part() -> None:
    lines = told(HEAD + "bypass: [{name: a, description: " + "x" * 5000 + ", ports: udp/70000}]\n")
    assert len(lines[1]) <= 164
    assert lines[1][lines[2].index("^") :].startswith("70000")


def test_what_a_message_quotes_is_harmless_too() -> None:
    text = render(Diagnostic(Place("a\x1b[2J.yaml", 1, 1, 1, "\x1b]0;x\x07"), "`\x9b31m` is not a name"))
    assert text.replace("\n", "").isprintable()


def test_a_missing_file_and_a_faulty_one_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(HEAD + "bypass: [{name: a, ports: udp/70000}]\n")
    with pytest.raises(PolicyError) as caught:
        load_files([tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path])
    assert [told.message for told in caught.value.diagnostics] == [
        "cannot be read: Is a directory",
        "cannot be read: No such file or directory",
        "port 70000 is above 65535",
    ]


def test_a_group_that_may_be_in_an_unreadable_file_is_not_told_as_missing(tmp_path: Path) -> None:
    (tmp_path / "groups.yaml").write_text(HEAD + "groups: {nodes: [10.0.0.1]\n")
    (tmp_path / "policy.yaml").write_text(HEAD + "bypass: [{name: a, overlay: vxlan, peers: nodes}]\n")
    with pytest.raises(PolicyError) as caught:
        load_files([tmp_path / "policy.yaml", tmp_path / "groups.yaml"])
    assert [Path(told.file).name for told in caught.value.diagnostics] == ["groups.yaml"]


def test_groups_of_one_file_are_used_in_another(tmp_path: Path) -> None:
    (tmp_path / "groups.yaml").write_text("apiVersion: ctpolicy/v1\nname: groups\ngroups: {nodes: [10.0.0.1]}\n")
    (tmp_path / "policy.yaml").write_text(HEAD + "bypass: [{name: a, overlay: vxlan, peers: nodes}]\n")
    policy = load_files([tmp_path / "groups.yaml", tmp_path / "policy.yaml"])
    assert policy.name == "groups + x"
    assert policy.protect == load_text(HEAD).protect


def test_acknowledged_traffic_may_be_bypassed() -> None:
    policy = load_text(HEAD + 'bypass: [{name: a, host-service: tcp/22, acknowledge: "filtered on the switch"}]\n')
    assert policy.bypass[0].acknowledge == "filtered on the switch"


def test_protocols_may_be_numbers_where_no_port_can_be_meant() -> None:
    policy = load_text(HEAD + "bypass: [{name: a, match: {protocol: 47}}, {name: b, overlay: {protocol: '115'}}]\n")
    by_name = "bypass: [{name: a, match: {protocol: gre}}, {name: b, overlay: {protocol: l2tp}}]\n"
    assert policy == load_text(HEAD + by_name)


def test_merging_policies_with_one_name_twice_is_refused() -> None:
    policy = load_text(HEAD + "bypass: [{name: a, ports: udp/53}]\n")
    with pytest.raises(PolicyError, match="the entry `a` is in x too"):
        merge([policy, policy])


def test_merging_unites_what_is_protected() -> None:
    one, other = (Policy(name, protect=(ProtocolPorts(50 + at),)) for at, name in enumerate("ab"))
    assert merge([one, other]) == Policy("a + b", protect=(ProtocolPorts(50), ProtocolPorts(51)))
