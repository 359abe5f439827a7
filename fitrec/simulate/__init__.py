"""The simulator: the time loop with its inputs, noise, delivery and recorders."""
