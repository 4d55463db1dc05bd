"""One line: its wire, its scheduler, and what its meters say between their slots."""
