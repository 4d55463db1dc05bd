"""Building blocks of the look: tokens, style sheet, cards and tables."""
