"""Finding meters on a line, and proposing how they are read."""
