-- Catalogue: enterprises, points, frame schemas and books as every version that came through the log.
-- A version is keyed by the log position that carried it, so a replay writes the same row, and a flow that
-- resumes at position X reads the catalogue as it stood then (position <= X).  Data effect: none, new tables.
CREATE TABLE IF NOT EXISTS enterprise (
    enterprise LowCardinality(String),
    position UInt64,
    name String,
    name_en String,
    region LowCardinality(String),
    industry LowCardinality(String),
    simulated Bool
) ENGINE = {replicated}ReplacingMergeTree ORDER BY (enterprise, position);

CREATE TABLE IF NOT EXISTS point (
    enterprise LowCardinality(String),
    point LowCardinality(String),
    position UInt64,
    name String,
    name_en String,
    kind LowCardinality(String),
    item LowCardinality(String),
    unit LowCardinality(String),
    decimals UInt8,
    interval_s UInt32,
    metering_level UInt8,
    place String,
    valid_from DateTime64(3, 'Asia/Shanghai'),
    definition String CODEC(ZSTD(3)) COMMENT 'the whole point as JSON, meters included (schemas/messages.md)'
) ENGINE = {replicated}ReplacingMergeTree ORDER BY (enterprise, point, position);

CREATE TABLE IF NOT EXISTS frame_schema (
    enterprise LowCardinality(String),
    schema UInt32,
    position UInt64,
    definition String CODEC(ZSTD(3)) COMMENT 'the column list as JSON'
) ENGINE = {replicated}ReplacingMergeTree ORDER BY (enterprise, schema, position);

CREATE TABLE IF NOT EXISTS book (
    partition UInt32,
    position UInt64,
    digest String,
    definition String CODEC(ZSTD(3)) COMMENT 'dated factors as JSON'
) ENGINE = {replicated}ReplacingMergeTree ORDER BY (partition, position);

CREATE TABLE IF NOT EXISTS import_run (
    enterprise LowCardinality(String),
    digest String COMMENT 'SHA-256 of file and map: the same import is known again',
    position UInt64,
    sequence_base UInt64 COMMENT 'first source sequence its rows carry',
    file String,
    started_at DateTime('Asia/Shanghai'),
    rows UInt64,
    readings UInt64,
    repaired UInt64,
    rejected UInt64
) ENGINE = {replicated}ReplacingMergeTree ORDER BY (enterprise, digest, position);
