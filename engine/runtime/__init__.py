"""Floor 3: the corridor: executor, timers, outbox, watchers, subscriptions."""
