"""A pack goes live by a medical director's signature over its hash, and by nothing else."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.access.signing import Approval, approve, check_approval
from engine.bootstrap import protocols, site_overlays
from engine.cli import cli
from engine.kernel.canonical import canonical_bytes
from engine.kernel.errors import Corrupt, Invalid
from engine.protocol_files import ProtocolFiles, pack_subject
from engine.reactions.pack import Pack, content_hash, written_hash
from engine.settings import Settings
from tests.reactions.packs import pack

AT = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SUBJECT = pack_subject(pack())
SIGNERS = {"director-1": KEY.public_key().public_bytes_raw().hex()}


def signed() -> Approval:
    return approve(SUBJECT, pack().hash, KEY, organization_id="org-1", signer_id="director-1", now=AT)


def checked(found: Approval | None, content: Pack | None = None) -> Approval:
    return check_approval(SUBJECT, (content or pack()).hash, found, organization_id="org-1", signers=SIGNERS)


def changed() -> Pack:
    """A pack with another epinephrine dose."""
    drugs = tuple(replace(row, dose_mg=row.dose_mg and row.dose_mg * 2) for row in pack().drugs)
    other = replace(pack(), drugs=drugs)
    return replace(other, hash=content_hash(other))


def test_a_good_signature_lets_the_pack_run() -> None:
    """The approval comes back, with the name that goes into the record."""
    assert checked(signed()).signer_id == "director-1"


@pytest.mark.hazard("H-10")
@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda good: None, "is not signed"),
        (lambda good: replace(good, content_hash="0" * 64), "changed after it was signed"),
        (lambda good: replace(good, subject="pack acr-2026 2025.9"), "changed after it was signed"),
        (lambda good: replace(good, organization_id="org-2"), "another organization"),
        (lambda good: replace(good, signer_id="somebody"), "does not name"),
        (lambda good: replace(good, public_key="00" * 32), "does not name"),
        (lambda good: replace(good, signed_at=AT + dt.timedelta(days=1)), "does not verify"),
        (lambda good: replace(good, signature="00" * 64), "does not verify"),
        (lambda good: replace(good, signature="not hex"), "does not verify"),
    ],
)
def test_any_other_signature_stops_it_with_what_to_do(
    spoil: Callable[[Approval], Approval | None], expected: str
) -> None:
    """Missing, over another pack, for another organization, by another key, changed: each is one sentence."""
    with pytest.raises(Invalid, match=expected) as caught:
        checked(spoil(signed()))
    assert caught.value.field == "protocol"


@pytest.mark.hazard("H-10")
def test_a_changed_pack_needs_a_new_signature() -> None:
    """One dose is another: the old signature no longer counts."""
    with pytest.raises(Invalid, match="changed after it was signed"):
        checked(signed(), changed())


def test_live_use_needs_the_signature_and_a_demonstration_does_not(tmp_path: Path) -> None:
    """Unsigned: no live start. Signed on the command line and trusted in the settings: it starts, with the name."""
    with pytest.raises(Invalid, match="is not signed"):
        protocols(Settings(data_dir=tmp_path, organization_id="org-1"))
    assert protocols(Settings(data_dir=tmp_path, demo=True)).signed_by == ""

    key = tmp_path / "director.key"
    words = ["protocol", "sign", "--organization", "org-1", "--signer", "director-1", "--key", str(key)]
    said = CliRunner().invoke(cli, [*words, "--new-key", "--data-dir", str(tmp_path)], input="y\n")
    assert said.exit_code == 0, said.output
    assert pack().hash in said.output and "UNSURE" in said.output
    unsure = next(line for line in said.output.splitlines() if "UNSURE" in line)
    fields = {row.id for row in pack().rows() if "UNSURE" in (row.evidence_of or {}).values()}
    assert "A-ALB (" in unsure and all(row_id in unsure for row_id in fields)
    public = Ed25519PrivateKey.from_private_bytes(key.read_bytes()).public_key().public_bytes_raw().hex()
    live = Settings(data_dir=tmp_path, organization_id="org-1", protocol_signers={"director-1": public})
    assert protocols(live).signed_by == "director-1"
    config = tmp_path / "attend.toml"
    config.write_text(f'[protocol_signers]\n"director-1" = "{public}"\n')
    listing = ["protocol", "list", "--data-dir", str(tmp_path)]
    listed = CliRunner().invoke(cli, [*listing, "--config", str(config)]).output
    assert "(signed by director-1 for org-1)" in listed and "(unsigned)" in listed
    assert key.stat().st_mode & 0o077 == 0


def test_the_list_believes_no_signature_that_the_live_start_would_refuse(tmp_path: Path) -> None:
    """An untrusted key, a forged signature and an unreadable approval are said; nobody is named as the signer."""
    config = tmp_path / "attend.toml"
    config.write_text(f'[protocol_signers]\n"director-1" = "{SIGNERS["director-1"]}"\n')
    kept = ProtocolFiles(tmp_path)

    def listed(*more: str) -> dict[str, str | None]:
        words = ["protocol", "list", "--data-dir", str(tmp_path), "--json", *more]
        (row,) = (r for r in json.loads(CliRunner().invoke(cli, words).output) if r["pack"] == "acr-2026")
        return {name: row[name] for name in ("signed_by", "signature")}

    path = kept.approved(signed())
    assert listed("--config", str(config)) == {"signed_by": "director-1 for org-1", "signature": "verified"}
    assert listed()["signed_by"] is None and "key not trusted" in str(listed()["signature"])
    kept.approved(replace(signed(), organization_id="org-2"))
    forged = listed("--config", str(config))
    assert forged["signed_by"] is None and "does not verify" in str(forged["signature"])
    path.write_text("{")
    assert "sign again" in str(listed("--config", str(config))["signature"])


def test_what_the_lint_objects_to_is_not_signed(tmp_path: Path) -> None:
    """A pack with a dose above its cap, a plan for a pack that is not there: exit 2, the objection, no file written."""
    folder = tmp_path / "elsewhere"
    ProtocolFiles(folder).keep(changed())
    spoilt = folder / "protocols" / f"{changed().hash}.json"
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.replace("acr-2026", "acr-2019"))
    key, data = tmp_path / "director.key", tmp_path / "data"
    words = ["protocol", "sign", "--organization", "o", "--signer", "d", "--key", str(key), "--new-key"]
    words += ["--data-dir", str(data), "--yes"]
    for more, expected in (
        (["--pack", str(spoilt)], "A-EPI-IV volume: dose: mL x mg/mL is not"),
        (["--overlay", str(plan)], "there is no pack acr-2019"),
    ):
        said = CliRunner().invoke(cli, [*words, *more])
        assert said.exit_code == 2 and expected in said.output
        assert not key.exists() and not data.exists()


def test_a_kept_version_outlives_a_schema_that_grew(tmp_path: Path) -> None:
    """A file from before a field existed still is what was signed; a field nobody wrote into it is a change."""
    kept = ProtocolFiles(tmp_path)
    kept.keep(pack())
    (path,) = (tmp_path / "protocols").glob("*.json")
    written = json.loads(path.read_bytes())
    for row in written["risk_factors"]:
        del row["topic"]
    older = written_hash(written)
    path.unlink()
    path = path.with_name(f"{older}.json")
    path.write_text(json.dumps({**written, "hash": older}))

    assert kept.versions()[older].risk_factors[0].topic == ""
    path.write_text(json.dumps({**written, "hash": older, "title": "another"}))
    with pytest.raises(Corrupt, match="was changed"):
        kept.versions()
    assert written_hash(json.loads(canonical_bytes(pack()))) == content_hash(pack()) == pack().hash


def test_signing_is_asked_for_and_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """A no signs nothing; a second --new-key over the same file is refused; so is a file that holds no key."""
    key = tmp_path / "director.key"
    words = ["protocol", "sign", "--organization", "o", "--signer", "d", "--key", str(key)]
    words += ["--data-dir", str(tmp_path)]
    assert CliRunner().invoke(cli, [*words, "--new-key"], input="n\n").exit_code == 1
    assert not key.exists() and not (tmp_path / "protocols").exists()
    missing = CliRunner().invoke(cli, [*words, "--yes"])
    assert missing.exit_code == 2 and "--new-key" in missing.output
    key.write_bytes(b"x" * 32)
    again = CliRunner().invoke(cli, [*words, "--new-key", "--yes"])
    assert again.exit_code == 2 and key.read_bytes() == b"x" * 32


def test_every_version_is_kept_and_an_altered_one_is_found(tmp_path: Path) -> None:
    """Two versions side by side; a changed byte in one stops the start and names the file."""
    kept = ProtocolFiles(tmp_path)
    for one in (pack(), changed(), pack()):
        kept.keep(one)
    assert kept.versions() == {pack().hash: pack(), changed().hash: changed()}
    path = tmp_path / "protocols" / f"{pack().hash}.json"
    path.write_text(path.read_text().replace('"0.3"', '"3.0"', 1))
    with pytest.raises(Corrupt, match=path.name):
        kept.versions()


def test_the_difference_of_two_packs_is_said_in_words(tmp_path: Path) -> None:
    """Every changed drug row with its field, before and after; a kept file and a shipped id compare alike."""
    kept = ProtocolFiles(tmp_path)
    kept.keep(changed())
    path = tmp_path / "protocols" / f"{changed().hash}.json"
    said = CliRunner().invoke(cli, ["protocol", "diff", "acr-2026", str(path), "--json"])
    rows = {row["row"]: row["words"] for row in json.loads(said.output)}

    assert "dose_mg: 0.3 → 0.6" in rows["A-EPI-IM"]
    assert CliRunner().invoke(cli, ["protocol", "diff", "acr-2026", "acr-2026"]).output == "0 rows differ\n"
    between = CliRunner().invoke(cli, ["protocol", "diff", "acr-2026", "acr-aaaai-2025"]).output
    assert "added" in between and "rows differ" in between
    [replaced] = [line for line in between.splitlines() if line.startswith("replaced A-EPI-IM ")]
    [fixed] = [line for line in between.splitlines() if line.startswith("added    A-EPI-IM-FIXED")]
    assert "dose_mg: 0.3 → nothing" in replaced and "dose_mg_per_kg: nothing → 0.01" in replaced
    assert "epinephrine IM" in fixed and "dose_mg 0.3" in fixed and "max_cumulative_mg 1" in fixed
    wrong = CliRunner().invoke(cli, ["protocol", "diff", "acr-2026", "none"])
    assert wrong.exit_code == 2 and "AFTER" in wrong.output


PLAN = """
site_id = "site-1"
pack_id = "acr-2026"
version = "1"
emergency_phone = "9-911"
ems_address = "1 Demo Street, entrance B"
kit_place = "wall beside the injector"

