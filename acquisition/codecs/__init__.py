"""Codecs: bytes and registers become values, without sockets, clocks or files."""
