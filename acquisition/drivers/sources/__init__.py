"""Sources that are no meters on a line: an OPC UA server, a database, a message broker, a folder of files."""
