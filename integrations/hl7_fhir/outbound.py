"""Writes the result of a session as ORU^R01 2.5.1, built and validated with hl7apy.

Pure: the same result, time and control id give the same bytes. hl7apy escapes `\\.br\\` and `\\Xdd\\` twice, so free
text is sent on one line.
"""

import base64
import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from hl7apy.core import Group, Message, Segment
from hl7apy.exceptions import HL7apyException

from engine.kernel.errors import Invalid
from integrations.hl7_fhir import codes, er7
from integrations.hl7_fhir.codes import local
from integrations.hl7_fhir.result import Reaction, SupervisionResult
from integrations.hl7_fhir.values import NO_CODE, Coded, Identifier, Provider

_CONTROLS = re.compile(r"[\x00-\x20\x7f]+")
_SEXES = {"female": "F", "male": "M", "other": "O", "unknown": "U"}


@dataclass(frozen=True, slots=True)
class Destination:
    """Who a message goes to: MSH-5 and MSH-6, and what we call ourselves in MSH-3 and MSH-4."""

    application: str
    facility: str
    our_application: str = "ATTEND"
    our_facility: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """One OBX: `value` already in the form of its type."""

    type: str
    what: Coded
    value: str
    at: dt.datetime
    unit: str = ""
    group: str = ""


def oru_r01(result: SupervisionResult, to: Destination, *, now: dt.datetime, control_id: str) -> bytes:
    """Return the message in UTF-8 with CR line ends, not framed. Raises Invalid when it would not be valid."""
    try:
        message = Message("ORU_R01", version="2.5.1")
        _header(message.msh, to, now, control_id)
        whole = message.add_group("ORU_R01_PATIENT_RESULT")
        _patient(whole.add_group("ORU_R01_PATIENT"), result)
        _observations(whole.add_group("ORU_R01_ORDER_OBSERVATION"), result)
        message.validate()
    except HL7apyException as error:
        # Only the kind: hl7apy repeats values in its sentences.
        raise Invalid("oru_r01", f"hl7apy refuses the message: {type(error).__name__}") from None
    text: str = message.to_er7()
    return (text if text.endswith("\r") else text + "\r").encode("utf-8")


def _header(msh: Segment, to: Destination, now: dt.datetime, control_id: str) -> None:
    msh.msh_3 = _text(to.our_application)
    msh.msh_4 = _text(to.our_facility)
    msh.msh_5 = _text(to.application)
    msh.msh_6 = _text(to.facility)
    msh.msh_7 = _time(now)
    msh.msh_9 = "ORU^R01^ORU_R01"
    msh.msh_10 = _text(control_id)
    msh.msh_11 = "P"
    msh.msh_18 = "UNICODE UTF-8"


def _patient(group: Group, result: SupervisionResult) -> None:
    patient = result.patient
    pid = group.add_segment("PID")
    pid.pid_1 = "1"
    for one in patient.identifiers:
        pid.add_field("pid_3").value = _identifier(one)
    pid.pid_5 = f"{_text(patient.family)}^{_text(patient.given)}"
    if patient.birth_date is not None:
        pid.pid_7 = patient.birth_date.strftime("%Y%m%d")
    pid.pid_8 = _SEXES[patient.sex]
    group.add_group("ORU_R01_VISIT").add_segment("PV1").pv1_2 = "U"


def _observations(group: Group, result: SupervisionResult) -> None:
    order = result.order
    orc = group.add_segment("ORC")
    orc.orc_1 = "RE"
    obr = group.add_segment("OBR")
    obr.obr_1 = "1"
    for number, value in ((2, order.placer), (3, order.filler)):
        if value:
            setattr(orc, f"orc_{number}", _text(value))
            setattr(obr, f"obr_{number}", _text(value))
    obr.obr_4 = _coded(result.procedure)
    obr.obr_7 = _time(result.started_at)
    obr.obr_8 = _time(result.ended_at)
    if order.accession:
        obr.obr_18 = _text(order.accession)
    obr.obr_22 = _time(result.sealed_at)
    status = "F" if result.version == 1 else "C"
    obr.obr_25 = status
    for number, row in enumerate(_rows(result), start=1):
        obx = group.add_group("ORU_R01_OBSERVATION").add_segment("OBX")
        obx.obx_1 = str(number)
        obx.obx_2 = row.type
        obx.obx_3 = _coded(row.what)
        if row.group:
            obx.obx_4 = row.group
        obx.obx_5 = row.value
        if row.unit:
            obx.obx_6 = f"{_text(row.unit)}^^UCUM"
        obx.obx_11 = status
        obx.obx_14 = _time(row.at)


