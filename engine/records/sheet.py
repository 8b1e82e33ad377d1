"""What the printed record shows, as rows of text: the file's JSON in, a plain dictionary for the template out."""

from collections.abc import Mapping
from typing import Any

from engine.records.people import People
from engine.records.strip import moment, strip
from engine.records.timeline import dose_text, signs_text, spaced, step_name, timeline, words

_VERDICTS = {
    "allow": "allowed",
    "needs_attestation": "allowed only with two people's attestation",
    "deny": "not allowed",
}
_LAYERS = {
    "federal": "Federal payer",
    "federal_payer": "Federal payer",
    "other_payer": "Other payer",
    "state": "State",
    "state_practice": "State practice act",
    "accreditor": "Accreditor",
    "facility": "Facility",
}
_TIMES = (
    ("requested", "Physician requested"),
    ("ringing", "Ringing"),
    ("accepted", "Physician accepted"),
    ("technologist_audio", "Audio from the room proven"),
    ("technologist_video", "Video from the room proven"),
    ("physician_audio", "Audio from the physician proven"),
    ("physician_video", "Video from the physician proven"),
    ("identity_confirmed", "Identity confirmed"),
    ("view_confirmed", "View of patient and site confirmed"),
    ("ready", "READY"),
    ("injection_started", "Injection started"),
    ("injection_ended", "Injection ended"),
    ("monitoring_ended", "Monitoring ended"),
)


class _Sheet:
    """Reads values of one file by path."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.events = document["events"]
        self.zero = moment(self.events[0]["at"])
        self.shown = People(self.events).shown

    def of(self, path: str) -> Any:
        group, name = path.split(".")
        return self.document["record"][group][name]["value"]

    def text(self, path: str) -> str:
        value = self.of(path)
        return "not recorded" if value is None else str(value)

    def clock(self, at: str | None) -> str:
        """Return a time of day, with the date when it is another day than the first event's."""
        if at is None:
            return "–"
        time = moment(at)
        return (
            time.strftime("%H:%M:%S") if time.date() == self.zero.date() else time.strftime("%m-%d %H:%M:%S")
        )

    def identity(self) -> Mapping[str, Any] | None:
        ref = (self.of("patient.identity") or {}).get("ref")
        found = self.document["disclosed"].get(ref)
        return found["value"] if found else None


