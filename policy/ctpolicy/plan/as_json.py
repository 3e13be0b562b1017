"""Plans for programs, by schemas/plan-v1.schema.json."""

from __future__ import annotations

from typing import Any, Final

from ctpolicy.netfilter.backend import Json, ObjectChange
from ctpolicy.plan.hazard_report import hazards_json
from ctpolicy.plan.plan import EntryChange, Plan
from ctpolicy.plan.remedying import NO_REMEDIES, Remedies, remedies_json
from ctpolicy.plan.standing import others_json
from ctpolicy.plan.traffic import shifts_json

NOT_COUNTED: Final[Json] = {"counted": None, "note": "not counted"}


def plan_json(plan: Plan[Any], existing: Json = NOT_COUNTED, remedies: Remedies = NO_REMEDIES) -> Json:
    """The plan as one object.

    Args:
        plan: itself.
        existing: what it makes of the entries that are in the conntrack table.
        remedies: what helps against its hazards.
    """
    return {
        "apiVersion": "ctpolicy.plan/v1",
        "policy": plan.policy,
        "backend": plan.backend.name,
        "pending": bool(plan),
        "entries": [_entry_json(entry) for entry in plan.entries],
        "traffic": shifts_json(plan.traffic),
        "foreign": others_json(plan.others),
        "hazards": hazards_json(plan.consequences),
        "remedies": remedies_json(remedies),
        "notes": list(plan.notes),
        "objects": [_object_json(changed) for changed in plan.backend.objects(plan.live, plan.desired)] if plan else [],
        "transaction": plan.document(),
        "existing": existing,
    }


def _entry_json(entry: EntryChange) -> Json:
    return {"name": entry.name, "role": entry.role, "change": entry.turn.name.lower()}


def _object_json(changed: ObjectChange) -> Json:
    return {
        "kind": changed.kind,
        "name": changed.name,
        "change": changed.turn.name.lower(),
        "added": [line.strip() for line in changed.added],
        "removed": [line.strip() for line in changed.removed],
    }
