"""Every field the supervision record has a place for, what fills it, when it is required and who must act.

Rule: this table is format `attend-record/1`. Source: regulatory reference 6.4 (audit packet fields); a field a later
capability fills is here already, empty and not required. docs/RECORD.md is generated from it.
"""

from dataclasses import dataclass

FORMAT = "attend-record/1"

NEEDS = {
    "": "no",
    "always": "always",
    "prepared": "once a technologist took the session",
    "requested": "once a physician was requested",
    "cancelled": "when the session was cancelled, declined or deferred",
    "contrast": "once contrast was given",
    "injection": "once contrast was given, unless a bypassed interlock is recorded in its place",
    "line": "once the line was verified and contrast was given",
    "attested": "when the verdict needed attestation and contrast was given under it",
    "monitored": "once contrast was given: the session is closed after it",
    "reaction": "for each reaction, once one was reported",
    "seal": "before sealing",
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of the record. `need` is a key of NEEDS; `who` acts when it is missing, as `why` says."""

    group: str
    name: str
    capability: str
    need: str = ""
    who: str = ""
    why: str = ""

    @property
    def path(self) -> str:
        """`group.name`."""
        return f"{self.group}.{self.name}"


_SESSION = "session"
_LATER_PEOPLE = "people and credentials"

_TABLE: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    (
        "session",
        (
            ("session_id", _SESSION, "always", "engine", "the session has no events"),
            ("organization_id", _SESSION, "always", "integrator", "the order names no organization"),
            ("mode", _SESSION, "always", "engine", "the supervision mode is not recorded"),
            ("planned_at", _SESSION),
            ("outcome", _SESSION, "always", "engine", "how the session ended is not recorded"),
            (
                "outcome_reason",
                _SESSION,
                "cancelled",
                "technologist",
                "say why the session ended without contrast",
            ),
        ),
    ),
    (
        "patient",
        (
            ("identity", _SESSION, "always", "integrator", "the patient's identity was never received"),
            ("age_years", _SESSION, "always", "integrator", "the birth date is missing from the order"),
            ("weight_kg", _SESSION),
            ("weight_method", _SESSION),
            (
                "identifiers_matched",
                _SESSION,
                "injection",
                "technologist",
                "identity was not confirmed on the line",
            ),
            ("identity_edits", _SESSION),
        ),
    ),
    (
        "order",
        (
            ("accession_number", _SESSION, "always", "integrator", "the order has no accession number"),
            ("placer_number", _SESSION),
            ("filler_number", _SESSION),
            ("study_instance_uid", _SESSION),
            ("procedure_code", _SESSION, "always", "integrator", "the order has no procedure code"),
            ("procedure_system", _SESSION, "always", "integrator", "the procedure code names no code system"),
            ("procedure_text", _SESSION),
            ("hcpcs", _SESSION),
            ("modality", _SESSION, "always", "integrator", "the order names no modality"),
            ("contrast_class", _SESSION),
            ("ordering_provider", _SESSION),
            ("order_edits", _SESSION),
        ),
    ),
    (
        "site",
        (
            ("site_id", _SESSION, "always", "integrator", "the order names no site"),
            ("room_id", _SESSION, "always", "integrator", "the order names no room"),
            (
                "site_state",
                _SESSION,
                "always",
                "coverage manager",
                "the site has no state; complete the site's entry",
            ),
            (
                "setting",
                _SESSION,
                "always",
                "coverage manager",
                "the site has no setting; complete the site's entry",
            ),
            ("payer_class", "coverage rules"),
            ("kit", _SESSION, "injection", "technologist", "no check of the emergency kit is recorded"),
        ),
    ),
    (
        "screening",
        (
            (
                "answers",
                _SESSION,
                "injection",
                "technologist",
                "record the screening answers; unknown is an answer",
            ),
            ("allergies", _SESSION),
            ("allergies_source", _SESSION),
            ("findings", _SESSION),
            ("premedication", _SESSION),
            ("premedication_choice", _SESSION),
            ("pack", _SESSION),
            ("reviewed", _SESSION, "injection", "physician", "the physician has not reviewed the screening"),
        ),
    ),
    (
        "rules",
        (
            ("verdict", "rules", "injection", "engine", "the rules were not asked"),
            ("layers", "rules", "injection", "engine", "the verdict lists no layers"),
            ("assumed", "rules"),
            ("rulebook_version", "rules", "injection", "engine", "the verdict names no rule book"),
            ("rulebook_hash", "rules", "injection", "engine", "the verdict names no rule book hash"),
            ("evaluated_at", "rules", "injection", "engine", "the verdict has no time"),
            ("attestations", "rules", "attested", "physician", "two people must have attested the verdict"),
            ("answers", "rules"),
        ),
    ),
    (
        "physician",
        (
            ("person_id", _SESSION, "injection", "coverage manager", "no physician supervised this session"),
            ("name", _SESSION, "injection", "coverage manager", "the physician's entry has no name"),
            ("npi", _SESSION, "injection", "coverage manager", "the physician's entry has no NPI"),
            (
                "licence_state",
                _SESSION,
                "injection",
                "coverage manager",
                "the physician's licence names no state",
            ),
            (
                "licence_number",
                _SESSION,
                "injection",
                "coverage manager",
                "the physician's licence has no number",
            ),
            ("licence_type", _SESSION),
            (
                "verified_at",
                _SESSION,
                "injection",
                "engine",
                "the physician's credentials were not looked up",
            ),
            ("verified_until", _SESSION),
            ("problems", _SESSION),
            ("enrolment", _LATER_PEOPLE),
            ("presence", _SESSION, "injection", "engine", "the physician's presence is not recorded"),
        ),
    ),
    (
        "responder",
        (
            ("person_id", _SESSION, "injection", "technologist", "no on-site responder checked in"),
            ("name", _SESSION, "injection", "coverage manager", "the responder's entry has no name"),
            ("role", _SESSION, "injection", "coverage manager", "the responder's entry has no role"),
            (
                "licence_type",
                _SESSION,
                "injection",
                "coverage manager",
                "the responder's entry has no licence type",
            ),
            ("licence_number", _SESSION),
            ("licence_state", _SESSION),
            ("competency_expires_on", _SESSION),
            (
                "verified_at",
                _SESSION,
                "injection",
                "engine",
                "the responder's credentials were not looked up",
            ),
            ("presence", _SESSION, "injection", "engine", "the responder's presence is not recorded"),
        ),
    ),
    (
        "technologist",
        (
            ("person_id", _SESSION, "prepared", "technologist", "no technologist took the session"),
            ("name", _LATER_PEOPLE),
            ("credential", _LATER_PEOPLE),
            ("venipuncture_certificate", _LATER_PEOPLE),
        ),
    ),
    (
        "contrast",
        (
            ("cleared", _SESSION, "injection", "physician", "the physician's clearance is not recorded"),
            ("agent", _SESSION, "contrast", "technologist", "the contrast agent is not recorded"),
            ("contrast_class", _SESSION, "contrast", "technologist", "the contrast class is not recorded"),
            ("concentration", _SESSION, "contrast", "technologist", "the concentration is not recorded"),
            ("volume_ml", _SESSION, "contrast", "technologist", "the volume given is not recorded"),
            ("route", _SESSION, "contrast", "technologist", "the route is not recorded"),
            ("lot", _SESSION),
            ("brand", _SESSION),
            ("rate_ml_per_s", _SESSION),
            ("expires_on", _SESSION),
            ("iv_site", _SESSION),
            ("iv_gauge", _SESSION),
            ("given_at", _SESSION, "contrast", "technologist", "when contrast was given is not recorded"),
            ("further_doses", _SESSION),
        ),
    ),
    (
        "times",
        (
            ("requested", _SESSION, "injection", "engine", "no request for supervision is recorded"),
            ("ringing", "ring", "injection", "engine", "no ring is recorded for the request"),
            ("accepted", _SESSION, "injection", "engine", "no physician's acceptance is recorded"),
            ("technologist_audio", "line", "injection", "engine", "audio from the room was never proven"),
            ("technologist_video", "line", "injection", "engine", "video from the room was never proven"),
            ("physician_audio", "line", "injection", "engine", "audio from the physician was never proven"),
            ("physician_video", "line", "injection", "engine", "video from the physician was never proven"),
            (
                "identity_confirmed",
                _SESSION,
                "injection",
                "technologist",
                "identity was not confirmed on the line",
            ),
            (
                "view_confirmed",
                _SESSION,
                "injection",
                "physician",
                "the view of patient and site was not confirmed",
            ),
            ("ready", _SESSION, "injection", "technologist", "READY was never granted"),
            (
                "injection_started",
                _SESSION,
                "injection",
                "technologist",
                "the start of the injection is missing",
            ),
            ("injection_ended", _SESSION, "monitored", "technologist", "complete the injection"),
            ("monitoring_ended", _SESSION, "monitored", "technologist", "complete the monitoring"),
            ("closed", _SESSION),
            ("clock_sync", "operations"),
        ),
    ),
    (
        "ready",
        (("tokens", _SESSION, "injection", "technologist", "READY was never granted"),),
    ),
    (
        "line",
        (
            ("evidence", "line", "injection", "engine", "the line was never proven both ways"),
            ("intervals", "line", "injection", "engine", "no interval of the line is recorded"),
            ("gaps", "line"),
            ("failovers", "media relay"),
        ),
    ),
    ("rings", (("ladders", "ring"),)),
    ("hand_offs", (("changes", _SESSION),)),
    ("monitoring", (("observe_until", _SESSION), ("vitals", _SESSION))),
    (
        "reaction",
        (
            ("onset_at", "reactions", "reaction", "technologist", "the onset is not recorded"),
            ("reported", "reactions", "reaction", "engine", "who reported it is not recorded"),
            ("class", "reaction packs"),
            ("severity", "reactions", "reaction", "physician", "set the severity"),
            ("worst_severity", "reactions"),
            ("suggested_severity", "reactions"),
            ("presentation", "reactions", "reaction", "physician", "set the presentation"),
            ("grades", "reactions"),
            ("signs", "reactions"),
            ("vitals", "reactions"),
            ("first_directive_at", "reactions"),
            ("emergency_call", "reactions"),
            ("resolved_at", "reactions"),
            ("disposition", "reactions", "reaction", "physician", "decide where the patient goes"),
            ("documentation", "reactions"),
            ("notes", "reactions"),
            ("pack", "reactions", "reaction", "engine", "the protocol pack in force is not recorded"),
            ("follow_up", "reactions"),
        ),
    ),
    ("interventions", (("directed", "reactions"), ("medications", "reactions"), ("read_backs", "reactions"))),
    (
        "exceptions",
        (
            ("bypasses", _SESSION),
            ("overrides", "reactions"),
            ("beyond_caps", "reactions"),
            ("offline_logs", _SESSION),
            ("unexpected", _SESSION),
            ("late_entries", _SESSION),
        ),
    ),
    (
        "engine",
        (
            ("demo", _SESSION, "always", "engine", "the demo mark is not recorded"),
            ("drill", _SESSION),
            ("version", "operations"),
        ),
    ),
    (
        "signatures",
        (
            ("technologist", _SESSION, "seal", "technologist", "confirm the record"),
            ("physician", _SESSION, "seal", "physician", "attest the supervision"),
            ("responder", "signatures"),
            ("earlier", _SESSION),
        ),
    ),
    (
        "log",
        (
            ("index", "transparency log"),
            ("inclusion_proof", "transparency log"),
            ("checkpoint", "transparency log"),
        ),
    ),
)

GROUPS = tuple(group for group, _ in _TABLE)
SLOTS = tuple(Slot(group, *row) for group, rows in _TABLE for row in rows)
BY_PATH = {slot.path: slot for slot in SLOTS}
SIGNED_LATER = ("signatures", "log")


def required_markdown() -> str:
    """Return the table of docs/RECORD.md: every field, what fills it, when it is required and who must act."""
    lines = ["| field | filled by | required | who must act |", "|---|---|---|---|"]
    lines += [
        f"| `{slot.path}` | {slot.capability} | {NEEDS[slot.need]} | {slot.who or '-'} |" for slot in SLOTS
    ]
    return "\n".join(lines) + "\n"
