"""What every test may use: a real store (one engine for the session, a database per test)."""

pytest_plugins = ["fixtures_store", "broker.fixture_kafka"]

collect_ignore = ["prove"]
"""Scripts of `make prove-a`: they take minutes and data sets that are not shipped."""
