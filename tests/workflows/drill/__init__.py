"""The drill machine."""
