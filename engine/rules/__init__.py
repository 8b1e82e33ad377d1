"""Floor 1: the verdict on a session, from dated rule rows. Never defaults to allow."""
