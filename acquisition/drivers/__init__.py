"""Drivers: poll meters, keep what they say in a durable buffer, and hand it to the log."""
