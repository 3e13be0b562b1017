"""Trying out in a scratch namespace what a kernel can: the names of modules do not tell, since many are built in.

It takes what ctpolicy itself would load. The kernel may load modules for it, as it would for applying a policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ctpolicy.doctor.facts import OF_IPTABLES, WORKS, Trial, Unseen
from ctpolicy.errors import CtpolicyError
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.namespaces import scratch_namespace
from ctpolicy.nftables.kernel import Libnftables

_LOCK_WAIT: Final = 2
_NAME: Final = "ctpolicy-trial"
_TABLE: Final = {"family": "inet", "name": "ctpolicy_trial"}
_IN_TABLE: Final = {"family": "inet", "table": "ctpolicy_trial"}
_HOOK: Final = {"type": "filter", "hook": "prerouting", "prio": -300, "policy": "accept"}
_CHAIN: Final = {**_IN_TABLE, "name": "early", **_HOOK}
_MOST_SAID: Final = 300


def _nft(*expressions: dict[str, Any]) -> dict[str, Any]:
    """A table with a raw chain, and one rule in it if there are expressions."""
    rules = [{"add": {"rule": {**_IN_TABLE, "chain": "early", "expr": list(expressions)}}}] if expressions else []
    return {"nftables": [{"add": {"table": _TABLE}}, {"add": {"chain": _CHAIN}}, *rules]}


def _match(operator: str, left: dict[str, Any], right: str) -> dict[str, Any]:
    return {"match": {"op": operator, "left": left, "right": right}}


_NFT_TRIALS: Final = {
    Trial.NF_TABLES: _nft(),
    Trial.NFT_NOTRACK: _nft({"notrack": None}),
    Trial.NFT_FIB: _nft(_match("==", {"fib": {"result": "type", "flags": ["daddr"]}}, "local")),
    Trial.CONNTRACK: _nft(_match("in", {"ct": {"key": "state"}}, "new")),
}


def trials(path: str, patience: float) -> Mapping[Trial, str] | Unseen:
    """What works, and of what does not why; Unseen where we may have no scratch namespace.

    Args:
        path: directories with the tools.
        patience: seconds for each trial.
    """
    with scratch_namespace() as scratch:
        if scratch is None:
            return Unseen("a scratch network namespace needs CAP_SYS_ADMIN: run this as root (sudo)")
        nft = Libnftables(scratch, patience)
        tools = IptablesTools(scratch, patience, _LOCK_WAIT, path)
        found = {trial: _tried(nft.commit, document) for trial, document in _NFT_TRIALS.items()}
        for trial, (variant, family) in OF_IPTABLES.items():
            found[trial] = _tried(tools.restore, variant, family, _raw())
        found[Trial.IPSET] = _tried(tools.restore_sets, f"create {_NAME} hash:net\n")
        matching = next((OF_IPTABLES[trial] for trial in OF_IPTABLES if found[trial] == WORKS), None)
        if matching and found[Trial.IPSET] == WORKS:
            found[Trial.MATCH_SET] = _tried(tools.restore, *matching, _raw(f"-m set --match-set {_NAME} src "))
        return found


def _raw(matches: str = "") -> str:
    """A chain of ours in the raw table, with one rule of those that we write."""
    questions = '-p udp -m udp --dport 4789 -m addrtype --dst-type LOCAL -m comment --comment "a trial"'
    return f"*raw\n:CTPOLICY-TRIAL - [0:0]\n-A CTPOLICY-TRIAL {matches}{questions} -j CT --notrack\nCOMMIT\n"


def _tried(attempt: Callable[..., None], *arguments: object) -> str:
    try:
        attempt(*arguments)
    except CtpolicyError as error:
        return str(error).partition("\n")[0][:_MOST_SAID]  # libnftables repeats all that it was given
    return WORKS
