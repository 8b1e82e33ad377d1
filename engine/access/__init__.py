"""Floor 3: who may do what, where. Default is no."""
