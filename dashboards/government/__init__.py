"""The pages of government: overview, ranking and quality of a region, part by part."""
