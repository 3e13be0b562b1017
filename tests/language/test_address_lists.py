"""Address lists in files: fast, strict, bounded, and read from nowhere but below the policy."""

from __future__ import annotations

import os
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from ctpolicy.language.addresses import MOST_TOLD, load_list
from ctpolicy.language.diagnostics import PolicyError
from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Overlay
from ctpolicy.language.source import UnreadableError

POLICY = """
apiVersion: ctpolicy/v1
name: x
groups: {nodes: {file: FILE}}
bypass:
  - {name: a, overlay: vxlan, peers: nodes}
"""


def told(file: str, directory: Path) -> str:
    with pytest.raises(PolicyError) as caught:
        load_text(POLICY.replace("FILE", file), directory=directory)
    return str(caught.value)


def test_comments_blank_lines_and_both_families(tmp_path: Path) -> None:
    (tmp_path / "nodes.txt").write_bytes(b"\xef\xbb\xbf# nodes\r\n10.0.0.0/31 # two\r\n\r\n10.0.0.2\n fd00::-fd00::f\n")
    policy = load_text(POLICY.replace("FILE", "nodes.txt"), directory=tmp_path)
    entry = policy.bypass[0]
    assert isinstance(entry, Overlay)
    assert entry.peers.group == "nodes"
    assert list(entry.peers.ipv4) == [(int(ip_address("10.0.0.0")), int(ip_address("10.0.0.2")))]
    assert list(entry.peers.ipv6) == [(int(ip_address("fd00::")), int(ip_address("fd00::f")))]


def test_a_hundred_thousand_lines_are_read_within_a_second(tmp_path: Path) -> None:
    lines = (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}\n" for n in range(0, 200_000, 2))
    (tmp_path / "nodes.txt").write_text("".join(lines))
    started = time.process_time()
    addresses, mistakes = load_list(tmp_path / "nodes.txt", tmp_path)
    assert time.process_time() - started < 1
    assert len(addresses.ipv4) == 100_000
    assert mistakes == []


def test_of_many_mistakes_some_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    (tmp_path / "nodes.txt").write_text("10.0.0.256\n" * 1000)
    _, mistakes = load_list(tmp_path / "nodes.txt", tmp_path)
    assert len(mistakes) == MOST_TOLD + 1
    assert mistakes[-1].message == f"has {1000 - MOST_TOLD} more mistakes like these"


def test_a_device_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "nodes.txt").symlink_to("/dev/zero")
    assert "is outside the policy's directory" in told("nodes.txt", tmp_path)


def test_a_pipe_that_nobody_writes_to_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "nodes.txt")
    assert "is not a regular file" in told("nodes.txt", tmp_path)


def test_a_symbolic_link_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("do not show this\n")
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "nodes.txt").symlink_to("../secret")
    message = told("nodes.txt", policies)
    assert "is outside the policy's directory" in message
    assert "do not show this" not in message


def test_a_symbolic_link_inside_the_directory_is_followed(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "nodes.txt").write_text("10.0.0.1\n")
    (tmp_path / "nodes.txt").symlink_to("..data/nodes.txt")
    load_text(POLICY.replace("FILE", "nodes.txt"), directory=tmp_path)


def test_links_in_a_circle_are_told(tmp_path: Path) -> None:
    (tmp_path / "nodes.txt").symlink_to("nodes.txt")
    assert "cannot be read" in told("nodes.txt", tmp_path)


def test_a_list_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "nodes.txt").open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(UnreadableError, match="is larger than 64 MiB"):
        load_list(tmp_path / "nodes.txt", tmp_path)


def test_control_characters_are_told_and_shown_harmlessly(tmp_path: Path) -> None:
    (tmp_path / "nodes.txt").write_text("10.0.0.1\n10.0.0.2 \x1b[2J\n")
    message = told("nodes.txt", tmp_path)
    assert f"{tmp_path}/nodes.txt:2:10: control character U+001B" in message
    assert "\x1b" not in message


def test_without_a_directory_there_is_no_file() -> None:
    with pytest.raises(PolicyError, match="this policy has no directory"):
        load_text(POLICY.replace("FILE", "nodes.txt"))
