"""Floor 1: one folder a machine; no machine knows another."""
