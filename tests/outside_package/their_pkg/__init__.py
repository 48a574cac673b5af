"""An outsider's package: what recexp runs without knowing of it."""
