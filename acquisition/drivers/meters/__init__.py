"""What models of meters and kinds of equipment are: maps and templates as data."""
