"""A record that was changed anywhere is found out, and the place is named."""

import datetime as dt
import hashlib
import json

import pytest
import rfc8785

from engine.records.seal import SealingKey
from engine.records.verify import Verifier, verify_file
from engine.workflows.session import commands as c
from tests.records import stories
from tests.records.driver import KEY


class Impostor(SealingKey):
    """A key of somebody else that claims to be the engine's."""

    def __init__(self) -> None:
        theirs = SealingKey.from_bytes(bytes(32))
        super().__init__(theirs._private)
        self.public_key, self.key_id = KEY.public_key, KEY.key_id


@pytest.fixture(scope="module")
def whole() -> bytes:
    """The file of a session with a gap and a severe reaction."""
    return stories.severe().file()


def owners(data: bytes) -> list[str]:
    """Return what each byte belongs to, read off the original file's own structure."""
    value = json.loads(data)
    named: list[str] = []
    section, group, number = "layout", "", 0
    for line in data.split(b"\n")[:-1]:
        key = line[1:].split(b'":', 1)[0].decode() if line.startswith(b'"') else ""
        owner = f"{section}.{group}" if group else section
        if section == "events" and line not in (b"],", b"]"):
            event = value["events"][number]
            owner, number = f"event {event['stream']}@{event['version']}", number + 1
        elif key in ("record", "events", "disclosed", "seal") and not group:
            section, owner = key, key
        elif key == "format" and section == "layout":
            owner = "format"
        elif section == "record" and not group and key:
            group, owner = key, f"record.{key}"
        elif line in (b"}", b"},", b"],"):
            section, group = (section, "") if group else ("layout", "")
        elif section == "record":
            owner = f"record.{group}.{key}"
        elif section != "layout":
            owner = f"{section}.{key}"
        named += [owner] * (len(line) + 1)
    return named


def names(where: str, owner: str) -> bool:
    """Return whether a problem's place is the owner's (an event may add its type)."""
    return where == owner or (owner.startswith("event ") and where.startswith(f"{owner} "))


@pytest.mark.hazard("H-45")
def test_a_sealed_record_is_sound(whole: bytes) -> None:
    """The file as exported has no problem; without a trusted key that is said."""
    report = verify_file(whole)

    assert report.sound
    assert [warning.where for warning in report.warnings] == ["seal.key_id"]
    assert (report.session_id, report.revision, report.key_id) == ("ses-1", 1, KEY.key_id)


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize("flip", [0x01, 0x20])
def test_any_changed_byte_is_found_and_named(whole: bytes, flip: int) -> None:
    """Every byte position, changed, fails the check, and the first problem names the event or field it is in."""
    verifier = Verifier()
    expected = owners(whole)
    wrong = []
    for at, owner in enumerate(expected):
        changed = bytearray(whole)
        changed[at] ^= flip
        report = verifier.check(bytes(changed))
        if report.sound or not names(report.problems[0].where, owner):
            wrong.append((at, owner, [str(problem) for problem in report.problems]))

    assert len(expected) == len(whole)
    assert wrong == []


@pytest.mark.parametrize("byte", [b"\n", b'"', b"}", b",", b"0", b"\\", b"\xff", b" "])
def test_any_byte_replaced_by_punctuation_is_found_and_named(whole: bytes, byte: bytes) -> None:
    """Bytes that break the layout itself (line ends, quotes, braces) are found and named as well, at every 7th."""
    verifier = Verifier()
    expected = owners(whole)
    wrong = []
    for at in range(0, len(whole), 7):
        if whole[at : at + 1] == byte:
            continue
        report = verifier.check(whole[:at] + byte + whole[at + 1 :])
        if report.sound or not names(report.problems[0].where, expected[at]):
            wrong.append((at, expected[at], [str(problem) for problem in report.problems]))

    assert wrong == []


def test_a_missing_or_added_byte_is_found(whole: bytes) -> None:
    """Cutting a byte out, adding one, or adding one at the end is found."""
    verifier = Verifier()
    for at in range(0, len(whole), 101):
        assert not verifier.check(whole[:at] + whole[at + 1 :]).sound
        assert not verifier.check(whole[:at] + b"7" + whole[at:]).sound

    assert verifier.check(whole + b"\n").problems[0].where == "layout"
    assert verifier.check(whole + b"7").problems[0].why == "there is something after the end of the record"
    [cut] = verifier.check(whole[:-1]).problems
    assert (cut.where, cut.why.partition(":")[0]) == (
        "layout",
        "the line end after the last line is missing",
    )


