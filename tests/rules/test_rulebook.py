"""A book is read whole or not at all: each way of writing a row wrongly names its file, row and field."""

import datetime as dt

import pytest

from engine.kernel.errors import Invalid
from engine.rules.rulebook import parse_rulebook
from tests.rules.cases import row, shipped, shipped_texts

HEAD = '[book]\nlayer = "facility"\nversion = "1"\n'
ROW = """
[[rule]]
id = "R-1"
presence = "virtual_av"
supervisor_roles = ["MD"]
status = "in_force"
evidence = "S"
citation = "policy 1"
text = "A row."
"""
BAD = [
    ("id", 'id = ""', "this field is needed"),
    ("id", 'id = "a b"', "write letters, digits and . : _ - only"),
    ("text", 'text = ""', "this field is needed"),
    ("citation", 'citation = ""', "this field is needed"),
    ("status", 'status = "active"', "write one of in_force, pending, unverified, repealed"),
    ("presence", 'presence = "zoom"', "write one of onsite_premises"),
    ("evidence", 'evidence = "sure"', "write one of S,"),
    ("supervisor_roles", "supervisor_roles = []", "this field is needed"),
    ("supervisor_roles", 'supervisor_roles = "MD"', "write a list of words"),
    ("supervisor_roles", 'supervisor_roles = ["md"]', "write one of MD"),
    ("settings", 'settings = ["Office"]', "write one of office, idtf, hopd"),
    ("modalities", 'modalities = ["MRI"]', "write one of CT, MR"),
    ("injectors", 'injectors = ["tech"]', "write one of technologist"),
    ("modes", 'modes = ["D"]', "write one of A, B, C"),
    ("state", 'state = "California"', "write two capital letters, as CA"),
    ("sites", "sites = [1]", "write a list of words"),
    ("records_access_required", 'records_access_required = "no"', "write true or false"),
    ("one_virtual_level", "one_virtual_level = 1", "write true or false"),
    ("effective_from", 'effective_from = "2026-01-01"', "write a date, as 2026-01-01"),
    ("effective_from", "effective_from = 2026-01-01T00:00:00Z", "write a date, as 2026-01-01"),
    ("effective_to", "effective_from = 2026-01-02\neffective_to = 2026-01-01", "before it starts"),
    ("order_window_hours", "order_window_hours = true", "write whole hours"),
    ("order_window_hours", "order_window_hours = 0", "write at least 1"),
    ("excluded_global_indicators", 'excluded_global_indicators = ["10"]', "three characters"),
    ("supervision_indicators", 'supervision_indicators = ["02"]', "without leading zeros"),
    ("supervisor_credentials", 'supervisor_credentials = ["degree"]', "write one of npi"),
    ("recording_consent", 'recording_consent = "maybe"', "write one of one_party"),
    ("responder_licences", "responder_required = true", "name the licences"),
    ("responder_required", "responder_competency = true", "needs responder_required"),
    ("responder_required", 'responder_licences = ["RN"]', "needs responder_required"),
    ("responder_requierd", "responder_requierd = true", "there is no such field"),
    ("layer", 'layer = "state"', "there is no such field"),
]


def written(change: str) -> str:
    """Return a file whose row has the change in place of the line of the same field."""
    names = [line.split(" =")[0] for line in change.splitlines()]
    kept = [line for line in ROW.splitlines() if line.split(" =")[0] not in names]
    return HEAD + "\n".join([*kept, change]) + "\n"


@pytest.mark.hazard("H-20")
@pytest.mark.parametrize(
    ("field", "change", "advice"), BAD, ids=[f"{field}-{n}" for n, (field, *_) in enumerate(BAD)]
)
def test_a_wrong_row_stops_the_book_and_is_named(field: str, change: str, advice: str) -> None:
    """The error names file, row and field, and says what to write."""
    with pytest.raises(Invalid) as caught:
        parse_rulebook({"mine.toml": written(change)})

    name = "row without id" if change == 'id = ""' else "a b" if change == 'id = "a b"' else "R-1"
    assert caught.value.field == f"mine.toml {name} {field}"
    assert advice in caught.value.why


