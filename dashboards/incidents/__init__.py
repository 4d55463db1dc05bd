"""The incident desk and the page of one incident, part by part."""
