"""Reads one reaction out of a record's file, as the parts that reaction documents are put together from.

Rule: it says what the file says; a value that is not there is said to be unknown, and nothing is computed that needs a
number of its own.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.records.papers.agent import exact
from engine.records.papers.nature import Nature, nature_of, sign_kind
from engine.records.papers.parts import (
    ERASED,
    NOT_IN_MG,
    NOT_MEASURED,
    NOT_RECORDED,
    UNKNOWN,
    Case,
    Contrast,
    Course,
    Dose,
    Exam,
    Head,
    Measure,
    Outcome,
    Patient,
    People,
    Sign,
    Told,
    Total,
    Vitals,
)
from engine.records.strip import moment
from engine.records.timeline import dose_text, step_name, words

_KINDS = {"allergic": "allergic-like", "unknown": "unknown to the pack"}
_VIAL_AND_LINE = ("brand", "rate_ml_per_s", "expires_on", "iv_site", "iv_gauge")
_DRAWN = {None: NOT_RECORDED, True: "drawn, when is not recorded", False: "not drawn"}
_TOLD_AT = tuple(one.name for one in fields(Told) if one.name.endswith("_at"))
_TOLD = tuple(one.name for one in fields(Told) if one.name not in ("tryptase", *_TOLD_AT))
_OVER = frozenset({"disposed", "documented"})
_WORD = {"none": "no order in the engine", "standing_order": "by standing order, no physician connected"}


class Facts:
    """One reaction of one file. Times come out in the site's zone, in UTC when that is not known."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._record = case.document["record"]
        self._stream = f"reaction/{case.reaction_id}"
        self._zone = _zone(case.place.time_zone)

    def of(self, path: str) -> Any:
        """Return the record's value at `group.name`; None when nothing filled it."""
        group, name = path.split(".")
        return self._record[group][name]["value"]

    def entry(self, name: str) -> Any:
        """Return what a field of the group `reaction` holds for this reaction; None when nothing."""
        return (self.of(f"reaction.{name}") or {}).get(self.case.reaction_id)

    def text(self, path: str, otherwise: str = UNKNOWN) -> str:
        """Return a value as text."""
        value = self.of(path)
        return otherwise if value in (None, "") else str(value)

    def time(self, at: str | None, otherwise: str = NOT_RECORDED) -> str:
        """Return a time of the file in the site's zone, as ISO 8601 to the second; as told where the zone has none."""
        if at is None:
            return otherwise
        told = moment(at)
        try:
            return told.astimezone(self._zone).isoformat(timespec="seconds")
        except OverflowError:  # the first or the last day there is
            return told.isoformat(timespec="seconds")

    def day(self, at: str) -> str:
        """Return the date at the site."""
        return self.time(at)[:10]

    def name(self, person_id: str | None) -> str:
        """Return a person's name, the id where there is none."""
        if not person_id:
            return UNKNOWN
        if person_id == self.of("physician.person_id") and self.of("physician.name"):
            return str(self.of("physician.name"))
        if person_id == self.of("responder.person_id") and self.of("responder.name"):
            return str(self.of("responder.name"))
        return self.case.names.get(person_id) or person_id

    @property
    def events(self) -> list[Mapping[str, Any]]:
        """This reaction's own events."""
        return [event for event in self.case.document["events"] if event["stream"] == self._stream]

    @property
    def open(self) -> bool:
        """Whether nobody has decided yet where the patient goes."""
        return not (self.events and _OVER & set(self.events[-1]["phases"]))

    @property
    def nature(self) -> Nature:
        """Allergic-like, physiologic, extravasation or unsure."""
        return nature_of(self.case.pack, self._signs(), self._presentations())

    @property
    def calls_for_follow_up(self) -> bool:
        """Whether it was of a kind and grade after which tryptase and referral are to be thought of."""
        return self.nature.kind in ("allergic-like", "unsure") and self.entry("worst_severity") in (
            "moderate",
            "severe",
        )

    def head(self, kind: str, title: str) -> Head:
        """Return which document this is and from what it was made."""
        as_of = self.time(self.case.document["events"][-1]["at"])
        pack = self.entry("pack")
        return Head(
            kind=kind,
            title=title,
            standing="The reaction is still open: this is what was known at the time above."
            if self.open
            else "The reaction is over.",
            open=self.open,
            demo=bool(self.of("engine.demo")),
            drill=bool(self.of("engine.drill")),
            as_of=as_of,
            time_zone=self._zone.key
            if self.case.place.time_zone
            else "UTC (the site's time zone is unknown)",
            session_id=self.text("session.session_id"),
            reaction_id=self.case.reaction_id,
            position=self.case.position,
            reaction_version=len(self.events),
            pack=f"{pack['pack_id']} · {pack['pack_hash'][:16]}" if pack else UNKNOWN,
        )

    def patient(self) -> Patient:
        """Return who it happened to: unknown when never received, erased when no longer held."""
        ref = (self.of("patient.identity") or {}).get("ref")
        held = self.case.document["disclosed"].get(ref)
        who = held["value"] if held else {}
        lost = ERASED if ref else UNKNOWN

        def known(name: str) -> str:
            return str(who.get(name) or UNKNOWN) if held else lost

        return Patient(
            name=f"{known('family')}, {known('given')}" if held else lost,
            record_number=f"{known('mrn')} ({known('authority')})" if held else lost,
            born=known("birth_date"),
            sex=known("sex"),
            age_years=self.text("patient.age_years"),
            weight_kg=self.text("patient.weight_kg"),
            weight_method=self.text("patient.weight_method"),
            pregnancy=words(str((self.of("screening.answers") or {}).get("pregnancy", UNKNOWN))),
        )

    def exam(self) -> Exam:
        """Return which exam, where."""
        place = self.case.place
        return Exam(
            procedure=self.of("order.procedure_text") or self.text("order.procedure_code"),
            accession_number=self.text("order.accession_number"),
            modality=self.text("order.modality"),
            setting=self.text("site.setting"),
            site=place.name or self.text("site.site_id"),
            address=place.address or UNKNOWN,
            room=self.text("site.room_id"),
        )

    def contrast(self) -> tuple[Contrast, ...]:
        """Return every administration; empty when none is recorded."""
        if self.of("contrast.given_at") is None:
            return ()
        first = {name: field["value"] for name, field in self._record["contrast"].items()}
        return tuple(
            Contrast(
                agent=dose.get("agent") or UNKNOWN,
                contrast_class=dose.get("contrast_class") or UNKNOWN,
                concentration=dose.get("concentration") or UNKNOWN,
                volume_ml=dose.get("volume_ml") or UNKNOWN,
                route=dose.get("route") or UNKNOWN,
                lot=dose.get("lot") or NOT_RECORDED,
                given_at=self.time(dose["given_at"]),
                **{name: recorded(dose.get(name)) for name in _VIAL_AND_LINE},
            )
            for dose in (first, *(self.of("contrast.further_doses") or []))
        )

    def course(self) -> Course:
        """Return onset, kind, grade and every sign that was ever tapped."""
        nature = self.nature
        onset = self.entry("onset_at")
        return Course(
            onset_at=self.time(onset),
            after_contrast=_interval(self.of("contrast.given_at"), onset),
            kind=nature.kind,
            kind_why=nature.why,
            severity_now=self.entry("severity") or "not graded yet",
            severity_worst=self.entry("worst_severity") or "not graded yet",
            presentation=", ".join(map(words, self._presentations())) or "not set",
            signs=tuple(self._signs_seen()),
        )

    def vitals(self) -> tuple[Vitals, ...]:
        """Return every set of vital signs of the session up to now, by time."""
        sets = [*(self.of("monitoring.vitals") or []), *(self.entry("vitals") or [])]
        return tuple(self._vitals(one) for one in sorted(sets, key=lambda one: moment(one["at"])))

    def doses(self) -> tuple[Dose, ...]:
        """Return every drug that went in during this reaction, by time."""
        given = sorted(self._given(), key=lambda drug: moment(drug["given_at"]))
        return tuple(self._dose(drug) for drug in given)

    def totals(self) -> tuple[Total, ...]:
        """Return what each drug adds up to over the whole session; arrest doses count apart."""
        sums: dict[str, list[Mapping[str, Any]]] = {}
        for drug in self.of("interventions.medications") or []:
            sums.setdefault(drug["counter"] or drug["drug"], []).append(drug)
        return tuple(self._total(doses) for doses in sums.values())

    def measures(self) -> tuple[Measure, ...]:
        """Return the steps done that are no drug."""
        done = [
            step
            for step in self._directed()
            if step["kind"] not in ("drug", "call") and step["done_at"] is not None
        ]
        return tuple(
            Measure(
                at=self.time(step["done_at"]),
                text=step_name(step["step_id"], step["text"]),
                by=self.name(step["done_by"]),
            )
            for step in done
        )

    def people(self) -> People:
        """Return who was responsible, and where the physician is reached."""
        physician = self.of("physician.person_id") or self._director()
        parts = (self.of(f"physician.licence_{part}") for part in ("type", "state", "number"))
        return People(
            physician=self.name(physician),
            physician_licence=" ".join(str(part) for part in parts if part) or UNKNOWN,
            physician_call_back=self.case.call_backs.get(physician or "") or UNKNOWN,
            responder=self.name(self.of("responder.person_id")),
            technologist=self.name(self.of("technologist.person_id")),
        )

    def _director(self) -> str | None:
        """Return who graded last, where no physician answered a ring of the session."""
        grades = self.entry("grades")
        return grades[-1]["by"] if grades else None

    def outcome(self) -> Outcome:
        """Return how it ended, as far as it has."""
        call, gone, said = (
            self.entry("emergency_call"),
            self.entry("disposition"),
            self.entry("documentation"),
        )
        stated = said or {"allergy_documented": None, "instructions_given": None}
        return Outcome(
            resolved_at=self.time(self.entry("resolved_at")),
            disposition=words(gone["disposition"]).replace("ems", "EMS") if gone else "not decided yet",
            disposition_at=self.time(gone["at"] if gone else None),
            emergency_call=call["service"] if call else NOT_RECORDED,
            emergency_called_at=self.time(call["called_at"] if call else None),
            allergy_documented=_stated(stated["allergy_documented"]),
            instructions_given=_stated(stated["instructions_given"]),
        )

    def allergies(self) -> str:
        """Return the patient's allergies as recorded before the exam, with their source; unknown is never none.

        An entry that names no agent says so, because its word alone tells nobody what to avoid.
        """
        source = self.of("screening.allergies_source")
        if source is None:
            return UNKNOWN
        listed = [
            (one["substance"] if exact(one["substance"]) else f'"{one["substance"]}", which names no agent')
            + (f" ({one['reaction']})" if one["reaction"] else "")
            for one in self.of("screening.allergies") or []
        ]
        return f"{'; '.join(listed) or 'none listed'} (source: {source})"

    def screened(self, answer: str) -> str:
        """Return one answer of the screening as words; unknown where nobody answered."""
        value = (self.of("screening.answers") or {}).get(answer)
        return UNKNOWN if value in (None, "") else words(str(value))

    def _signs(self) -> dict[str, tuple[str, str]]:
        """Return every sign ever tapped: its words and when it was first seen."""
        seen: dict[str, tuple[str, str]] = {}
        for tapped in self.entry("signs") or []:
            texts = tapped["texts"] or [words(sign) for sign in tapped["signs"]]
            for sign, text in zip(tapped["signs"], texts, strict=True):
                seen.setdefault(sign, (text, tapped["at"]))
        return seen

    def _signs_seen(self) -> Iterator[Sign]:
        rows = {row.id: row for row in self.case.pack.signs} if self.case.pack else {}
        for sign, (text, at) in self._signs().items():
            kind = sign_kind(self.case.pack, sign)
            yield Sign(
                sign_id=sign,
                text=text,
                kind=_KINDS.get(kind, kind),
                severity=rows[sign].severity if sign in rows else UNKNOWN,
                first_seen_at=self.time(at),
            )

    def sign_ids(self) -> tuple[str, ...]:
        """Return the ids of every sign ever tapped."""
        return tuple(self._signs())

    def _presentations(self) -> tuple[str, ...]:
        grades = self.entry("grades") or []
        if not grades:
            return ()
        return tuple(dict.fromkeys((grades[-1]["presentation"], *grades[-1].get("also", ()))))

    def _given(self) -> list[Mapping[str, Any]]:
        given = self.of("interventions.medications") or []
        return [drug for drug in given if drug["reaction_id"] == self.case.reaction_id]

    def _directed(self) -> list[Mapping[str, Any]]:
        directed = self.of("interventions.directed") or []
        return [step for step in directed if step["reaction_id"] == self.case.reaction_id]

    def _dose(self, drug: Mapping[str, Any]) -> Dose:
        orders = [
            step
            for step in self._directed()
            if step["step_id"] == drug["step_id"] and step["ordered_at"] is not None
        ]
        amounts = (drug["dose_mg"], drug["volume_ml"], drug["amount_text"])
        notes = [
            _WORD.get(drug["authority"], ""),
            "written down without the network" if drug["offline"] else "",
            f"told as {drug['told_as']}" if drug.get("told_as") else "",
            f"beyond its row: {', '.join(words(cap).lower() for cap in drug['beyond'])}"
            if drug["beyond"]
            else "",
            "UNSURE: a clinician has yet to confirm this row" if "UNSURE" in (drug["evidence"] or "") else "",
        ]
        return Dose(
            given_at=self.time(drug["given_at"]),
            what=_what(drug, orders[-1]["order"] if drug["ordered"] and orders else None),
            drug=drug["drug"],
            dose_mg=drug["dose_mg"] or (NOT_IN_MG if any(amounts) else UNKNOWN),
            concentration_mg_per_ml=drug["concentration_mg_per_ml"] or UNKNOWN,
            volume_ml=drug["volume_ml"] or UNKNOWN,
            route=drug["route"] or UNKNOWN,
            given_by=self.name(drug["given_by"]),
            ordered_by=self.name(orders[-1]["ordered_by"])
            if drug["ordered"] and orders
            else "nobody in the engine",
            citation=drug["citation"] or "no row of the pack",
            evidence=drug["evidence"] or UNKNOWN,
            note="; ".join(note for note in notes if note) or "none",
            site=drug["site"] or not_said(drug["row_site"]),
            lot=recorded(drug["lot"]),
            response=self._response(drug),
            running_total_mg=self._running(drug) if drug["dose_mg"] or not any(amounts) else NOT_IN_MG,
        )

    def _total(self, doses: list[Mapping[str, Any]]) -> Total:
        amounts = [Decimal(dose["dose_mg"]) for dose in doses if dose["dose_mg"]]
        known = f"{sum(amounts, Decimal(0)):f}" if amounts else UNKNOWN
        short = amounts and len(amounts) < len(doses)
        arrest = " (cardiac arrest)" if "arrest" in (doses[0]["counter"] or "") else ""
        return Total(
            drug=doses[0]["drug"] + arrest,
            doses=str(len(doses)),
            total_mg=f"at least {known}: a dose is unknown" if short else known,
            last_at=self.time(max((dose["given_at"] for dose in doses), key=moment)),
        )

    def _response(self, drug: Mapping[str, Any]) -> str:
        """Return what was said of a dose's effect.

        A word is of every dose since the word before it; of the newest dose where none went in since.
        """
        given = [moment(one["given_at"]) for one in self._given()]
        mine, before, said = moment(drug["given_at"]), None, []
        for one in (one for one in self.entry("vitals") or [] if one["response"]):
            at = moment(one["at"])
            seen = [when for when in given if when <= at]
            since = [when for when in seen if before is None or when > before]
            if mine in (since or seen[-1:]):
                said.append(f"{self.time(one['at'])}: {one['response']}")
            before = at
        return "; ".join(said) or NOT_RECORDED

    def _running(self, drug: Mapping[str, Any]) -> str:
        """Return the sum of a drug's doses up to this one."""
        until = moment(drug["given_at"])
        same = [
            one
            for one in self.of("interventions.medications") or []
            if (one["counter"] or one["drug"]) == (drug["counter"] or drug["drug"])
            and moment(one["given_at"]) <= until
        ]
        return self._total(same).total_mg

    def told(self) -> Told:
        """Return what was told besides the treatment."""
        said = self.entry("follow_up") or {}
        drawn = said.get("tryptase_drawn")
        drawn_at = said.get("tryptase_drawn_at")
        return Told(
            tryptase=f"drawn {self.time(drawn_at)}" if drawn_at else _DRAWN[drawn],
            **{name: recorded(said.get(name)) for name in _TOLD},
            **{name: self.time(said.get(name)) for name in _TOLD_AT},
        )

    def iv_access(self) -> str:
        """Return where the IV line is and its gauge: as told with the contrast, else as the screening has it."""
        lines = [
            (f"{dose.iv_gauge} G, " if dose.iv_gauge != NOT_RECORDED else "gauge not recorded, ")
            + (dose.iv_site if dose.iv_site != NOT_RECORDED else "site not recorded")
            for dose in self.contrast()
            if (dose.iv_site, dose.iv_gauge) != (NOT_RECORDED, NOT_RECORDED)
        ]
        screened = (self.of("screening.answers") or {}).get("access")
        by_screening = f"{screened} (by the screening)" if screened else NOT_RECORDED
        return "; ".join(dict.fromkeys(lines)) or by_screening

    def _vitals(self, one: Mapping[str, Any]) -> Vitals:
        def measured(name: str) -> str:
            return NOT_MEASURED if one.get(name) is None else str(one[name])

        pressures = (measured("systolic_mmhg"), measured("diastolic_mmhg"))
        conscious = one.get("conscious")
        return Vitals(
            at=self.time(one["at"]),
            blood_pressure_mmhg=NOT_MEASURED
            if pressures == (NOT_MEASURED, NOT_MEASURED)
            else "/".join("?" if part == NOT_MEASURED else part for part in pressures),
            heart_rate_bpm=measured("heart_rate_bpm"),
            spo2_percent=measured("spo2_percent"),
            respiratory_rate_bpm=measured("respiratory_rate_bpm"),
            oxygen_l_per_min=recorded(one.get("oxygen_l_per_min")),
            rhythm=recorded(one.get("rhythm")),
            glucose_mg_per_dl=measured("glucose_mg_per_dl"),
            conscious=NOT_RECORDED if conscious is None else "yes" if conscious else "NO",
        )