def _rows(result: SupervisionResult) -> Iterator[_Row]:
    end = result.ended_at
    yield _Row(
        "TS", local("SUPERVISION_START", "Supervision started"), _time(result.started_at), result.started_at
    )
    yield _Row("TS", local("SUPERVISION_END", "Supervision ended"), _time(end), end)
    yield _Row("XCN", local("SUPERVISING_PHYSICIAN", "Supervising physician"), _person(result.physician), end)
    yield _Row("XCN", local("TECHNOLOGIST", "Technologist"), _person(result.technologist), end)
    yield _Row("ST", local("VERDICT", "Supervision verdict"), result.verdict, end)
    if result.order.study_instance_uid:
        what = local("STUDY_INSTANCE_UID", "Study Instance UID")
        yield _Row("ST", what, _text(result.order.study_instance_uid), end)
    for number, given in enumerate(result.contrast, start=1):
        group = f"1.{number}"
        yield _Row(
            "CWE", local("CONTRAST_AGENT", "Contrast agent given"), _coded(given.agent), given.at, "", group
        )
        if given.volume_ml is not None:
            what = local("CONTRAST_VOLUME", "Contrast volume")
            yield _Row("NM", what, _number(given.volume_ml), given.at, "mL", group)
        if given.rate_ml_s is not None:
            what = local("CONTRAST_RATE", "Contrast injection rate")
            yield _Row("NM", what, _number(given.rate_ml_s), given.at, "mL/s", group)
        if given.route != NO_CODE:
            yield _Row(
                "CWE", local("CONTRAST_ROUTE", "Contrast route"), _coded(given.route), given.at, "", group
            )
    for number, signs in enumerate(result.vitals, start=1):
        for name, value in signs.values:
            what, unit = codes.VITALS[name]
            yield _Row("NM", what, _number(value), signs.at, unit, f"2.{number}")
    yield from _reaction_rows(result.reaction, result.ended_at)
    yield _Row(
        "ST", local("SEAL_SHA256", "SHA-256 of the sealed record"), _text(result.seal_hash), result.sealed_at
    )
    if result.pdf:
        encoded = base64.b64encode(result.pdf).decode("ascii")
        yield _Row("ED", codes.PROCEDURE_NOTE, f"^application^pdf^Base64^{encoded}", result.sealed_at)


def _reaction_rows(reaction: Reaction | None, end: dt.datetime) -> Iterator[_Row]:
    if reaction is None:
        yield _Row("ST", local("REACTION", "Contrast reaction"), "none recorded", end)
        return
    at = reaction.onset_at
    yield _Row("ST", local("REACTION", "Contrast reaction"), reaction.kind, at, "", "3")
    yield _Row("ST", local("REACTION_SEVERITY", "Reaction severity"), reaction.severity, at, "", "3")
    yield _Row("TS", local("REACTION_ONSET", "Reaction onset"), _time(at), at, "", "3")
    for number, sign in enumerate(reaction.manifestations, start=1):
        what = local("REACTION_SIGN", "Reaction manifestation")
        yield _Row("CWE", what, _coded(sign), at, "", f"3.{number}")
    if reaction.emergency_called:
        yield _Row("ST", local("EMERGENCY_CALL", "Emergency call"), "yes", at, "", "3")
    if reaction.resolved_at is not None:
        resolved = reaction.resolved_at
        yield _Row("TS", local("REACTION_RESOLVED", "Reaction resolved"), _time(resolved), resolved, "", "3")
    if reaction.outcome:
        yield _Row("ST", local("REACTION_OUTCOME", "Reaction outcome"), _text(reaction.outcome), end, "", "3")
    for number, done in enumerate(reaction.treatments, start=1):
        group = f"4.{number}"
        yield _Row("CWE", local("TREATMENT", "Treatment given"), _coded(done.what), done.at, "", group)
        if done.dose is not None:
            what = local("TREATMENT_DOSE", "Treatment dose")
            yield _Row("NM", what, _number(done.dose), done.at, done.unit, group)
        if done.route != NO_CODE:
            yield _Row(
                "CWE", local("TREATMENT_ROUTE", "Treatment route"), _coded(done.route), done.at, "", group
            )


def _identifier(one: Identifier) -> str:
    return f"{_text(one.value)}^^^{_text(one.authority)}^{_text(one.type)}"


def _person(who: Provider) -> str:
    return "^".join(_text(part) for part in (who.id, who.family, who.given)).rstrip("^")


def _coded(what: Coded) -> str:
    system = codes.V2_SYSTEMS.get(what.system, what.system)
    return "^".join(_text(part) for part in (what.code, what.text, system)).rstrip("^")


def _text(text: str) -> str:
    return er7.escape(_CONTROLS.sub(" ", text).strip())


def _time(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).strftime("%Y%m%d%H%M%S+0000")


def _number(value: Decimal) -> str:
    return format(value, "f")
