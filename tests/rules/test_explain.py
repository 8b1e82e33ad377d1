"""A verdict as lines for people and as the JSON of the command."""

import json

from engine.rules.explain import as_json, as_lines
from engine.rules.verdict import evaluate
from tests.rules.cases import circumstances, shipped


def test_the_json_has_exactly_the_promised_shape() -> None:
    """Verdict in the wire's words, and each layer with its six fields, all text."""
    told = json.loads(json.dumps(as_json(evaluate(shipped(), circumstances("OH")))))

    assert told["verdict"] == "needs-attestation"
    assert set(told) == {"verdict", "layers", "assumed"}
    assert [(one["layer"], one["result"]) for one in told["layers"]] == [
        ("state", "needs-attestation"),
        ("federal", "allow"),
        ("accreditor", "allow"),
        ("facility", "allow"),
    ]
    for one in told["layers"]:
        assert list(one) == ["layer", "result", "rule", "reason", "citation", "version"]
        assert all(isinstance(value, str) for value in one.values())
        assert one["reason"]
        assert one["version"]


def test_the_words_are_the_same_for_every_verdict() -> None:
    """Allow, needs-attestation and deny are spelled as the command promises."""
    spelled = [as_json(evaluate(shipped(), circumstances(state)))["verdict"] for state in ("CA", "OH", "NJ")]

    assert spelled == ["allow", "needs-attestation", "deny"]


def test_the_lines_say_who_decides_and_why() -> None:
    """The first line has the verdict and the layer that decides, the second that layer's sentence and source."""
    lines = as_lines(evaluate(shipped(), circumstances("NJ")))

    assert lines[0] == "verdict: deny, decided by the state layer"
    assert lines[1] == (
        "  state: deny. The physician must be present in the facility and readily available to attend; "
        "virtual supervision is not possible. [NJ-13:35-6.20] [N.J.A.C. 13:35-6.20]"
    )
    assert "  assumed: facility safety protocols on file" in lines
    assert lines[-1] == "  holds through 2099-12-31"


def test_an_allow_is_decided_by_nobody_and_a_missing_row_has_no_source() -> None:
    """When all layers agree none is named; a layer without a rule shows no empty brackets."""
    assert as_lines(evaluate(shipped(), circumstances()))[0] == "verdict: allow"
    assert as_lines(evaluate(shipped(), circumstances("OH")))[1] == (
        "  state: needs-attestation. No state rule is on file for this session; two people must attest."
    )