def recorded(value: Any) -> str:
    """Return what was said as a word; what nobody said is not recorded."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NOT_RECORDED if value in (None, "") else str(value)


def not_said(row: str | None) -> str:
    """Return that nobody said it, and what the row says it should be."""
    return f"{NOT_RECORDED}; the row says: {row}" if row else NOT_RECORDED


def _what(drug: Mapping[str, Any], order: Mapping[str, Any] | None) -> str:
    """Return a drug in one line; one that is not measured in mL as it was ordered (2 puffs), when it was given so."""
    if not (drug["dose_mg"] or drug["volume_ml"] or drug["amount_text"]):
        return f"{dose_text(drug)} · dose unknown"
    measured = drug["concentration_mg_per_ml"] or drug["volume_ml"]
    as_ordered = order is not None and (order["dose_mg"], order["route"]) == (drug["dose_mg"], drug["route"])
    if drug["amount_text"] and as_ordered and not measured:
        return str(drug["amount_text"])
    return dose_text(drug)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _interval(given_at: str | None, onset_at: str | None) -> str:
    """Return how long after the contrast it began, in minutes and seconds."""
    if given_at is None or onset_at is None:
        return UNKNOWN
    between = moment(onset_at) - moment(given_at)
    if between < dt.timedelta(0):
        return "before the contrast, by the times recorded"
    minutes, seconds = divmod(int(between.total_seconds()), 60)
    return f"{minutes} min {seconds} s"


def _stated(value: bool | None) -> str:
    return "not stated yet" if value is None else "yes" if value else "no"
