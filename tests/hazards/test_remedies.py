"""What is offered against hazards: which rules, where they go, and what is never offered."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ctpolicy.hazards.between import hazards_between
from ctpolicy.hazards.fates import together
from ctpolicy.hazards.remedies import remedies
from ctpolicy.hazards.remedies_text import policy_part, remedies_text
from ctpolicy.hazards.remedy import Kind
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.language.load import load_text
from ctpolicy.meaning_space import entries_space
from ctpolicy.packetspace.fields import Family
from hazards.listings import ACCEPT, DROP, Rule, chain, host, jump, match, meta, payload, state, table
from hazards.repaired import Case, case, policy_of, saved

CLIENT = "host-client: udp/53\n    peers: 192.0.2.53"
SERVICE = "host-service: udp/53"
ESTABLISHED: Rule = [state("established", "related"), ACCEPT]
TO_ITSELF: Rule = [match(meta("iifname"), "lo"), ACCEPT]
ANSWERED = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
INVALID = "-A INPUT -m conntrack --ctstate INVALID -j DROP"


def firewall(*rules: Rule, policy: str = "drop") -> Case:
    read = host(table("firewall", {"input": chain(TO_ITSELF, ESTABLISHED, *rules, hook="input", policy=policy)}))
    return case(read, CLIENT)


def test_what_a_policy_drops_is_accepted_at_the_end_of_its_chain() -> None:
    assert firewall().commands()[0] == (
        "nft 'add rule inet firewall input udp sport 53 ip saddr 192.0.2.53 ct state untracked accept'"
    )


def test_what_a_rule_drops_is_accepted_before_it() -> None:
    commands = firewall([match(meta("l4proto"), "tcp"), ACCEPT], [DROP], policy="accept").commands()
    assert "insert rule inet firewall input index 3 udp sport 53 ip saddr 192.0.2.53 ct state untracked" in commands[0]


def test_icmp_errors_are_accepted_before_what_is_invalid_is_dropped() -> None:
    read = host(table("firewall", {"input": chain(TO_ITSELF, ESTABLISHED, [state("invalid"), DROP], hook="input")}))
    lines = case(read, CLIENT).commands()
    assert lines == [
        "nft 'insert rule inet firewall input index 2 icmp type "
        "{ destination-unreachable, time-exceeded, parameter-problem } ct state invalid accept'"
    ]


def test_types_of_errors_that_were_not_accepted_before_are_not_accepted() -> None:
    related: Rule = [match(payload("icmp type"), "destination-unreachable"), state("related"), ACCEPT]
    rules = chain(TO_ITSELF, [state("established"), ACCEPT], related, hook="input", policy="drop")
    lines = [line for line in case(host(table("t", {"input": rules})), CLIENT).commands() if "icmp" in line]
    assert lines == ["nft 'add rule inet t input icmp type destination-unreachable ct state invalid accept'"]


def test_chain_that_many_lead_to_lets_in_no_more_than_was_lost() -> None:
    """`drop` of what is forwarded, too, which nobody has lost: the rule goes before the jump of the input chain."""
    chains = {
        "input": chain(TO_ITSELF, ESTABLISHED, [jump("bad")], hook="input"),
        "forward": chain([jump("bad")], hook="forward"),
        "bad": chain([DROP]),
    }
    found = case(host(table("firewall", chains)), CLIENT, "ports: udp/53")
    sport = [line for line in found.commands() if "udp sport" in line]
    assert sport
    assert all("insert rule inet firewall input index 2" in line for line in sport)


def test_limit_is_not_passed_by() -> None:
    """The rule goes to what drops, not to the head: what the limit drops it still does."""
    read = saved(
        "-A INPUT -j DOCKER-USER",
        "-A DOCKER-USER -j RETURN",
        "-A INPUT -i lo -j ACCEPT",
        "-A INPUT -m limit --limit 5/sec -j DROP",
        ANSWERED,
        chains=("DOCKER-USER",),
    )
    assert case(read, CLIENT).commands()[0].startswith("iptables-legacy -w 5 -t filter -A INPUT -p udp")


@pytest.mark.parametrize("variant", Variant)
@pytest.mark.parametrize(("family", "tool"), [(Family.IPV4, "iptables"), (Family.IPV6, "ip6tables")])
def test_the_tool_of_the_table_is_called(variant: Variant, family: Family, tool: str) -> None:
    read = saved("-A INPUT -i lo -j ACCEPT", ANSWERED, INVALID, family=family, variant=variant)
    commands = case(read, "host-client: udp/53").commands()
    assert commands[0] == (
        f"{tool}-{variant.value} -w 5 -t filter -A INPUT -p udp --sport 53 -m conntrack --ctstate UNTRACKED -j ACCEPT"
    )
    kind = "icmp --icmp-type 3" if family is Family.IPV4 else "icmpv6 --icmpv6-type 1"
    assert commands[1] == (
        f"{tool}-{variant.value} -w 5 -t filter -I INPUT 3 -p {kind} -m conntrack --ctstate INVALID -j ACCEPT"
    )


def test_ufw_has_a_file_for_such_rules() -> None:
    chains = ("ufw-before-input", "ufw-after-input")
    read = saved(
        "-A INPUT -j ufw-before-input",
        "-A INPUT -j ufw-after-input",
        "-A ufw-before-input -i lo -j ACCEPT",
        "-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        chains=chains,
    )
    first, *_ = case(read, CLIENT).of_kind(Kind.ACCEPT)
    assert first.commands[0].startswith("iptables-legacy -w 5 -t filter -I ufw-before-input 1 -p udp")
    assert first.lasting[0] == (
        "In /etc/ufw/before.rules, before the first line that begins with `-A ufw-before-input`:"
    )
    assert first.lasting[1].startswith("    -A ufw-before-input -p udp -s 192.0.2.53 --sport 53 -m conntrack")


def test_firewalld_with_iptables_takes_direct_rules() -> None:
    read = saved("-A INPUT -i lo -j ACCEPT", ANSWERED, "-A INPUT -j INPUT_direct", chains=("INPUT_direct",))
    first, *_ = case(read, CLIENT).of_kind(Kind.ACCEPT)
    assert first.commands[0].startswith("iptables-legacy -w 5 -t filter -I INPUT_direct 1 -p udp -s 192.0.2.53")
    assert first.lasting[1].startswith(
        "    firewall-cmd --permanent --direct --add-rule ipv4 filter INPUT 0 -p udp -s 192.0.2.53 --sport 53"
    )


def test_docker_leaves_a_chain_to_people() -> None:
    read = saved(
        "-A FORWARD -j DOCKER-USER",
        "-A DOCKER-USER -j RETURN",
        "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A FORWARD -i docker0 -j ACCEPT",
        chains=("DOCKER-USER",),
    )
    commands = case(read, "forward: udp/53").commands()
    assert commands[0].startswith("iptables-legacy -w 5 -t filter -I DOCKER-USER 1 -p udp")


def test_whoever_bypasses_everything_gets_no_rule_that_accepts_everything() -> None:
    found = case(firewall().host, "match: {}\n    acknowledge: x")
    assert found.hazards()
    for line in found.commands():
        words = line.partition(" ct state")[0].removeprefix("nft '").split()
        assert {"saddr", "daddr", "sport", "dport", "type"} & set(words), line
    assert {Kind.TRACK, Kind.NARROWER} <= {one.kind for one in found.remedies()}


def test_answers_that_stay_tracked_are_helped_by_a_track_entry() -> None:
    entry = "match:\n      paths: [out]\n      destination-ports: udp/53\n      destination: 192.0.2.53"
    rules = chain(TO_ITSELF, ESTABLISHED, hook="input", policy="drop")
    (track,) = case(host(table("t", {"input": rules})), entry).of_kind(Kind.TRACK)
    assert track.codes == ("HZ002",)
    assert "destination-ports: udp/53" in track.text
    assert "both-ways: true" in track.text


def translating(*entries: str) -> Case:
    dnat = {"dnat": {"family": "ip", "addr": "10.0.0.1", "port": 80}}
    rules = chain([match(payload("tcp dport"), 8080), dnat], hook="prerouting", priority=-100, kind="nat")
    return case(host(table("nat", {"prerouting": rules}, family="inet")), *entries)


def test_what_is_translated_stays_tracked_by_an_entry() -> None:
    found = translating("host-service: [tcp/8080, tcp/9100]")
    (track,) = [one for one in found.of_kind(Kind.TRACK) if "HZ004" in one.codes]
    kept = entries_space(load_text(track.text).track)
    left = hazards_between(found.host, found.untracked - kept, found.untracked - kept)
    assert "HZ004" not in {one.code for one in left}
    assert found.untracked - kept, "what is not translated is still bypassed"
    assert policy_part(found.remedies()).count("- name: ") == len(track.entries)


def test_names_of_the_policy_are_not_taken_twice() -> None:
    found = translating("host-service: tcp/8080")
    names = [entry.name for one in found.remedies() for entry in one.entries if one.kind is Kind.TRACK]
    assert len(names) == len(set(names))


def test_path_on_which_packets_are_translated_is_left_out_of_an_entry() -> None:
    redirected = chain([match(payload("udp dport"), 53), {"redirect": {"port": 5300}}], hook="output", kind="nat")
    found = case(host(table("nat", {"output": redirected}, family="ip")), "ports: udp/53\n    families: [ipv4]")
    (less,) = [one for one in found.of_kind(Kind.NARROWER) if "HZ004" in one.codes]
    assert less.replaces == "entry-1"
    assert "paths: [in, forward]" in less.text


FIREWALLD = {
    "filter_INPUT": chain(ESTABLISHED, [state("invalid"), DROP], [jump("filter_INPUT_ZONES")], hook="input"),
    "filter_INPUT_ZONES": chain([jump("filter_IN_public")]),
    "filter_IN_public": chain([jump("filter_INPUT_POLICIES_pre")], TO_ITSELF, [DROP]),
    "filter_INPUT_POLICIES_pre": chain(),
}


def test_firewalld_takes_a_policy_of_rich_rules() -> None:
    found = case(host(table("firewalld", FIREWALLD)), CLIENT)
    untracked = next(one for one in found.of_kind(Kind.ACCEPT) if one.codes == ("HZ002",))
    assert "insert rule inet firewalld filter_IN_public index 2" in untracked.commands[0]
    rich = 'rule family="ipv4" source address="192.0.2.53" source-port port="53" protocol="udp" accept'
    assert f"    firewall-cmd --permanent --policy=ctpolicy-input --add-rich-rule='{rich}'" in untracked.lasting


def test_what_firewalld_drops_before_its_policies_it_has_no_setting_for() -> None:
    found = case(host(table("firewalld", FIREWALLD)), CLIENT)
    errors = [one for one in found.of_kind(Kind.ACCEPT) if one.codes == ("HZ003",)]
    assert errors
    assert not any("firewall-cmd" in line for one in errors for line in one.lasting)


def test_each_hazard_is_in_a_remedy_or_in_advice() -> None:
    read = host(
        table("firewall", {"input": chain(TO_ITSELF, ESTABLISHED, [state("invalid"), DROP], hook="input")}),
        table("odd", {"c": chain([DROP], hook="prerouting")}, family="bridge"),
    )
    found = case(read, CLIENT, SERVICE)
    told = [hazard for one in found.remedies() for hazard in one.hazards]
    for one in found.hazards():
        alike = [
            each.space for each in told if (each.code, each.rule, each.traffic) == (one.code, one.rule, one.traffic)
        ]
        assert one.space <= together(alike)
    assert any(one.code == "HZ015" for one in told)


HOSTILE = "a;flush ruleset"


@pytest.mark.parametrize("name", [HOSTILE, "$(reboot)", "a b", "a'b", "`reboot`", "-F", "a\nb", "a\x1b[31m"])
def test_names_that_could_be_commands_are_in_none(name: str) -> None:
    read = host(table(name, {"input": chain(TO_ITSELF, ESTABLISHED, hook="input", policy="drop")}))
    found = case(read, CLIENT)
    assert found.hazards()
    assert not found.of_kind(Kind.ACCEPT)
    only_comments(found)


def test_hostile_chains_and_rules_are_in_comments_alone() -> None:
    log = {"log": {"prefix": "\n$(reboot)\n\x1b[2J"}}
    chains = {
        "input": chain(TO_ITSELF, ESTABLISHED, [jump(HOSTILE)], hook="input"),
        HOSTILE: chain([log, match(meta("mark"), 7), DROP], [DROP]),
    }
    found = case(host(table("t", chains)), CLIENT)
    assert found.of_kind(Kind.ACCEPT), "before the jump, in a chain whose name is fair"
    only_comments(found)


def only_comments(found: Case) -> None:
    """Every line is one of the commands, or a comment that no terminal obeys."""
    offered = found.remedies()
    commands = {line for one in offered for line in one.commands}
    text = remedies_text(offered)
    assert "\x1b" not in text
    for line in text.split("\n"):
        assert line.isprintable()
        assert line in commands or not line or line.startswith("#"), line
    assert not any("flush" in line or "reboot" in line for line in commands)


def test_many_rules_cost_few_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hazards are asked for anew a bounded number of times, however many rules translate."""
    asked = []

    def counted(*given: object) -> object:
        asked.append(given)
        return hazards_between(*given)  # type: ignore[arg-type]

    for module in ("accepting", "keeping"):
        monkeypatch.setattr(f"ctpolicy.hazards.{module}.hazards_between", counted)
    dnat = {"dnat": {"family": "ip", "addr": "10.0.0.1"}}
    rules = [[match(payload("tcp dport"), port), dnat] for port in range(1000, 1040)]
    nat = chain(*rules, hook="prerouting", priority=-100, kind="nat")
    found = case(host(table("nat", {"prerouting": nat}, family="ip")), "host-service: tcp/1000-1039")
    remedies(found.hazards(), found.host, found.untracked, found.untracked, found.policy)
    assert len(asked) < 20


def test_text_says_what_each_is_for_and_how_it_is_undone() -> None:
    text = remedies_text(firewall().remedies())
    lines = text.splitlines()
    assert lines[0] == "#!/bin/sh"
    assert "#   HZ002 (certain, replies) Answers were accepted as established, and are dropped untracked." in text
    after = dict(pairwise(lines))
    assert after["# To undo it:"].startswith("# nft -a list chain inet firewall input | sed -n ")


def test_policies_that_are_not_given_are_not_needed() -> None:
    found = translating("host-service: tcp/8080")
    kinds = {one.kind for one in remedies(found.hazards(), found.host, found.untracked, found.untracked)}
    assert Kind.TRACK in kinds
    assert policy_of("host-service: tcp/8080").bypass
