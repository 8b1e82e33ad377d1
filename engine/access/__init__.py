"""Floor 3: who may do what, where. Default deny."""
