"""Command line: the one place where the rooms are joined."""
