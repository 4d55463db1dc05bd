-- Readings as accepted (the later source sequence wins), the values that lost, what was held back, and the
-- tally of every message (law 3: received = valid + duplicate + quarantined).
-- Nothing deletes readings by itself: at least three years are kept (TC 4.1.4, docs/decisions/0009).
CREATE TABLE IF NOT EXISTS reading (
    enterprise LowCardinality(String),
    point LowCardinality(String),
    read_at DateTime64(3, 'Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    origin UInt8 CODEC(ZSTD(1)),
    ticks Int64 CODEC(Delta, ZSTD(1)),
    quality UInt8 CODEC(ZSTD(1)),
    reason UInt16 CODEC(ZSTD(1)),
    received_at DateTime('Asia/Shanghai') CODEC(Delta, ZSTD(1)),
    sequence UInt64 CODEC(DoubleDelta, ZSTD(1)),
    position UInt64 CODEC(DoubleDelta, ZSTD(1)),
    sent Int64 CODEC(Delta, ZSTD(1)) COMMENT 'as sent: sent * 10^-sent_decimals in sent_unit',
    sent_unit LowCardinality(String) CODEC(ZSTD(1)),
    sent_decimals UInt8 CODEC(ZSTD(1))
) ENGINE = {replicated}ReplacingMergeTree(sequence)
PARTITION BY toYYYYMM(read_at) ORDER BY (enterprise, point, read_at, origin)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE IF NOT EXISTS reading_superseded AS reading
ENGINE = {replicated}ReplacingMergeTree PARTITION BY toYYYYMM(read_at) ORDER BY (enterprise, point, read_at, origin, sequence, ticks, position)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE IF NOT EXISTS quarantine (
    position UInt64,
    item UInt32 COMMENT 'which part of the message, 0 for the whole',
    partition UInt32,
    enterprise LowCardinality(String),
    point String,
    source LowCardinality(String),
    reason UInt16,
    parameters String COMMENT 'evidence as JSON',
    payload String CODEC(ZSTD(3)) COMMENT 'what was held back, as text or base64',
    received_at DateTime('Asia/Shanghai')
) ENGINE = {replicated}ReplacingMergeTree PARTITION BY toYYYYMM(received_at) ORDER BY (enterprise, partition, position, item);

CREATE TABLE IF NOT EXISTS intake (
    enterprise LowCardinality(String),
    source LowCardinality(String),
    partition UInt32,
    position UInt64,
    received_at DateTime('Asia/Shanghai'),
    received UInt32,
    valid UInt32,
    duplicate UInt32,
    quarantined UInt32,
    conflicts UInt32 COMMENT 'of valid and duplicate: another value stood or stands at the same key'
) ENGINE = {replicated}ReplacingMergeTree PARTITION BY toYYYYMM(received_at) ORDER BY (enterprise, source, partition, position);
