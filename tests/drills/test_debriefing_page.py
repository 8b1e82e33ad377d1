"""The debriefing as a page: PDF/A of the same words as its JSON, marked, the same bytes for the same events."""

import json
from dataclasses import replace

import pytest

from engine.kernel.canonical import canonical_bytes
from engine.records.debriefing import Debriefing
from engine.workflows.drill.commands import DebriefDrill, EndDrill
from tests.drills.stage import DIRECTOR, DRILL, TECH, stage
from tests.drills.test_scoring import TO_ONSET_S, Run, play
from tests.records.papers.test_pages import read

pytestmark = pytest.mark.hazard("H-43")


async def played(run: Run) -> Debriefing:
    """The debriefing of a drill that was worked like this."""
    async with stage() as room:
        await room.start()
        await room.wait(TO_ONSET_S)
        await play(room, run)
        return await room.debriefing()


async def test_the_page_says_what_the_document_says() -> None:
    """Every check, every finding and every line of the timeline can be read out of the page, and the points."""
    made = await played(Run(calls=False, reads_back=False))
    told, (_, text) = json.loads(made.document), read(made.pdf())
    words = [check["name"].replace("_", " ") for check in told["checks"]]
    words += [finding["sentence"] for check in told["checks"] for finding in check["findings"]]
    words += [
        told["scenario"]["title"],
        f"{told['points']} of {told['out_of']} points",
        *told["participants"],
    ]

    assert told["points"] < told["out_of"]
    flat = text.replace(" ", "")
    assert [word for word in words if word.replace(" ", "") not in flat] == []
    lines = [line["text"].replace(" ", "") for line in told["timeline"]]
    assert [line for line in lines if line not in flat] == []


async def test_every_page_says_drill_and_which_document_it_prints() -> None:
    """PDF/A-2a, the mark and the content hash on each page, DRILL behind it; two printings are the same bytes."""
    made = await played(Run())
    one, two = made.pdf(), made.pdf()
    pages, text = read(one)

    assert one == two
    assert b"<pdfaid:part>2</pdfaid:part>" in one and b"<pdfaid:conformance>A</pdfaid:conformance>" in one
    assert text.replace(" ", "").count(made.content_hash) == pages
    assert text.count("DRILL: not a patient record") >= pages + 1


async def test_a_drill_in_which_nobody_did_anything_prints() -> None:
    """No report, no dose, no people: times are not recorded, and nothing is left blank."""
    async with stage() as room:
        await room.start()
        await room.wait(TO_ONSET_S)
        await room.do("drill", DRILL, EndDrill(), TECH)
        made = await room.debriefing()
    text = read(made.pdf())[1]

    assert text.count("not recorded") == 4
    assert "Took part nobody" in text
    assert "Nobody reported the reaction." in text


async def test_a_drill_that_was_never_shown_a_sign_prints() -> None:
    """Ended before the patient's first sign: there is nothing to count from, and it is said."""
    async with stage() as room:
        await room.start()
        await room.end()
        made = await room.debriefing()

    assert "not recorded" in read(made.pdf())[1]


async def test_what_people_typed_is_printed_as_typed() -> None:
    """Words that look like markup are printed, never run."""
    odd = '#panic("x") $ _a_ *b* \\ ] <label> @ref'
    made = await played(Run())
    told = json.loads(made.document)
    told["timeline"][0].update(text=odd, who=odd)
    told["checks"][0]["findings"] = [{"reason": "ODD", "sentence": odd, "at": None}]
    page = read(replace(made, document=canonical_bytes(told)).pdf())[1]

    assert page.count("#panic(") == 3


async def test_later_events_change_no_page() -> None:
    """What happens after the end is not practice: the printed bytes stay."""
    async with stage() as made:
        await made.start()
        await made.wait(TO_ONSET_S)
        await made.report()
        await made.end()
        before = (await made.debriefing()).pdf()
        await made.wait(3600)
        await made.do("drill", DRILL, DebriefDrill(notes="talked over"), DIRECTOR)

        assert (await made.debriefing()).pdf() == before