[hospital]
name = "Demo General"
address = "2 Demo Street"
"""


def test_a_sites_plan_is_signed_like_a_pack(tmp_path: Path) -> None:
    """Unsigned it stops a live start; signed it is there by its site; a changed word needs a new signature."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    key = tmp_path / "director.key"
    words = ["protocol", "sign", "--overlay", str(plan), "--organization", "org-1", "--signer", "director-1"]
    words += ["--key", str(key), "--data-dir", str(tmp_path), "--yes"]
    said = CliRunner().invoke(cli, [*words, "--new-key"])
    assert said.exit_code == 0, said.output
    assert "emergency_phone: 9-911\n" in said.output and "hospital: {name Demo General" in said.output
    public = Ed25519PrivateKey.from_private_bytes(key.read_bytes()).public_key().public_bytes_raw().hex()
    live = Settings(data_dir=tmp_path, organization_id="org-1", protocol_signers={"director-1": public})
    assert site_overlays(live)["site-1"].emergency_phone == "9-911"

    kept = tmp_path / "protocols" / "sites" / "site-1.toml"
    kept.write_text(PLAN.replace("9-911", "112"))
    with pytest.raises(Invalid, match="overlay of site-1 for acr-2026 is not signed"):
        site_overlays(live)
    assert site_overlays(Settings(data_dir=tmp_path, demo=True))["site-1"].emergency_phone == "112"


def test_a_plan_with_a_dose_is_not_signed(tmp_path: Path) -> None:
    """The sentence names option, file and field."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.replace("wall beside the injector", "give 0.3 mg first"))
    words = ["protocol", "sign", "--overlay", str(plan), "--organization", "o", "--signer", "d", "--key", "k"]
    said = CliRunner().invoke(cli, words)

    assert said.exit_code == 2
    assert "--overlay" in said.output and "kit_place" in said.output
