"""Historical files become readings: CSV, XLSX and Parquet, read as a map says, published to the log."""
