"""The buffer: all that was seen, on the disk until every centre has it."""
