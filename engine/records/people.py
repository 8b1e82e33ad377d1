"""Who somebody is, from the events that say it: names where credentials were looked up, roles from what they did.

Rule: nothing is looked up anywhere else; whom the file does not name stays an id.
"""

from collections.abc import Mapping, Sequence
from typing import Any


class People:
    """The people of one file's events."""

    def __init__(self, events: Sequence[Mapping[str, Any]]) -> None:
        self._names: dict[str, str] = {}
        self._roles: dict[str, str] = {}
        for event in events:
            actor = event["actor"]
            self._roles.setdefault(actor["person_id"], actor["role"].replace("_", " "))
            evidence = event["payload"].get("evidence")
            if isinstance(evidence, Mapping) and evidence.get("name"):
                self._names[evidence["person_id"]] = evidence["name"]

    def shown(self, person_id: str) -> str:
        """Return name and id, or role and id, or the id alone; a part of the engine is the engine."""
        if person_id.startswith("system:"):
            return "engine"
        known = self._names.get(person_id) or self._roles.get(person_id)
        return f"{known} ({person_id})" if known else person_id
