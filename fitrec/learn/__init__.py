"""Learning rules. Each fits the plastic and feed-forward weights of a network to target rates, loop by loop."""
