"""What a console writes down without the network, entry by entry, as the session takes it in."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from engine.kernel.canonical import canonical_hash


class OfflineKind(StrEnum):
    """What a console wrote down without the network."""

    ONSET = "onset"
    SIGNS = "signs"
    VITALS = "vitals"
    WEIGHT = "weight"
    STEP_DONE = "step_done"
    READ_BACK = "read_back"
    MEDICATION = "medication"
    EMERGENCY_CALL = "emergency_call"
    IMPROVING = "improving"
    RESOLVED = "resolved"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineEntry:
    """One fact of a console's log. `entry_id` is the device's own; `at` is its clock's time; the rest is by `kind`."""

    entry_id: str
    kind: OfflineKind
    at: dt.datetime
    by: str
    signs: tuple[str, ...] = ()
    systolic_mmhg: int | None = None
    diastolic_mmhg: int | None = None
    heart_rate_bpm: int | None = None
    spo2_percent: int | None = None
    respiratory_rate_bpm: int | None = None
    conscious: bool | None = None
    oxygen_l_per_min: Decimal | None = None
    rhythm: str = ""
    glucose_mg_per_dl: int | None = None
    response: str = ""
    weight_kg: Decimal | None = None
    weight_method: str = ""
    step_id: str = ""
    drug: str = ""
    route: str = ""
    dose_mg: Decimal | None = None
    concentration_mg_per_ml: Decimal | None = None
    volume_ml: Decimal | None = None
    site: str = ""
    lot: str = ""
    service: str = ""
    text: str = ""

    @property
    def key(self) -> str:
        """What makes two tellings the same entry: its id and all that it says; another text under one id is another."""
        return f"{self.entry_id} {canonical_hash(self)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineLog:
    """A console's log as far as it has come in: the reaction that it is of, and which entries were taken."""

    log_id: str
    reaction_id: str
    entries: frozenset[str]