@pytest.mark.hazard("H-20")
@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[book", "mine.toml"),
        ("", "mine.toml book layer"),
        ("book = 1", "mine.toml book"),
        ('[book]\nlayer = "county"\nversion = "1"', "mine.toml book layer"),
        ('[book]\nlayer = "state"', "mine.toml book version"),
        ('[book]\nlayer = "state"\nversion = 1', "mine.toml book version"),
        (HEAD + 'note = "x"\n' + ROW, "mine.toml book note"),
        (HEAD, "mine.toml rule"),
        (HEAD + ROW.replace("[[rule]]", "[[rules]]"), "mine.toml rules"),
        (HEAD + ROW.replace("[[rule]]", "[rule]"), "mine.toml rule"),
        ('rule = "x"\n' + HEAD, "mine.toml rule"),
        (HEAD.replace("facility", "state") + ROW, "mine.toml R-1 state"),
        (HEAD.replace("facility", "payer") + ROW, "mine.toml R-1 payers"),
        (HEAD + ROW.replace("in_force", "repealed"), "mine.toml R-1 effective_to"),
        (HEAD + ROW + ROW, "mine.toml R-1 id"),
    ],
)
def test_a_wrong_file_stops_the_book_and_is_named(text: str, field: str) -> None:
    """A file with a wrong head, no rows, or rows that contradict themselves is refused by name."""
    with pytest.raises(Invalid) as caught:
        parse_rulebook({"mine.toml": text})

    assert caught.value.field == field


def test_two_files_cannot_hold_the_same_row() -> None:
    """The second file with a row's id is the one named."""
    with pytest.raises(Invalid) as caught:
        parse_rulebook({"a.toml": HEAD + ROW, "b.toml": HEAD + ROW})

    assert caught.value.field == "b.toml R-1 id"


def test_the_hash_is_over_the_rows_and_nothing_else() -> None:
    """Comments, file names and order do not change the hash; a changed word, date or version does."""
    text = HEAD + ROW
    plain = parse_rulebook({"a.toml": text})
    second = ROW.replace("R-1", "R-2")

    assert parse_rulebook({"other.toml": "# hello\n" + text}).hash == plain.hash
    assert parse_rulebook({"a.toml": text + second}) == parse_rulebook({"a.toml": HEAD + second + ROW})
    for changed in (
        text.replace("A row.", "A row!"),
        text.replace('version = "1"', 'version = "2"'),
        text + "effective_from = 2026-01-01\n",
        text + second,
    ):
        assert parse_rulebook({"a.toml": changed}).hash != plain.hash


def test_the_shipped_book_says_what_nobody_has_signed() -> None:
    """Every shipped row has a source and no verifier, and the version names every file's."""
    shipped_book = shipped()

    assert {rule.verified_by for rule in shipped_book.rules} == {""}
    assert all(rule.citation and rule.text for rule in shipped_book.rules)
    assert len(shipped_book.version.split()) == len(shipped_texts())
    assert {rule.layer for rule in shipped_book.rules} == {"federal", "state", "accreditor", "facility"}


@pytest.mark.parametrize(
    ("status", "evidence", "verified"),
    [
        ("in_force", "S", True),
        ("repealed", "S", True),
        ("in_force", "S-partial", False),
        ("in_force", "M", False),
        ("in_force", "V", False),
        ("in_force", "UNSURE", False),
        ("pending", "S", False),
        ("unverified", "S", False),
    ],
)
def test_verified_means_seen_whole_and_in_force(status: str, evidence: str, verified: bool) -> None:
    """Anything short of a source seen whole and a rule in force is unverified."""
    assert row("federal", status=status, evidence=evidence).verified == verified


def test_a_pending_row_waits_for_a_date() -> None:
    """A bill without a date does not bind; one whose date has come is in effect, and is not verified."""
    on = dt.date(2026, 7, 1)

    assert not row("federal", status="pending").in_effect(on)
    assert not row("federal", status="pending", effective_from=on).in_effect(on - dt.timedelta(days=1))
    assert row("federal", status="pending", effective_from=on).in_effect(on)
