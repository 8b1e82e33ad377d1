"""Floor 3: read models of organizations, sites, people and credentials."""
