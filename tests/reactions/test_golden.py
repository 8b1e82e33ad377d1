"""The pages in docs/protocols/, which a physician reviews, are what the packs give today."""

from tests.reactions.rendering import CHILD_KG, FOLDER, pages


def test_the_pages_are_the_ones_reviewed() -> None:
    """A changed dose changes a page, and somebody has to look at it; no page is left of what went."""
    drawn = pages()

    assert {path.name for path in FOLDER.iterdir()} == set(drawn)
    for name, text in drawn.items():
        assert (FOLDER / name).read_text("utf-8") == text, (
            f"run python -m tests.reactions.rendering for {name}"
        )


def test_a_page_shows_every_weight_of_the_check_vectors() -> None:
    """A child's epinephrine is on the page for each weight of the reference."""
    text = pages()["anaphylaxis.md"]

    assert all(f"| {kg} kg |" in text for kg in map(str, CHILD_KG))
    line = "epinephrine 0.07 mg (1 mg/mL, 0.07 mL; exactly 0.075 mg) IM into the anterolateral thigh"
    assert f"| 7.5 kg | {line} | 0.075 mg |" in text
