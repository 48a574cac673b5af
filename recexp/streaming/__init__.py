"""Learning from events: what they are, the model that takes them, and its evaluation in time."""
