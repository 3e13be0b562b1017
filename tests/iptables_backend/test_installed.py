"""The tools are found by the names that distributions give them, and a plain name says of which variant it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctpolicy.iptables.installed import Action, find_ipset, find_iptables
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from iptables_backend.fake_programs import program

LEGACY = "echo 'iptables-save v1.8.9 (legacy)'"
NFT = "echo 'iptables-save v1.8.9 (nf_tables)'"


def found(variant: Variant, directory: Path, family: Family = Family.IPV4) -> tuple[str, ...] | None:
    command = find_iptables(variant, family, Action.SAVE, str(directory))
    return command and tuple(word.removeprefix(f"{directory}/") for word in command)


def test_the_full_name_comes_first(tmp_path: Path) -> None:
    for name in ("iptables-legacy-save", "xtables-legacy-multi", "iptables-save"):
        program(tmp_path, name, LEGACY)
    assert found(Variant.LEGACY, tmp_path) == ("iptables-legacy-save",)
    assert found(Variant.NFT, tmp_path) is None


def test_the_program_that_is_all_tools_will_do(tmp_path: Path) -> None:
    program(tmp_path, "xtables-legacy-multi", LEGACY)
    assert found(Variant.LEGACY, tmp_path) == ("xtables-legacy-multi", "iptables-save")
    assert found(Variant.LEGACY, tmp_path, Family.IPV6) == ("xtables-legacy-multi", "ip6tables-save")


@pytest.mark.parametrize(("says", "variant"), [(LEGACY, Variant.LEGACY), (NFT, Variant.NFT)])
def test_a_plain_name_is_asked_of_which_variant_it_is(says: str, variant: Variant, tmp_path: Path) -> None:
    program(tmp_path, "iptables-save", says)
    assert {one: found(one, tmp_path) for one in Variant if found(one, tmp_path)} == {variant: ("iptables-save",)}


@pytest.mark.parametrize("script", ["echo 'iptables-save v1.6.1'", "exit 1", "echo '(legacy)' >&2"])
def test_a_plain_name_that_does_not_say_is_nobodys(script: str, tmp_path: Path) -> None:
    program(tmp_path, "iptables-save", script)
    assert not any(found(variant, tmp_path) for variant in Variant)


def test_what_cannot_be_run_is_not_installed(tmp_path: Path) -> None:
    program(tmp_path, "ipset", "exit 0")
    assert find_ipset(f"/nonexistent:{tmp_path}") == (f"{tmp_path}/ipset",)
    (tmp_path / "ipset").chmod(0o644)
    assert find_ipset(str(tmp_path)) is None


def test_a_relative_directory_is_never_looked_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "ipset", "exit 0")
    monkeypatch.chdir(tmp_path)
    assert find_ipset(".:") is None