@pytest.mark.parametrize("data", [b"", b"\n", b"{}", b"\x00" * 100, b"[" * 100_000, b"null\n"])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    """Anything else than a record is refused without an error."""
    assert not verify_file(data).sound


def test_a_removed_or_moved_event_is_found(whole: bytes) -> None:
    """Leaving an event line out, or swapping two, breaks a chain or the seal."""
    lines = whole.split(b"\n")
    first = lines.index(b'"events":[') + 1
    for at in (first, first + 10, first + 30):
        assert not verify_file(b"\n".join(lines[:at] + lines[at + 1 :])).sound
        swapped = [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]
        assert not verify_file(b"\n".join(swapped)).sound


def test_a_forged_history_breaks_the_seal() -> None:
    """Somebody who writes another history with sound hashes cannot make the engine's key sign it."""
    forged = stories.to_injected()
    stories.observed(forged)
    forged.confirm(stories.TECHNOLOGIST)
    forged.attest(stories.PHYSICIAN)
    forged.seal(Impostor())
    report = verify_file(forged.file(), [KEY.key_id])

    assert [problem.where for problem in report.problems] == ["seal.signature"]


def test_a_seal_over_another_history_is_found() -> None:
    """A true seal of one session, carried over into another history, does not cover it."""
    other, driver = stories.uneventful(), stories.to_injected()
    stories.observed(driver)
    driver.wait(1)
    driver.confirm(stories.TECHNOLOGIST)
    driver.attest(stories.PHYSICIAN)
    sealed = json.loads(other.rows[-1].payload)
    carried = c.SealRecord(
        record_hash=sealed["record_hash"],
        key_id=sealed["key_id"],
        public_key=sealed["public_key"],
        signature=sealed["signature"],
        sealed_at=dt.datetime.fromisoformat(sealed["sealed_at"]),
        through=len(driver.rows),
    )
    driver.do(stories.POLICY, carried)

    assert [problem.where for problem in verify_file(driver.file()).problems] == ["seal.hash"]


def test_a_key_that_is_not_trusted_fails(whole: bytes) -> None:
    """Given trusted keys, a seal by another key is a problem; by one of them it is neither that nor a warning."""
    other = SealingKey.from_bytes(bytes(32))

    assert [problem.where for problem in verify_file(whole, [other.key_id]).problems] == ["seal.key_id"]
    assert verify_file(whole, [KEY.key_id]).problems == ()
    assert verify_file(whole, [KEY.key_id]).warnings == ()


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("phases", [{}, []]),
        ("flags", [1]),
        ("at", "2026-11-23"),
        ("at", "2026-11-23T14:00:00+01:00"),
        ("version", 0),
        ("version", True),
        ("stream", "session/"),
        ("stream", "ring/other"),
        ("type", "NeverHeardOf"),
        ("schema", 99),
        ("actor", {}),
        ("payload", {}),
        ("payload", {"identity": {"$protected": 7}}),
        ("prev_hash", "0" * 63),
    ],
)
@pytest.mark.parametrize("at", [0, 8, 40])
def test_a_senseless_event_with_a_right_hash_is_a_finding(
    whole: bytes, part: str, value: object, at: int
) -> None:
    """Whoever computes hashes anew over nonsense gets a finding, never an error."""
    lines = whole.split(b"\n")
    where = lines.index(b'"events":[') + 1 + at
    event = json.loads(lines[where].rstrip(b","))
    event[part] = value
    form = {**event, "actor": rfc8785.dumps(event["actor"]).decode()}
    del form["hash"]
    event["hash"] = hashlib.sha256(rfc8785.dumps(form)).hexdigest()
    lines[where] = rfc8785.dumps(event) + b","

    assert not verify_file(b"\n".join(lines)).sound


def test_an_erased_identity_verifies_and_says_so() -> None:
    """After erasure the same record verifies with the same hashes, and the report says the identity is not there."""
    driver = stories.uneventful()
    before = driver.file()
    driver.protected.clear()
    after = driver.file()
    report = verify_file(after, [KEY.key_id])

    assert report.sound
    assert report.erased == ("session/ses-1@1.identity",)
    assert [warning.where for warning in report.warnings] == ["disclosed.session/ses-1@1.identity"]
    assert b"MRN-4471" in before and b"MRN-4471" not in after
    assert before.split(b'"disclosed"')[0] == after.split(b'"disclosed"')[0]


def test_an_unsealed_record_does_not_pass() -> None:
    """A record without a seal is whole but not sound."""
    driver = stories.to_injected()
    from engine.records.document import codec, folded, render

    report = verify_file(render(driver.history, folded(driver.history, codec())))

    assert "seal" in [problem.where for problem in report.problems]
