-- Links: what collectors said of themselves, their lines and meters, and the due readings they could not take.
-- The keys are what the collector says, so a message that comes twice writes the same row; `kind` stands before
-- the sequence so that heartbeats, most of the rows, are passed over where only changes are wanted (docs/decisions/0015).
-- Data effect: none, new tables.
CREATE TABLE IF NOT EXISTS link_event (
    enterprise LowCardinality(String),
    source LowCardinality(String),
    kind UInt8 COMMENT 'nengliu.domain.links.LinkKind',
    sequence UInt64 CODEC(DoubleDelta, ZSTD(1)),
    item UInt32 COMMENT 'place within its message',
    at DateTime64(3, 'Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    line LowCardinality(String),
    meter LowCardinality(String),
    reason UInt16,
    since DateTime64(3, 'Asia/Shanghai') COMMENT '1970: not known',
    parameters String CODEC(ZSTD(1)) COMMENT 'evidence as JSON',
    received_at DateTime('Asia/Shanghai') CODEC(Delta, ZSTD(1)),
    position UInt64 CODEC(DoubleDelta, ZSTD(1))
) ENGINE = {replicated}ReplacingMergeTree(position) ORDER BY (enterprise, source, kind, sequence, item)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400;

CREATE TABLE IF NOT EXISTS missed (
    enterprise LowCardinality(String),
    point LowCardinality(String),
    first_at DateTime64(3, 'Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    last_at DateTime64(3, 'Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    source LowCardinality(String),
    count UInt32 CODEC(ZSTD(1)) COMMENT 'readings due in between, evenly spaced',
    reason UInt16 CODEC(ZSTD(1)),
    parameters String CODEC(ZSTD(1)) COMMENT 'evidence as JSON',
    sequence UInt64 CODEC(DoubleDelta, ZSTD(1)),
    received_at DateTime('Asia/Shanghai') CODEC(Delta, ZSTD(1)),
    position UInt64 CODEC(DoubleDelta, ZSTD(1))
) ENGINE = {replicated}ReplacingMergeTree(sequence)
PARTITION BY toYYYYMM(first_at) ORDER BY (enterprise, point, first_at, last_at, source)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;
