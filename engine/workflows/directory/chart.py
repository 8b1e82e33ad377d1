"""The directory's chart: registered or not; its guards keep references whole."""

from zoneinfo import available_timezones

from statemachine import State, StateChart

from engine.kernel.machine import Facts

SETTINGS = ("office", "idtf", "hopd")
ZONES = frozenset(available_timezones())
RUNGS = ("primary", "backup", "bench")


class DirectoryChart(StateChart[None]):
    """One organization's directory."""

    allow_event_without_transition = False
    catch_errors_as_events = False

    class directory(State.Compound):
        """Registered or not."""

        unregistered = State(initial=True)
        registered = State()

        register_organization = unregistered.to(registered)
        register_site = registered.to(None, unless=["setting_unknown", "state_unknown", "time_zone_unknown"])
        register_room = registered.to(None, unless=["site_unknown"])
        register_person = registered.to(None, unless=["site_unknown"])
        appoint_coverage_manager = registered.to(None, unless=["site_unknown", "person_unknown"])
        set_roster = registered.to(None, unless=["site_unknown", "person_unknown", "rung_unknown"])

    record_credential = directory.to(None)
    record_credential_revoked = directory.to(None)


def setting_unknown(f: Facts) -> bool:
    """The setting must be office, idtf or hopd."""
    return f.command.setting not in SETTINGS


def state_unknown(f: Facts) -> bool:
    """Write the state as two capital letters, for example CA."""
    state = f.command.state
    return not (len(state) == 2 and state.isascii() and state.isalpha() and state.isupper())


def time_zone_unknown(f: Facts) -> bool:
    """Name a time zone of the IANA database; without one it is UTC."""
    return bool(f.command.time_zone) and f.command.time_zone not in ZONES


def site_unknown(f: Facts) -> bool:
    """Register the site first."""
    wanted = getattr(f.command, "sites", None) or (getattr(f.command, "site_id", ""),)
    return any(site not in f.state.sites for site in wanted if site or not hasattr(f.command, "sites"))


def person_unknown(f: Facts) -> bool:
    """Register the person first."""
    wanted = getattr(f.command, "people", None)
    people = wanted if wanted is not None else (f.command.person_id,)
    return any(person not in f.state.people for person in people)


def rung_unknown(f: Facts) -> bool:
    """A rung is primary, backup or bench."""
    return f.command.rung not in RUNGS


GUARDS = {
    guard.__name__: guard
    for guard in (
        setting_unknown,
        state_unknown,
        time_zone_unknown,
        site_unknown,
        person_unknown,
        rung_unknown,
    )
}
