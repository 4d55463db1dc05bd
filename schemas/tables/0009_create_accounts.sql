-- Accounts: what was known when of the catalogue, every version of what is replaced in place, and the cost of days.
-- `known_at` is when the log took a notice (rows of before: always known).  A `*_history` keeps each version that was
-- ever written, by its own position, so that a question as of an instant finds it; a repeated row is the same row, and
-- nothing is summed (docs/decisions/0027).  Cost is computed from quarter-hours by the command `cost`, a day of a point as
-- one row: `used`, `price`, `amount` by band, from 0 (no tariff) to 5 (deep valley).
-- Data effect: new columns and tables; the histories begin with what stands.
ALTER TABLE enterprise ADD COLUMN IF NOT EXISTS known_at DateTime('Asia/Shanghai') COMMENT 'when the log took it';
ALTER TABLE point ADD COLUMN IF NOT EXISTS known_at DateTime('Asia/Shanghai') COMMENT 'when the log took it';
ALTER TABLE frame_schema ADD COLUMN IF NOT EXISTS known_at DateTime('Asia/Shanghai') COMMENT 'when the log took it';
ALTER TABLE book ADD COLUMN IF NOT EXISTS known_at DateTime('Asia/Shanghai') COMMENT 'when the log took it';
ALTER TABLE import_run ADD COLUMN IF NOT EXISTS known_at DateTime('Asia/Shanghai') COMMENT 'when the log took it';
ALTER TABLE wiring ADD COLUMN IF NOT EXISTS known_at DateTime('Asia/Shanghai') COMMENT 'when the log took it';
ALTER TABLE region ADD COLUMN IF NOT EXISTS known_at DateTime('Asia/Shanghai') COMMENT 'when the log took it';
ALTER TABLE target ADD COLUMN IF NOT EXISTS known_at DateTime('Asia/Shanghai') COMMENT 'when the log took it';
ALTER TABLE activity ADD COLUMN IF NOT EXISTS known_at DateTime('Asia/Shanghai') COMMENT 'when the log took it';

CREATE TABLE IF NOT EXISTS tariff (
    partition UInt32,
    position UInt64,
    digest String,
    definition String CODEC(ZSTD(3)) COMMENT 'hours, prices and days as JSON',
    known_at DateTime('Asia/Shanghai') COMMENT 'when the log took it'
) ENGINE = {replicated}ReplacingMergeTree ORDER BY (partition, position);

CREATE TABLE IF NOT EXISTS region_history AS region
ENGINE = {replicated}ReplacingMergeTree ORDER BY (region, position);
CREATE TABLE IF NOT EXISTS target_history AS target
ENGINE = {replicated}ReplacingMergeTree ORDER BY (region, enterprise, metric, period, position);
CREATE TABLE IF NOT EXISTS activity_history AS activity
ENGINE = {replicated}ReplacingMergeTree ORDER BY (enterprise, measure, period, position);
CREATE TABLE IF NOT EXISTS incident_history AS incident
ENGINE = {replicated}ReplacingMergeTree PARTITION BY toYYYYMM(updated_at) ORDER BY (enterprise, incident, revision)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400;

CREATE MATERIALIZED VIEW IF NOT EXISTS region_kept TO region_history AS SELECT * FROM region;
CREATE MATERIALIZED VIEW IF NOT EXISTS target_kept TO target_history AS SELECT * FROM target;
CREATE MATERIALIZED VIEW IF NOT EXISTS activity_kept TO activity_history AS SELECT * FROM activity;
CREATE MATERIALIZED VIEW IF NOT EXISTS incident_kept TO incident_history AS SELECT * FROM incident;

INSERT INTO region_history SELECT * FROM region;
INSERT INTO target_history SELECT * FROM target;
INSERT INTO activity_history SELECT * FROM activity;
INSERT INTO incident_history SELECT * FROM incident;

-- Of totals each day of knowledge keeps the version it ended with; quarter-hours and hours have no history.
CREATE TABLE IF NOT EXISTS total_day_history AS total_day
ENGINE = {replicated}ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start) ORDER BY (period_start, depth, enterprise, node, item, unit, toDate(known_at))
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;
CREATE TABLE IF NOT EXISTS total_month_history AS total_month
ENGINE = {replicated}ReplacingMergeTree(revision)
PARTITION BY toYear(period_start) ORDER BY (period_start, depth, enterprise, node, item, unit, toDate(known_at))
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;
CREATE MATERIALIZED VIEW IF NOT EXISTS total_day_kept TO total_day_history AS SELECT * FROM total_day;
CREATE MATERIALIZED VIEW IF NOT EXISTS total_month_kept TO total_month_history AS SELECT * FROM total_month;

CREATE TABLE IF NOT EXISTS cost_day (
    enterprise LowCardinality(String),
    point LowCardinality(String),
    period_start DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    tariff LowCardinality(String) COMMENT 'in force at the start of the day; nothing: none',
    book LowCardinality(String) COMMENT 'digest of the book of tariffs',
    decimals UInt8 CODEC(ZSTD(1)) COMMENT 'used / 10^decimals is in the unit of the point',
    used Array(Int64) CODEC(ZSTD(1)) COMMENT 'by band [ticks]',
    estimated Array(Int64) CODEC(ZSTD(1)) COMMENT 'of it spread over gaps, by band [ticks]',
    amount Array(Float64) CODEC(ZSTD(1)) COMMENT 'by band [CNY]; NaN without a price',
    windows UInt16 CODEC(ZSTD(1)) COMMENT 'quarter-hours it was computed from',
    day_revision UInt64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'revision of the window of the day it was computed for',
    point_position UInt64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'notice of the point it was computed by',
    known_at DateTime('Asia/Shanghai') CODEC(Delta, ZSTD(1)) COMMENT 'newest receipt among windows and tariff',
    revision UInt64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'newest log position among windows, point and tariff'
) ENGINE = {replicated}ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start) ORDER BY (enterprise, point, period_start)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE IF NOT EXISTS cost_day_history AS cost_day
ENGINE = {replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(period_start) ORDER BY (enterprise, point, period_start, revision)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS cost_day_kept TO cost_day_history AS SELECT * FROM cost_day;
