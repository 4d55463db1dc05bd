-- Windows: one row per point and period, replaced whole by a higher revision; read with FINAL.
-- The history keeps the rows that a later day of knowledge superseded (as_of); hours as of a day are summed from
-- quarter-hours, months from days, so only those two levels have a history (docs/decisions/0005).

CREATE TABLE IF NOT EXISTS window_15min (
    enterprise LowCardinality(String),
    point LowCardinality(String),
    period_start DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    used Int64 CODEC(ZSTD(1)) COMMENT 'consumption [ticks]; 0 for a gauge',
    estimated Int64 CODEC(ZSTD(1)) COMMENT 'part of used that was spread over a gap [ticks]',
    decimals UInt8 CODEC(ZSTD(1)) COMMENT 'used / 10^decimals is in the unit of the point',
    mean Float64 CODEC(ZSTD(1)) COMMENT 'time-weighted, NaN without a gauge value',
    low Float64 CODEC(ZSTD(1)),
    high Float64 CODEC(ZSTD(1)),
    last Float64 CODEC(ZSTD(1)),
    covered_s UInt32 CODEC(ZSTD(1)) COMMENT 'seconds of the period that readings speak for',
    received UInt32 CODEC(ZSTD(1)),
    due UInt32 CODEC(ZSTD(1)) COMMENT 'readings due in the whole period; 0: change of value, none is due',
    good UInt32 CODEC(ZSTD(1)),
    late UInt32 CODEC(ZSTD(1)),
    substituted UInt32 CODEC(ZSTD(1)) COMMENT 'came as estimated or substituted',
    manual UInt32 CODEC(ZSTD(1)),
    suspect UInt32 CODEC(ZSTD(1)),
    bad UInt32 CODEC(ZSTD(1)),
    reason UInt16 CODEC(ZSTD(1)) COMMENT 'the gravest reason among readings and arithmetic',
    known_at DateTime('Asia/Shanghai') CODEC(Delta, ZSTD(1)) COMMENT 'newest receipt among the readings',
    revision UInt64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'newest log position among the readings'
) ENGINE = {replicated}ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start) ORDER BY (enterprise, point, period_start)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE IF NOT EXISTS window_hour AS window_15min
ENGINE = {replicated}ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start) ORDER BY (enterprise, point, period_start)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE IF NOT EXISTS window_day (
    enterprise LowCardinality(String),
    point LowCardinality(String),
    period_start DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    used Int64 CODEC(ZSTD(1)) COMMENT 'consumption [ticks]; 0 for a gauge',
    estimated Int64 CODEC(ZSTD(1)) COMMENT 'part of used that was spread over a gap [ticks]',
    decimals UInt8 CODEC(ZSTD(1)) COMMENT 'used / 10^decimals is in the unit of the point',
    mean Float64 CODEC(ZSTD(1)) COMMENT 'time-weighted, NaN without a gauge value',
    low Float64 CODEC(ZSTD(1)),
    high Float64 CODEC(ZSTD(1)),
    last Float64 CODEC(ZSTD(1)),
    covered_s UInt32 CODEC(ZSTD(1)) COMMENT 'seconds of the period that readings speak for',
    received UInt32 CODEC(ZSTD(1)),
    due UInt32 CODEC(ZSTD(1)) COMMENT 'readings due in the whole period; 0: change of value, none is due',
    good UInt32 CODEC(ZSTD(1)),
    late UInt32 CODEC(ZSTD(1)),
    substituted UInt32 CODEC(ZSTD(1)) COMMENT 'came as estimated or substituted',
    manual UInt32 CODEC(ZSTD(1)),
    suspect UInt32 CODEC(ZSTD(1)),
    bad UInt32 CODEC(ZSTD(1)),
    reason UInt16 CODEC(ZSTD(1)) COMMENT 'the gravest reason among readings and arithmetic',
    coal_kgce Float64 CODEC(ZSTD(1)) COMMENT 'standard coal, calorific value (dangliang); NaN without a factor',
    coal_equal_kgce Float64 CODEC(ZSTD(1)) COMMENT 'standard coal, equivalent value (dengjia)',
    co2_kg Float64 CODEC(ZSTD(1)),
    book LowCardinality(String) COMMENT 'digest of the book of factors',
    known_at DateTime('Asia/Shanghai') CODEC(Delta, ZSTD(1)) COMMENT 'newest receipt among the readings',
    revision UInt64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'newest log position among the readings'
) ENGINE = {replicated}ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start) ORDER BY (enterprise, point, period_start)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE IF NOT EXISTS window_month AS window_day
ENGINE = {replicated}ReplacingMergeTree(revision)
PARTITION BY toYear(period_start) ORDER BY (enterprise, point, period_start)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE IF NOT EXISTS window_15min_history AS window_15min
ENGINE = {replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(period_start) ORDER BY (enterprise, point, period_start, revision)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE IF NOT EXISTS window_day_history AS window_day
ENGINE = {replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(period_start) ORDER BY (enterprise, point, period_start, revision)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;
