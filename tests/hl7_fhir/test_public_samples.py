"""Every message of a folder of public samples (ATTEND_SAMPLES) is read right or refused; nothing else ever happens."""

import datetime as dt
import os
import re
from pathlib import Path

import pytest

from integrations.hl7_fhir import ack, er7
from integrations.hl7_fhir.faults import SenderFault
from integrations.hl7_fhir.inbound import translate
from integrations.hl7_fhir.profile import parse_profile
from tests.hl7_fhir.test_inbound import DEMO_TEXT
from tests.hl7_fhir.wire import SAMPLES

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def files() -> list[Path]:
    roots = [SAMPLES]
    if named := os.environ.get("ATTEND_SAMPLES"):
        roots.append(Path(named))
    skipped = (".tsv", ".md", ".json", ".txt", ".csv")
    return sorted(
        path
        for root in roots
        for path in root.rglob("*")
        if path.is_file() and path.suffix.lower() not in skipped
    )


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_a_sample_is_translated_or_refused(path: Path) -> None:
    """Each sample gives meanings or a located fault, and can be answered unless it is an answer itself."""
    profile = parse_profile(DEMO_TEXT)
    for raw in er7.split_batch(path.read_bytes()):
        answer = ack.ACCEPTED
        try:
            assert translate(raw, profile).meanings
        except SenderFault as fault:
            answer = ack.refusal(fault)
        reply = ack.build(raw, answer, now=NOW, control_id="A1")

        assert (reply is None) == ack.is_response(raw)
        if reply is not None:
            assert er7.read(reply).segments[1].text(1) == answer.code


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_key_fields_agree_with_a_plain_split(path: Path) -> None:
    """MSH-10, PID-3 and PID-5 are what a plain delimiter split finds, and ZDS and IPC are kept."""
    for raw in er7.split_batch(path.read_bytes()):
        try:
            message = er7.read(raw)
        except SenderFault:
            continue
        text = raw.decode(message.codec, "replace")
        lines = [line for line in re.split(r"[\r\n]+", text) if line]
        first = {line[:3]: line.split(message.delimiters.field) for line in reversed(lines)}
        pid = message.first("PID")
        if "MSH" in first and len(first["MSH"]) > 9:
            assert message.msh.raw(10) == first["MSH"][9]
        if pid is not None and "PID" in first and len(first["PID"]) > 5:
            assert (pid.raw(3), pid.raw(5)) == (first["PID"][3], first["PID"][5])
        for name in ("ZDS", "IPC"):
            assert len(message.all(name)) == sum(line.startswith(name) for line in lines)
