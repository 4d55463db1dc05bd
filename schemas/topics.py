"""Topics of the log and what travels in them (docs/decisions/0006)."""

RAW = "readings.raw"  # frames, JSON readings and notices from the edge
VALID = "readings.valid"  # accepted blocks and notices, from ingest to the other flows
TOPICS = (RAW, VALID)
COMMANDS = (
    "edge.commands"  # orders of a centre to its collectors (schemas.orders); laid by whoever orders first
)
