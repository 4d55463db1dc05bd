"""The watch: what readings and link events say about meters, the way to them and how they are set up.

Detectors say evidence (`detector`), the tree says what explains what (`tree`), one table decides the
cause (`diagnosis`), incidents live their lives in `incidents`; `shard.WatchShard` puts them together.
"""
