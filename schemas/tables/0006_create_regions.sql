-- Regions, targets and what enterprises produced: what the overview measures consumption against.
-- Each row is the newest version by the log position that carried it.  Data effect: none, new tables.
CREATE TABLE IF NOT EXISTS region (
    region LowCardinality(String) COMMENT 'GB/T 2260 code',
    position UInt64,
    name String,
    name_en String,
    parent LowCardinality(String) COMMENT 'region it lies in; nothing: the outermost',
    row UInt8 COMMENT 'place on the tile map, from the top',
    column UInt8 COMMENT 'place on the tile map, from the left'
) ENGINE = {replicated}ReplacingMergeTree(position) ORDER BY region;

CREATE TABLE IF NOT EXISTS target (
    region LowCardinality(String),
    enterprise LowCardinality(String) COMMENT 'nothing: of the region itself',
    metric LowCardinality(String) COMMENT 'energy_total or energy_intensity',
    period String COMMENT 'a year (2026) or a month (2026-03)',
    value Float64,
    unit LowCardinality(String) COMMENT 'tce, or tce/10k CNY',
    source String COMMENT 'document that sets it',
    position UInt64
) ENGINE = {replicated}ReplacingMergeTree(position) ORDER BY (region, enterprise, metric, period);

CREATE TABLE IF NOT EXISTS activity (
    enterprise LowCardinality(String),
    measure LowCardinality(String) COMMENT 'output_value, value_added or output',
    period String COMMENT 'a month (2026-03)',
    value Float64,
    unit LowCardinality(String) COMMENT '10k CNY at comparable prices, or t',
    source String COMMENT 'who reported it',
    position UInt64
) ENGINE = {replicated}ReplacingMergeTree(position) ORDER BY (enterprise, measure, period);
