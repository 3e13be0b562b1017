"""Law: an import is whole where names and patterns of interfaces lie in one another, or beside one another."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.importing.space_to_policy import import_untracked
from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.meaning_space import bypass_space
from ctpolicy.netfilter.treatment import Untracked

PATTERNS = ("e*", "eth", "eth*", "eth0*", "eth0", "eth1*", "eth1", "eth15*", "eth2*", "f*", "l*", "lo*", "lo", "lp*")
ADDRESSES = ("0.0.0.0/1", "127.0.0.0/8", "192.0.2.0/24", "192.0.2.1", "::/1", "::1", "fd00::/8")

Draw = Callable[[st.SearchStrategy[Any]], Any]


@st.composite
def _entries(draw: Draw) -> dict[str, Any]:
    interfaces = draw(st.lists(st.sampled_from(PATTERNS), max_size=3, unique=True))
    everywhere = {"interfaces": interfaces} if interfaces not in ([], ["lo"]) else {}
    address = draw(st.sampled_from(("", *ADDRESSES)))
    kind = draw(st.sampled_from(("host-service", "host-client", "match", "match")))
    ports = draw(st.sampled_from(("udp/53", "udp/1-100", "udp/50-60000")))
    if kind != "match":
        return {kind: ports, **everywhere, **({"peers": address} if address else {})}
    paths = draw(st.lists(st.sampled_from(("in", "forward", "out")), min_size=1, unique=True))
    box = {"destination-ports": ports, "paths": paths, "both-ways": draw(st.booleans()), **everywhere}
    return {"match": box | ({"destination": address} if address else {})}


@st.composite
def _policies(draw: Draw) -> Policy:
    sections = {key: draw(st.lists(_entries(), min_size=1, max_size=3)) for key in ("bypass", "track")}
    for key, entries in sections.items():
        for number, entry in enumerate(entries):
            entry |= {"name": f"{key}-{number}", "acknowledge": "a random policy"}
    return load_text(json.dumps({"apiVersion": "ctpolicy/v1", "name": "tested", **sections}))


@settings(max_examples=40)
@given(_policies())
def test_import_takes_holes_out_of_patterns(policy: Policy) -> None:
    space = bypass_space(policy)
    imported = import_untracked(Untracked(space, space), "imported")
    assert imported.is_complete
    assert bypass_space(load_text(imported.text)) == space
