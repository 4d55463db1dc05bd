"""Chart specifications as plain dictionaries: frames in, ECharts options out, nothing drawn here."""
