"""Every limit of the corridor, by name, with its unit."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the corridor will hold at most. Past a limit the caller gets Overloaded with the limit's name.

    Raises ValueError for a limit that is not above zero: none of them means "without limit".
    """

    commands_in_flight: int = 1024
    commit_queue: int = 2048
    commit_batch: int = 256
    commit_patience: int = 10
    cached_streams: int = 4096
    conflict_retries: int = 3
    tail_events: int = 4096
    watchers: int = 2000
    watcher_lag_events: int = 1024
    watcher_page_events: int = 256
    heartbeat_s: float = 5.0
    timers_per_pass: int = 256
    timer_poll_s: float = 1.0
    timer_pause_max_s: float = 30.0
    sends_per_pass: int = 64
    send_concurrency: int = 8
    send_backoff_s: float = 1.0
    send_backoff_max_s: float = 60.0
    sends_held: int = 1024
    outbox_poll_s: float = 1.0
    subscription_page_events: int = 256
    subscription_save_events: int = 512
    subscription_concurrency: int = 32
    subscription_ahead_events: int = 4096
    retry_wait_s: float = 0.2

    def __post_init__(self) -> None:
        for limit in fields(self):
            if getattr(self, limit.name) <= 0:
                raise ValueError(f"{limit.name} must be above zero")
