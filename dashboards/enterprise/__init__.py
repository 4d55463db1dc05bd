"""The page of one energy-using unit, part by part."""
