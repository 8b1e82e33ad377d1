"""Floor 5: the scripted sessions."""
