"""The packs against the clinical reference: each of its rows is in exactly one place, in a pack or left out."""

import tomllib
from pathlib import Path

from engine.reactions.pack import Pack
from tests.reactions.packs import ACR, CONSENSUS, pack

LISTED = tomllib.loads((Path(__file__).parent / "reference_ids.toml").read_text("utf-8"))
ROWS = {row.id: row for name in (ACR, CONSENSUS) for row in pack(name).rows()}


def listed(*kinds: str) -> list[str]:
    return [row_id for kind in kinds for ids in LISTED[kind].values() for row_id in ids]


def in_packs() -> set[str]:
    """The ids of the reference that rows stand for: their own or the one they were split from."""
    return {row.source_row or row.id for row in ROWS.values() if row.id not in left_out()}


def left_out() -> set[str]:
    return {row.id for name in (ACR, CONSENSUS) for row in pack(name).left_out}


def test_every_row_of_the_reference_is_in_exactly_one_place() -> None:
    """In a pack, or left out with a reason; never neither, never both."""
    wanted = set(listed("printed", "named_here"))

    assert wanted - in_packs() - left_out() == set()
    assert in_packs() & left_out() == set()
    assert left_out() <= wanted


def test_the_list_names_each_row_once() -> None:
    """A row of the reference has one section."""
    every = listed("printed", "named_here", "project")

    assert len(every) == len(set(every))
    assert all(row_id == row_id.strip() and " " not in row_id for row_id in every)


def test_no_pack_row_comes_from_nowhere() -> None:
    """Every row stands for a row of the reference or is listed as the project's own; no listed one is gone."""
    known = set(listed("printed", "named_here"))
    own = set(listed("project"))

    assert {row.id for row in ROWS.values() if (row.source_row or row.id) not in known} == own
    assert {row.source_row for row in ROWS.values() if row.source_row} <= known


def test_what_is_left_out_says_why() -> None:
    """A reason that a director can judge."""
    assert all(len(row.reason) > 40 for row in pack().left_out)


def test_only_the_reference_gives_numbers() -> None:
    """Rows that are left out or open hold no number that could be used."""
    open_rows = [row for row in pack().reexposure if row.evidence == "UNSURE"]

    assert {row.premedicate for row in open_rows} <= {"physician_decides", "consider"}
    assert all(row.finding == "physician_review" for row in open_rows)
    assert observation(pack(), "E-8") is None


def observation(shipped: Pack, row_id: str) -> int | None:
    return next(row.minimum_s for row in shipped.observations if row.id == row_id)


def test_the_consensus_matrix_is_the_consensus_packs() -> None:
    """6D: mild no, moderate consider, severe another study first and not at a site without a team."""
    rows = {row.history: row for row in pack(CONSENSUS).reexposure if row.contrast_class == "iodinated"}

    assert (rows["mild"].premedicate, rows["mild"].switch_agent) == ("no", "yes")
    assert rows["moderate"].premedicate == "consider"
    assert (rows["severe"].finding, rows["severe"].hold_at) == ("alternative_study", ("office", "idtf"))
    assert rows["physiologic"].finding == "proceed"
    assert rows["delayed"].evidence == "UNSURE"


def test_the_kit_rows_say_what_takes_ready_away() -> None:
    """Epinephrine that expires, oxygen and AED that are checked."""
    blocking = {item.id for item in pack().kit_items if item.blocks_ready}

    assert blocking == {"K-1", "K-2", "K-3", "K-13", "K-16"}
    assert {item.id for item in pack().kit_items if item.keep_apart} == {"K-4"}
