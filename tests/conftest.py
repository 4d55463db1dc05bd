"""What every test may use: a real store (one engine for the session, a database per test)."""

pytest_plugins = ["fixtures_store"]
