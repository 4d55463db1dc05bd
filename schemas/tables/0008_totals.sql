-- Totals: one row per node, item, unit and period, replaced whole by a higher revision; read with FINAL.
-- node '' is the enterprise; rows lie by the period of the level above, those of enterprises together, so that a region or
-- the nation is a sum over neighbours, and so is a plant's day (docs/decisions/0026).  History is not kept: totals as of a day are folded from windows.
-- Data effect: new tables; a dated column for the seats of an enterprise.
ALTER TABLE enterprise ADD COLUMN IF NOT EXISTS stays String DEFAULT '[]'
    COMMENT 'dated regions and industries as JSON, the last of them as in the row; []: it never moved';

CREATE TABLE IF NOT EXISTS total_15min (
    enterprise LowCardinality(String),
    node LowCardinality(String) COMMENT 'path under the enterprise; nothing: the enterprise itself',
    depth UInt8 CODEC(ZSTD(1)) COMMENT 'steps below the enterprise',
    item LowCardinality(String),
    unit LowCardinality(String),
    period_start DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    region LowCardinality(String) COMMENT 'of the enterprise when the period begins',
    industry LowCardinality(String),
    decimals UInt8 CODEC(ZSTD(1)) COMMENT 'amounts / 10^decimals are in the unit',
    used Int64 CODEC(ZSTD(1)) COMMENT 'value of the node [ticks]; of the enterprise what crossed its boundary',
    metered Int64 CODEC(ZSTD(1)) COMMENT 'its own meters, and what came in or was made below them [ticks]; meters_due = 0: none',
    parts Int64 CODEC(ZSTD(1)) COMMENT 'sum of what lies below it [ticks]; members_due = 0: nothing',
    feedstock Int64 CODEC(ZSTD(1)) COMMENT 'part of used that was used as material [ticks]',
    renewable Int64 CODEC(ZSTD(1)) COMMENT 'part of used that is new renewable energy [ticks]',
    estimated Int64 CODEC(ZSTD(1)) COMMENT 'part of used that was spread over gaps [ticks]',
    received UInt32 CODEC(ZSTD(1)) COMMENT 'readings behind used',
    due UInt32 CODEC(ZSTD(1)) COMMENT 'readings due of the points behind used, the silent ones too',
    points UInt32 CODEC(ZSTD(1)) COMMENT 'points behind used that were heard',
    points_due UInt32 CODEC(ZSTD(1)) COMMENT 'points behind used that lived in the period',
    meters UInt32 CODEC(ZSTD(1)) COMMENT 'points behind metered that were heard',
    meters_due UInt32 CODEC(ZSTD(1)),
    members UInt32 CODEC(ZSTD(1)) COMMENT 'points behind parts that were heard',
    members_due UInt32 CODEC(ZSTD(1)),
    reason UInt16 CODEC(ZSTD(1)) COMMENT 'the gravest reason behind used',
    known_at DateTime('Asia/Shanghai') CODEC(Delta, ZSTD(1)) COMMENT 'newest receipt among the readings',
    revision UInt64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'newest position among its windows and the notices that shaped it'
) ENGINE = {replicated}ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start) ORDER BY (toStartOfHour(period_start), depth, enterprise, node, item, unit, period_start)
SETTINGS {dedup}index_granularity = 2048, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE IF NOT EXISTS total_hour AS total_15min
ENGINE = {replicated}ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start) ORDER BY (toStartOfDay(period_start), depth, enterprise, node, item, unit, period_start)
SETTINGS {dedup}index_granularity = 2048, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE IF NOT EXISTS total_day (
    enterprise LowCardinality(String),
    node LowCardinality(String) COMMENT 'path under the enterprise; nothing: the enterprise itself',
    depth UInt8 CODEC(ZSTD(1)) COMMENT 'steps below the enterprise',
    item LowCardinality(String),
    unit LowCardinality(String),
    period_start DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    region LowCardinality(String) COMMENT 'of the enterprise when the period begins',
    industry LowCardinality(String),
    decimals UInt8 CODEC(ZSTD(1)) COMMENT 'amounts / 10^decimals are in the unit',
    used Int64 CODEC(ZSTD(1)) COMMENT 'value of the node [ticks]; of the enterprise what crossed its boundary',
    metered Int64 CODEC(ZSTD(1)) COMMENT 'its own meters, and what came in or was made below them [ticks]; meters_due = 0: none',
    parts Int64 CODEC(ZSTD(1)) COMMENT 'sum of what lies below it [ticks]; members_due = 0: nothing',
    feedstock Int64 CODEC(ZSTD(1)) COMMENT 'part of used that was used as material [ticks]',
    renewable Int64 CODEC(ZSTD(1)) COMMENT 'part of used that is new renewable energy [ticks]',
    estimated Int64 CODEC(ZSTD(1)) COMMENT 'part of used that was spread over gaps [ticks]',
    received UInt32 CODEC(ZSTD(1)) COMMENT 'readings behind used',
    due UInt32 CODEC(ZSTD(1)) COMMENT 'readings due of the points behind used, the silent ones too',
    points UInt32 CODEC(ZSTD(1)) COMMENT 'points behind used that were heard',
    points_due UInt32 CODEC(ZSTD(1)) COMMENT 'points behind used that lived in the period',
    meters UInt32 CODEC(ZSTD(1)) COMMENT 'points behind metered that were heard',
    meters_due UInt32 CODEC(ZSTD(1)),
    members UInt32 CODEC(ZSTD(1)) COMMENT 'points behind parts that were heard',
    members_due UInt32 CODEC(ZSTD(1)),
    reason UInt16 CODEC(ZSTD(1)) COMMENT 'the gravest reason behind used',
    coal_kgce Float64 CODEC(ZSTD(1)) COMMENT 'standard coal of used, calorific value; NaN without a factor',
    coal_equal_kgce Float64 CODEC(ZSTD(1)) COMMENT 'standard coal of used, equivalent value',
    co2_kg Float64 CODEC(ZSTD(1)),
    book LowCardinality(String) COMMENT 'digest of the book of factors',
    known_at DateTime('Asia/Shanghai') CODEC(Delta, ZSTD(1)) COMMENT 'newest receipt among the readings',
    revision UInt64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'newest position among its windows and the notices that shaped it'
) ENGINE = {replicated}ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start) ORDER BY (toStartOfMonth(period_start), depth, enterprise, node, item, unit, period_start)
SETTINGS {dedup}index_granularity = 2048, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE IF NOT EXISTS total_month AS total_day
ENGINE = {replicated}ReplacingMergeTree(revision)
PARTITION BY toYear(period_start) ORDER BY (toStartOfYear(period_start), depth, enterprise, node, item, unit, period_start)
SETTINGS {dedup}index_granularity = 2048, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;