def sheet(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything the template prints. All leaves are text, so the template formats and decides nothing."""
    s = _Sheet(document)
    intervals, gaps = s.of("line.intervals") or [], s.of("line.gaps") or []
    return {
        "demo": bool(s.of("engine.demo")),
        "drill": bool(s.of("engine.drill")),
        "title": {
            "site": f"{s.text('site.site_id')} · room {s.text('site.room_id')}",
            "place": f"{s.text('site.site_state')} · {s.text('site.setting')} · mode {s.text('session.mode')}",
            "session": s.text("session.session_id"),
            "date": s.zero.strftime("%Y-%m-%d"),
            "outcome": _outcome(s),
        },
        "boxes": [_patient(s), _exam(s), _people(s), _contrast(s)],
        "screening": _found(s),
        "verdict": _verdict(s),
        "times": [
            [label, s.clock(at)] for name, label in _TIMES if (at := s.of(f"times.{name}")) is not None
        ],
        "strip": strip(intervals, gaps, _marks(s), _line_end(s)),
        "gaps": [
            [
                str(g["number"]),
                s.clock(g["start"]),
                s.clock(g["end"]),
                _length(g),
                words(g["cause"]),
                g["action"],
            ]
            for g in gaps
        ],
        "reactions": [_reaction(s, name) for name in s.of("reaction.reported") or {}],
        "exceptions": _exceptions(s),
        "timeline": [
            [
                s.clock(m.at),
                m.text,
                m.who,
                m.event_id.replace(f"/{s.text('session.session_id')}", "", 1),
                m.kind,
            ]
            for m in timeline(s.events)
        ],
        "signatures": _signatures(s),
        "seal": _seal(s),
    }


def _outcome(s: _Sheet) -> str:
    reason = s.of("session.outcome_reason")
    return s.text("session.outcome") + (f": {words(reason)}" if reason else "")


def _patient(s: _Sheet) -> dict[str, Any]:
    who = s.identity()
    if who is None:
        rows = [["Identity", "erased or left out of this file; its commitment is kept"]]
    else:
        rows = [
            ["Name", f"{who['family']}, {who['given']}"],
            ["Record number", f"{who['mrn']} ({who['authority']})"],
            ["Born", f"{who['birth_date']} · {who['sex']}"],
        ]
    weight = s.of("patient.weight_kg")
    rows.append(
        ["Age, weight", f"{s.text('patient.age_years')} y · {f'{weight} kg' if weight else 'weight unknown'}"]
    )
    matched = s.of("patient.identifiers_matched")
    rows.append(["Identity confirmed", ", ".join(map(words, matched)) if matched else "not on the line"])
    return {"title": "Patient", "rows": rows}


def _exam(s: _Sheet) -> dict[str, Any]:
    code = f"{s.text('order.procedure_code')} ({s.text('order.procedure_system')})"
    rows = [
        ["Procedure", s.of("order.procedure_text") or code],
        ["Code, modality", f"{code} · {s.text('order.modality')}"],
        ["Accession", s.text("order.accession_number")],
        ["Ordered by", s.text("order.ordering_provider")],
        ["Screening", _screening(s)],
        ["Allergies", _allergies(s)],
    ]
    return {"title": "Exam", "rows": rows}


def _screening(s: _Sheet) -> str:
    answers = s.of("screening.answers")
    if answers is None:
        return "not recorded"
    words_of = {
        name: value
        for name, value in answers.items()
        if isinstance(value, str) and name not in ("agent", "access", "egfr_ml_min_173m2", "egfr_on")
    }
    said = [
        f"{words(name)}: {words(value)}" for name, value in words_of.items() if value not in ("unknown", "")
    ]
    if answers["egfr_ml_min_173m2"] is not None:
        on = answers["egfr_on"] or "an unknown day"
        said.append(f"eGFR {answers['egfr_ml_min_173m2']} mL/min/1.73 m² of {on}")
    for prior in answers.get("prior_reactions") or []:
        told = (prior["agent"] or "unknown agent", prior["contrast_class"], prior["kind"], prior["severity"])
        said.append(f"earlier reaction ({', '.join(map(words, told))})")
    said += [f"{name}: {answers[name]}" for name in ("agent", "access") if answers.get(name)]
    unknown = [words(name) for name, value in words_of.items() if value in ("unknown", "")]
    return ", ".join(said) + (f". UNKNOWN: {', '.join(unknown)}" if unknown else "")


def _found(s: _Sheet) -> dict[str, Any]:
    """What the protocols said of the screening, a row each, and the regimens they left to the physician."""
    findings = s.of("screening.findings") or []
    pack = s.of("screening.pack")
    return {
        "head": words(findings[0]["outcome"]) if findings else "",
        "rows": [
            [
                words(one["outcome"]),
                one["sentence"],
                f"{one['row_id'] or 'no row'} · {one['citation']} [{one['evidence']}]",
            ]
            for one in findings
        ],
        "premedication": [
            f"{one['row_id']} ({words(one['situation'])}, by row {one['because']}): "
            + ("; ".join(dose["text"] for dose in one["doses"]) or one["text"])
            + f" · {one['citation']} [{one['evidence']}]"
            for one in s.of("screening.premedication") or []
        ],
        "choice": _premedication(s.of("screening.premedication_choice")),
        "pack": f"Pack {pack['pack_id']}, hash {pack['pack_hash']}" if pack else "",
    }


def _premedication(choice: Mapping[str, Any] | None) -> str:
    """Say what the physician decided about the premedication offered; "" when nothing was offered or decided."""
    if choice is None:
        return ""
    said = f"{choice['row_id']} ordered" if choice["row_id"] else "declined"
    planned = ", ".join(filter(None, (choice["agent"], choice["contrast_class"])))
    because = f", because: {choice['reason']}" if choice["reason"] else ""
    late = "; OUTDATED: another agent or class is planned since" if choice["outdated"] else ""
    return f"Premedication {said} for {planned}{because}{late}."


def _allergies(s: _Sheet) -> str:
    source = s.of("screening.allergies_source")
    if source is None:
        return "unknown"
    listed = [
        a["substance"] + (f" ({a['reaction']})" if a["reaction"] else "")
        for a in s.of("screening.allergies") or []
    ]
    return f"{', '.join(listed) or 'none listed'} · source: {source}"


def _people(s: _Sheet) -> dict[str, Any]:
    def person(group: str) -> str:
        if s.of(f"{group}.person_id") is None:
            return "nobody"
        licence = " ".join(
            str(part)
            for name in ("licence_type", "licence_state", "licence_number")
            if (part := s.of(f"{group}.{name}"))
        )
        return f"{s.of(f'{group}.name') or s.of(f'{group}.person_id')} · {licence or 'no licence shown'}"

    rows = [
        ["Physician", person("physician")],
        ["NPI, verified", f"{s.text('physician.npi')} · {s.clock(s.of('physician.verified_at'))}"],
        ["Responder", person("responder")],
        ["Competency to", s.text("responder.competency_expires_on")],
        ["Technologist", s.of("technologist.name") or s.shown(s.text("technologist.person_id"))],
    ]
    for change in s.of("hand_offs.changes") or []:
        rows.append(
            [
                "Hand-off",
                f"{s.shown(change['offered_by'])} → {s.shown(change['to'])}, "
                f"accepted {s.clock(change['accepted_at'])}",
            ]
        )
    return {"title": "Who", "rows": rows}


def _contrast(s: _Sheet) -> dict[str, Any]:
    if s.of("contrast.given_at") is None:
        return {"title": "Contrast", "rows": [["Given", "none"]]}
    cleared = s.of("contrast.cleared")
    rows = [
        ["Agent", f"{s.text('contrast.agent')} ({s.text('contrast.contrast_class')})"],
        [
            "Dose",
            f"{s.text('contrast.volume_ml')} mL of {s.text('contrast.concentration')} · {s.text('contrast.route')}",
        ],
        ["Lot", s.text("contrast.lot")],
        ["Given", s.clock(s.of("contrast.given_at"))],
        ["Cleared", f"{s.shown(cleared['by'])} at {s.clock(cleared['at'])}" if cleared else "NOT CLEARED"],
    ]
    for dose in s.of("contrast.further_doses") or []:
        rows.append(
            [
                "Further dose",
                f"{dose['agent']} {dose['volume_ml']} mL · {dose['route']} · {s.clock(dose['given_at'])}",
            ]
        )
    return {"title": "Contrast", "rows": rows}


def _verdict(s: _Sheet) -> dict[str, Any]:
    result = s.of("rules.verdict")
    rows = [
        [
            _LAYERS.get(layer["layer"], words(layer["layer"])),
            _VERDICTS.get(layer["result"], words(layer["result"])),
            layer["reason"],
            f"{layer['citation']} · {layer['rule_id']} {layer['version']}",
        ]
        for layer in s.of("rules.layers") or []
    ]
    attested = [
        f"Attested by {s.shown(a['by'])} ({a['role']}) at {s.clock(a['at'])}: {a['reason']}"
        for a in s.of("rules.attestations") or []
    ]
    assumed = s.of("rules.assumed")
    book = f"Rule book {s.text('rules.rulebook_version')}, hash {s.text('rules.rulebook_hash')}"
    if assumed:
        book += f". Assumed met: {', '.join(map(words, assumed))}."
    return {
        "result": _VERDICTS.get(result, "the rules were not asked") if result else "the rules were not asked",
        "rows": rows,
        "attested": attested,
        "book": book if result else "",
    }


def _marks(s: _Sheet) -> list[tuple[str, str]]:
    marks = [
        (at, label)
        for path, label in (("times.injection_started", "injection"), ("times.monitoring_ended", "end"))
        if (at := s.of(path)) is not None
    ]
    return marks + [(at, "reaction") for at in (s.of("reaction.onset_at") or {}).values()]


def _line_end(s: _Sheet) -> str:
    return str(s.of("times.closed") or s.events[-1]["at"])


def _length(gap: Mapping[str, Any]) -> str:
    if gap["end"] is None:
        return "open"
    return f"{(moment(gap['end']) - moment(gap['start'])).total_seconds():.1f} s".replace(".0 s", " s")


def _reaction(s: _Sheet, name: str) -> dict[str, Any]:
    def of(field: str) -> Any:
        return (s.of(f"reaction.{field}") or {}).get(name)

    reported, call, disposed, pack = of("reported"), of("emergency_call"), of("disposition"), of("pack")
    severity = of("severity") or "not graded"
    worst = of("worst_severity")
    head = f"{severity} · {words(of('presentation') or 'no presentation set')}"
    if worst and worst != severity:
        head += f" (worst: {worst})"
    rows = [
        ["Onset, first directive", f"{s.clock(of('onset_at'))} · {s.clock(of('first_directive_at'))}"],
        ["Reported", f"{s.shown(reported['by'])} at {s.clock(reported['at'])}"],
        [
            "Signs",
            "; ".join(f"{s.clock(x['at'])} {signs_text(x)}" for x in of("signs") or []) or "–",
        ],
        ["Emergency call", f"{call['service']} at {s.clock(call['called_at'])}" if call else "not recorded"],
        [
            "Disposition",
            f"{words(disposed['disposition'])}, by {s.shown(disposed['by'])} at {s.clock(disposed['at'])}"
            if disposed
            else "open",
        ],
        ["Protocol pack", f"{pack['pack_id']}, hash {pack['pack_hash']}" if pack else "–"],
    ]
    drugs = [
        [s.clock(d["given_at"]), dose_text(d), s.shown(d["given_by"]), _why(d)]
        for d in s.of("interventions.medications") or []
        if d["reaction_id"] == name
    ]
    steps = [
        [
            step_name(step["step_id"], step["text"]),
            _act(s, step, "ordered"),
            _act(s, step, "read_back"),
            _act(s, step, "done"),
        ]
        for step in s.of("interventions.directed") or []
        if step["reaction_id"] == name
    ]
    return {"name": name, "head": head, "rows": rows, "drugs": drugs, "steps": steps}


def _act(s: _Sheet, step: Mapping[str, Any], act: str) -> str:
    if step[f"{act}_at"] is not None:
        return f"{s.clock(step[f'{act}_at'])} {s.shown(step[f'{act}_by'])}"
    if act == "done" and step["refused_at"] is not None:
        return f"decided against: {step['refused_reason']}"
    if act == "done" and step["superseded_at"] is not None:
        return "superseded"
    return "–"


def _why(drug: Mapping[str, Any]) -> str:
    parts = [drug["formula"], drug["citation"] and f"{drug['citation']} [{drug['evidence']}]"]
    if not drug["ordered"]:
        parts.append("not ordered in the engine")
    if drug["beyond"]:
        parts.append(f"BEYOND ITS ROW: {', '.join(words(cap).lower() for cap in drug['beyond'])}")
    return " · ".join(part for part in parts if part)


def _exceptions(s: _Sheet) -> list[str]:
    cleared = s.of("contrast.cleared") or {}
    against = [
        f"{s.clock(cleared['at'])} Contrast cleared by {s.shown(cleared['by'])} against row {one['row_id']} "
        f"({words(one['outcome'])}): {cleared['reason']}"
        for one in cleared.get("against") or []
    ]
    bypasses = [
        f"{s.clock(x['at'])} Interlock bypassed by {s.shown(x['by'])}; missing: {', '.join(map(words, x['missing']))}"
        for x in s.of("exceptions.bypasses") or []
    ]
    overrides = [
        f"{s.clock(x['at'])} {s.shown(x['by'])} went past {', '.join(words(guard).lower() for guard in x['guards'])} "
        f"on {words(x['step_id'])}: {x['reason']}"
        for x in s.of("exceptions.overrides") or []
    ]
    beyond = [
        f"{s.clock(x['at'])} {x['drug']} given beyond its row: {', '.join(words(cap).lower() for cap in x['caps'])}"
        for x in s.of("exceptions.beyond_caps") or []
    ]
    late = [
        f"{s.clock(x['at'])} Late entry by {s.shown(x['by'])} ({words(x['source'])}), revision {x['revision']}"
        for x in s.of("exceptions.late_entries") or []
    ]
    return against + bypasses + overrides + beyond + late + _unexpected(s)


def _unexpected(s: _Sheet) -> list[str]:
    """Say once what was odd about a report; a bypass and a late entry have lines of their own."""
    reports: dict[tuple[str, tuple[str, ...]], str] = {}
    for x in s.of("exceptions.unexpected") or []:
        odd = tuple(flag for flag in x["flags"] if flag not in ("bypass", "late"))
        if odd:
            reports.setdefault((x["at"], odd), x["type"])
    return [
        f"{s.clock(at)} {spaced(kind)}, unexpected: {', '.join(map(words, odd))}"
        for (at, odd), kind in reports.items()
    ]


def _signatures(s: _Sheet) -> list[list[str]]:
    rows = []
    for who in ("technologist", "physician"):
        signed = s.of(f"signatures.{who}")
        if signed is not None:
            at = moment(signed["signed_at"]).strftime("%Y-%m-%d %H:%M:%S UTC")
            rows.append([s.shown(signed["person_id"]), who, signed["meaning"], at, signed["record_hash"]])
    return rows


def _seal(s: _Sheet) -> dict[str, str] | None:
    seal = s.document["seal"]
    if not seal:
        return None
    halves = seal["signature"][:64] + "\n" + seal["signature"][64:]
    return {**{name: str(value) for name, value in seal.items()}, "signature": halves}
