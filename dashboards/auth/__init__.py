"""The way in: log-in, log-out, and the gate nobody passes without a session."""
