"""Plans that are kept in a file, reviewed, and applied later or elsewhere.

A saved plan says what the policy was and what was live; what is to be done follows from these, and is planned afresh.
So nothing in the file is obeyed: its texts of policies are read, checked and compiled as files are, and the rest is
there to be compared with. If anything of it is no longer so, the plan is stale, and `what_moved` says what.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ctpolicy.errors import HostError, InputError
from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.language.load import Texts
from ctpolicy.language.schema import misfit
from ctpolicy.netfilter.backend import Backend, Json
from ctpolicy.plan.plan import Plan
from ctpolicy.plan.report import object_lines
from ctpolicy.plan.standing import bypasses

API_VERSION: Final = "ctpolicy.saved-plan/v1"

LARGEST: Final = 128 << 20
"""Characters of a saved plan. One of 100,000 prefixes that are live and in the policy takes 8 million."""


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan, as it is kept.

    Args:
        version: of the ctpolicy that made it.
        made: when, as text (ISO 8601, UTC).
        backend: the name of the backend that it is for.
        with_sets: whether long lists become ipsets, where the backend may choose.
        texts: the policies that it is of, and the address lists that they name.
        live: what was live of ours, as the backend writes it; None for nothing.
        others: what others' rules bypassed, line by line.
        desired: the fingerprint of what is to be live, as the backend writes it; None for nothing.
    """

    version: str
    made: str
    backend: str
    with_sets: bool
    texts: Texts
    live: str | None
    others: tuple[str, ...]
    desired: str | None


def save(plan: Plan[Any], texts: Texts, version: str, made: str) -> SavedPlan:
    """A plan for keeping.

    Args:
        plan: to be kept.
        texts: what its policy was read from.
        version: of this ctpolicy.
        made: now, as text.
    """
    backend = plan.backend
    live = None if plan.live is None else backend.written(plan.live)
    return SavedPlan(
        version, made, backend.name, _with_sets(backend), texts, live, bypasses(plan.others), _desired(plan)
    )


def _with_sets(backend: Backend[Any]) -> bool:
    return backend.with_sets if isinstance(backend, IptablesBackend) else True


def _desired(plan: Plan[Any]) -> str | None:
    return None if plan.desired is None else fingerprint(plan.backend.written(plan.desired))


def fingerprint(text: str) -> str:
    """A text's SHA-256; that of a file of UTF-8 is what `sha256sum` prints."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def saved_text(saved: SavedPlan) -> str:
    """The file's text, by schemas/saved-plan-v1.schema.json.

    Raises:
        InputError: it would be too large to be read again.
    """
    document = {
        "apiVersion": API_VERSION,
        "version": saved.version,
        "made": saved.made,
        "backend": {"name": saved.backend, "ipset": saved.with_sets},
        "policies": [_named_json(*one) for one in saved.texts.policies],
        "lists": [_named_json(*one) for one in saved.texts.lists],
        "live": None if saved.live is None else _text_json(saved.live),
        "others": list(saved.others),
        "desired": None if saved.desired is None else {"sha256": saved.desired},
    }
    text = json.dumps(document, indent=2) + "\n"
    if len(text) > LARGEST:
        raise InputError(f"This plan is too large to be saved: {len(text) >> 20} MiB, of at most {LARGEST >> 20}.")
    return text


def _named_json(name: str, text: str) -> Json:
    return {"name": name, **_text_json(text)}


def _text_json(text: str) -> Json:
    return {"sha256": fingerprint(text), "text": text}


def is_saved_plan(text: str) -> bool:
    """Whether a text is meant as a saved plan, damaged or not. A policy may be JSON too, but is never of this kind."""
    return text.lstrip().startswith("{") and '"ctpolicy.saved-plan/' in text


def read_saved(text: str) -> SavedPlan:
    """The inverse of saved_text; what it says of the policy is not looked at.

    Raises:
        InputError: it is no saved plan, was cut or edited, or is of another version of the form.
    """
    if len(text) > LARGEST:
        raise _damaged(f"it is larger than {LARGEST >> 20} MiB")
    try:
        document = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_no_number)
        misfitting = misfit(document, "saved-plan")
    except (ValueError, RecursionError) as error:
        raise _damaged(f"it is not JSON as ctpolicy writes it ({str(error)[:80]})") from error
    if isinstance(document, dict) and str(document.get("apiVersion")) != API_VERSION:
        raise InputError(f"This is no saved plan that this ctpolicy reads: its apiVersion is not {API_VERSION}.")
    if misfitting is not None:
        raise _damaged(misfitting)
    _check_fingerprints(document)
    return SavedPlan(
        document["version"],
        document["made"],
        document["backend"]["name"],
        document["backend"]["ipset"],
        Texts(*(tuple((one["name"], one["text"]) for one in document[kind]) for kind in ("policies", "lists"))),
        document["live"] and document["live"]["text"],
        tuple(document["others"]),
        document["desired"] and document["desired"]["sha256"],
    )


def _without_doubles(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _check_fingerprints(document: Json) -> None:
    names = [one["name"] for one in document["lists"]]
    if len(set(names)) != len(names):
        raise _damaged("a list is in it twice")
    texts = [(f"the policy {one['name']}", one) for one in document["policies"]]
    texts += [(f"the list {one['name']}", one) for one in document["lists"]]
    texts += [("what was live", document["live"])] if document["live"] else []
    for what, one in texts:
        if fingerprint(one["text"]) != one["sha256"]:
            raise _damaged(f"{what} is not as its sha256 says")


def _damaged(reason: str) -> InputError:
    return InputError(
        f"This saved plan is damaged or was edited: {reason}. Plan again: ctpolicy plan --out FILE POLICY..."
    )


def what_moved(saved: SavedPlan, fresh: Plan[Any]) -> tuple[str, ...]:
    """What is no longer as it was when a plan was saved, line by line; nothing if it may be applied.

    If what it is to make live is live by now, there is nothing that could go wrong, and so nothing has moved.

    Args:
        saved: the plan.
        fresh: the same policy planned now, for the same backend.

    Raises:
        InputError: what it says was live is nothing that the backend has written.
    """
    if _with_sets(fresh.backend) != saved.with_sets:
        return ("- ipset: it was there, and this host has none now",)
    if _desired(fresh) != saved.desired:
        return (f"~ ctpolicy: {saved.version} made the plan, and compiled the policy otherwise than this one does",)
    if not fresh:
        return ()
    return (*_own_moved(saved, fresh), *_others_moved(saved.others, bypasses(fresh.others)))


def _own_moved(saved: SavedPlan, fresh: Plan[Any]) -> Iterator[str]:
    backend = fresh.backend
    before = None if saved.live is None else backend.read_written(saved.live)
    if before == fresh.live:
        return
    yield "~ what is live of ctpolicy's:"
    try:
        yield from object_lines(list(backend.objects(before, fresh.live)))
    except HostError as error:  # what others have put there: it cannot be told as a change that could be made
        yield f"    ~ {error}"
    known = set() if before is None else set(backend.lost(before))
    for one in backend.lost(fresh.live) if fresh.live is not None else ():
        if one not in known:
            yield f"    + {one}"


def _others_moved(before: tuple[str, ...], now: tuple[str, ...]) -> Iterator[str]:
    if before != now:
        yield "~ what others' rules leave untracked:"
        yield from (f"    - {line}" for line in before if line not in now)
        yield from (f"    + {line}" for line in now if line not in before)
