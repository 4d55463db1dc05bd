CREATE TABLE activity
(
    `enterprise` LowCardinality(String),
    `measure` LowCardinality(String) COMMENT 'output_value, value_added or output',
    `period` String COMMENT 'a month (2026-03)',
    `value` Float64,
    `unit` LowCardinality(String) COMMENT '10k CNY at comparable prices, or t',
    `source` String COMMENT 'who reported it',
    `position` UInt64,
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it',
    `origin` LowCardinality(String) COMMENT 'entered, imported, uploaded or simulated; nothing: not told',
    `by` String COMMENT 'login of who entered it; nothing: no person',
    `at` DateTime('Asia/Shanghai') COMMENT 'when it was entered'
)
ENGINE = ReplacingMergeTree(position)
ORDER BY (enterprise, measure, period)
SETTINGS index_granularity = 8192;

CREATE TABLE activity_history
(
    `enterprise` LowCardinality(String),
    `measure` LowCardinality(String) COMMENT 'output_value, value_added or output',
    `period` String COMMENT 'a month (2026-03)',
    `value` Float64,
    `unit` LowCardinality(String) COMMENT '10k CNY at comparable prices, or t',
    `source` String COMMENT 'who reported it',
    `position` UInt64,
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it',
    `origin` LowCardinality(String) COMMENT 'entered, imported, uploaded or simulated; nothing: not told',
    `by` String COMMENT 'login of who entered it; nothing: no person',
    `at` DateTime('Asia/Shanghai') COMMENT 'when it was entered'
)
ENGINE = ReplacingMergeTree
ORDER BY (enterprise, measure, period, position)
SETTINGS index_granularity = 8192;

CREATE MATERIALIZED VIEW activity_kept TO activity_history
(
    `enterprise` LowCardinality(String),
    `measure` LowCardinality(String),
    `period` String,
    `value` Float64,
    `unit` LowCardinality(String),
    `source` String,
    `position` UInt64,
    `known_at` DateTime('Asia/Shanghai'),
    `origin` LowCardinality(String),
    `by` String,
    `at` DateTime('Asia/Shanghai')
)
AS SELECT *
FROM activity;

CREATE TABLE book
(
    `partition` UInt32,
    `position` UInt64,
    `digest` String,
    `definition` String COMMENT 'dated factors as JSON' CODEC(ZSTD(3)),
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it'
)
ENGINE = ReplacingMergeTree
ORDER BY (partition, position)
SETTINGS index_granularity = 8192;

CREATE TABLE cost_day
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `tariff` LowCardinality(String) COMMENT 'in force at the start of the day; nothing: none',
    `book` LowCardinality(String) COMMENT 'digest of the book of tariffs',
    `decimals` UInt8 COMMENT 'used / 10^decimals is in the unit of the point' CODEC(ZSTD(1)),
    `used` Array(Int64) COMMENT 'by band [ticks]' CODEC(ZSTD(1)),
    `estimated` Array(Int64) COMMENT 'of it spread over gaps, by band [ticks]' CODEC(ZSTD(1)),
    `amount` Array(Float64) COMMENT 'by band [CNY]; NaN without a price' CODEC(ZSTD(1)),
    `windows` UInt16 COMMENT 'quarter-hours it was computed from' CODEC(ZSTD(1)),
    `day_revision` UInt64 COMMENT 'revision of the window of the day it was computed for' CODEC(DoubleDelta, ZSTD(1)),
    `point_position` UInt64 COMMENT 'notice of the point it was computed by' CODEC(DoubleDelta, ZSTD(1)),
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among windows and tariff' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest log position among windows, point and tariff' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start)
ORDER BY (enterprise, point, period_start)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

CREATE TABLE cost_day_history
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `tariff` LowCardinality(String) COMMENT 'in force at the start of the day; nothing: none',
    `book` LowCardinality(String) COMMENT 'digest of the book of tariffs',
    `decimals` UInt8 COMMENT 'used / 10^decimals is in the unit of the point' CODEC(ZSTD(1)),
    `used` Array(Int64) COMMENT 'by band [ticks]' CODEC(ZSTD(1)),
    `estimated` Array(Int64) COMMENT 'of it spread over gaps, by band [ticks]' CODEC(ZSTD(1)),
    `amount` Array(Float64) COMMENT 'by band [CNY]; NaN without a price' CODEC(ZSTD(1)),
    `windows` UInt16 COMMENT 'quarter-hours it was computed from' CODEC(ZSTD(1)),
    `day_revision` UInt64 COMMENT 'revision of the window of the day it was computed for' CODEC(DoubleDelta, ZSTD(1)),
    `point_position` UInt64 COMMENT 'notice of the point it was computed by' CODEC(DoubleDelta, ZSTD(1)),
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among windows and tariff' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest log position among windows, point and tariff' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(period_start)
ORDER BY (enterprise, point, period_start, revision)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

CREATE MATERIALIZED VIEW cost_day_kept TO cost_day_history
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai'),
    `tariff` LowCardinality(String),
    `book` LowCardinality(String),
    `decimals` UInt8,
    `used` Array(Int64),
    `estimated` Array(Int64),
    `amount` Array(Float64),
    `windows` UInt16,
    `day_revision` UInt64,
    `point_position` UInt64,
    `known_at` DateTime('Asia/Shanghai'),
    `revision` UInt64
)
AS SELECT *
FROM cost_day;

CREATE TABLE enterprise
(
    `enterprise` LowCardinality(String),
    `position` UInt64,
    `name` String,
    `name_en` String,
    `region` LowCardinality(String),
    `industry` LowCardinality(String),
    `simulated` Bool,
    `stays` String DEFAULT '[]' COMMENT 'dated regions and industries as JSON, the last of them as in the row; []: it never moved',
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it'
)
ENGINE = ReplacingMergeTree
ORDER BY (enterprise, position)
SETTINGS index_granularity = 8192;

CREATE TABLE frame_schema
(
    `enterprise` LowCardinality(String),
    `schema` UInt32,
    `position` UInt64,
    `definition` String COMMENT 'the column list as JSON' CODEC(ZSTD(3)),
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it'
)
ENGINE = ReplacingMergeTree
ORDER BY (enterprise, schema, position)
SETTINGS index_granularity = 8192;

CREATE TABLE horizon
(
    `flow` LowCardinality(String) COMMENT 'ingest or rollups: who has passed the notice',
    `partition` UInt32,
    `position` UInt64,
    `begins_at` DateTime64(3, 'Asia/Shanghai') COMMENT 'readings from here on are kept; a month more lies there still',
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it'
)
ENGINE = ReplacingMergeTree
ORDER BY (flow, partition, position)
SETTINGS index_granularity = 8192;

CREATE TABLE import_run
(
    `enterprise` LowCardinality(String),
    `digest` String COMMENT 'SHA-256 of file and map: the same import is known again',
    `position` UInt64,
    `sequence_base` UInt64 COMMENT 'first source sequence its rows carry',
    `file` String,
    `started_at` DateTime('Asia/Shanghai'),
    `rows` UInt64,
    `readings` UInt64,
    `repaired` UInt64,
    `rejected` UInt64,
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it'
)
ENGINE = ReplacingMergeTree
ORDER BY (enterprise, digest, position)
SETTINGS index_granularity = 8192;

CREATE TABLE incident
(
    `enterprise` LowCardinality(String),
    `incident` String COMMENT '16 hex digits',
    `class` LowCardinality(String) COMMENT 'link, meter, configuration or power',
    `cause` UInt16 COMMENT 'schemas/codes/causes.csv',
    `severity` UInt8 COMMENT '1 worst to 3',
    `state` LowCardinality(String) COMMENT 'active_unack, active_ack, cleared_unack or closed',
    `shelved_until` DateTime('Asia/Shanghai') COMMENT '1970: not shelved',
    `shelve_reason` String,
    `root` LowCardinality(String) COMMENT 'collector, line, meter, point or enterprise',
    `source` LowCardinality(String),
    `line` LowCardinality(String),
    `meter` LowCardinality(String),
    `point` LowCardinality(String),
    `members` Array(String) COMMENT 'points folded under it, itself included',
    `opened_at` DateTime64(3, 'Asia/Shanghai') COMMENT 'when it began, in event time',
    `raised_at` DateTime('Asia/Shanghai') COMMENT 'when the clock of the stream knew',
    `cleared_at` DateTime64(3, 'Asia/Shanghai') COMMENT '1970: it lasts',
    `updated_at` DateTime('Asia/Shanghai'),
    `acknowledged_at` DateTime('Asia/Shanghai') COMMENT '1970: not acknowledged',
    `acknowledged_by` String,
    `closed_at` DateTime('Asia/Shanghai') COMMENT '1970: not closed',
    `closed_by` String,
    `comment` String,
    `evidence` String COMMENT 'JSON list of code, at_ms, parameters; the newest last, at most 20' CODEC(ZSTD(1)),
    `count` UInt32 COMMENT 'findings',
    `revision` UInt64 COMMENT 'position of what changed it last'
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (enterprise, incident)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, index_granularity = 8192;

CREATE TABLE incident_event
(
    `enterprise` LowCardinality(String),
    `incident` String,
    `position` UInt64 CODEC(DoubleDelta, ZSTD(1)),
    `item` UInt32 COMMENT 'place among what happened at the position',
    `at` DateTime64(3, 'Asia/Shanghai'),
    `what` LowCardinality(String) COMMENT 'opened, updated, joined, reclassified, cleared, reopened, acknowledged, shelved, unshelved, closed or refused',
    `by` String COMMENT 'login; nothing: the rules',
    `cause` UInt16,
    `parameters` String COMMENT 'evidence as JSON' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(position)
ORDER BY (enterprise, incident, position, item)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, index_granularity = 8192;

CREATE TABLE incident_history
(
    `enterprise` LowCardinality(String),
    `incident` String COMMENT '16 hex digits',
    `class` LowCardinality(String) COMMENT 'link, meter, configuration or power',
    `cause` UInt16 COMMENT 'schemas/codes/causes.csv',
    `severity` UInt8 COMMENT '1 worst to 3',
    `state` LowCardinality(String) COMMENT 'active_unack, active_ack, cleared_unack or closed',
    `shelved_until` DateTime('Asia/Shanghai') COMMENT '1970: not shelved',
    `shelve_reason` String,
    `root` LowCardinality(String) COMMENT 'collector, line, meter, point or enterprise',
    `source` LowCardinality(String),
    `line` LowCardinality(String),
    `meter` LowCardinality(String),
    `point` LowCardinality(String),
    `members` Array(String) COMMENT 'points folded under it, itself included',
    `opened_at` DateTime64(3, 'Asia/Shanghai') COMMENT 'when it began, in event time',
    `raised_at` DateTime('Asia/Shanghai') COMMENT 'when the clock of the stream knew',
    `cleared_at` DateTime64(3, 'Asia/Shanghai') COMMENT '1970: it lasts',
    `updated_at` DateTime('Asia/Shanghai'),
    `acknowledged_at` DateTime('Asia/Shanghai') COMMENT '1970: not acknowledged',
    `acknowledged_by` String,
    `closed_at` DateTime('Asia/Shanghai') COMMENT '1970: not closed',
    `closed_by` String,
    `comment` String,
    `evidence` String COMMENT 'JSON list of code, at_ms, parameters; the newest last, at most 20' CODEC(ZSTD(1)),
    `count` UInt32 COMMENT 'findings',
    `revision` UInt64 COMMENT 'position of what changed it last'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(updated_at)
ORDER BY (enterprise, incident, revision)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, index_granularity = 8192;

CREATE MATERIALIZED VIEW incident_kept TO incident_history
(
    `enterprise` LowCardinality(String),
    `incident` String,
    `class` LowCardinality(String),
    `cause` UInt16,
    `severity` UInt8,
    `state` LowCardinality(String),
    `shelved_until` DateTime('Asia/Shanghai'),
    `shelve_reason` String,
    `root` LowCardinality(String),
    `source` LowCardinality(String),
    `line` LowCardinality(String),
    `meter` LowCardinality(String),
    `point` LowCardinality(String),
    `members` Array(String),
    `opened_at` DateTime64(3, 'Asia/Shanghai'),
    `raised_at` DateTime('Asia/Shanghai'),
    `cleared_at` DateTime64(3, 'Asia/Shanghai'),
    `updated_at` DateTime('Asia/Shanghai'),
    `acknowledged_at` DateTime('Asia/Shanghai'),
    `acknowledged_by` String,
    `closed_at` DateTime('Asia/Shanghai'),
    `closed_by` String,
    `comment` String,
    `evidence` String,
    `count` UInt32,
    `revision` UInt64
)
AS SELECT *
FROM incident;

CREATE TABLE intake
(
    `enterprise` LowCardinality(String),
    `source` LowCardinality(String),
    `partition` UInt32,
    `position` UInt64,
    `received_at` DateTime('Asia/Shanghai'),
    `received` UInt32,
    `valid` UInt32,
    `duplicate` UInt32,
    `quarantined` UInt32,
    `conflicts` UInt32 COMMENT 'of valid and duplicate: another value stood or stands at the same key'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (enterprise, source, partition, position)
SETTINGS index_granularity = 8192;

CREATE TABLE link_event
(
    `enterprise` LowCardinality(String),
    `source` LowCardinality(String),
    `kind` UInt8 COMMENT 'nengliu.domain.links.LinkKind',
    `sequence` UInt64 CODEC(DoubleDelta, ZSTD(1)),
    `item` UInt32 COMMENT 'place within its message',
    `at` DateTime64(3, 'Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `line` LowCardinality(String),
    `meter` LowCardinality(String),
    `reason` UInt16,
    `since` DateTime64(3, 'Asia/Shanghai') COMMENT '1970: not known',
    `parameters` String COMMENT 'evidence as JSON' CODEC(ZSTD(1)),
    `received_at` DateTime('Asia/Shanghai') CODEC(Delta(4), ZSTD(1)),
    `position` UInt64 CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(position)
ORDER BY (enterprise, source, kind, sequence, item)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, index_granularity = 8192;

CREATE TABLE manual_entry
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `read_at` DateTime64(3, 'Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `position` UInt64,
    `item` UInt32 COMMENT 'which value of the message',
    `sent` Int64 COMMENT 'as entered: sent * 10^-sent_decimals in sent_unit',
    `sent_unit` LowCardinality(String),
    `sent_decimals` UInt8,
    `by` String COMMENT 'login of who entered it',
    `at` DateTime('Asia/Shanghai') COMMENT 'when it was entered',
    `why` String COMMENT 'why it had to be entered by hand',
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it'
)
ENGINE = ReplacingMergeTree
ORDER BY (enterprise, point, read_at, position, item)
SETTINGS index_granularity = 8192;

CREATE TABLE migration
(
    `name` String,
    `checksum` String COMMENT 'SHA-256 of the file',
    `applied_at` DateTime('UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY name
SETTINGS index_granularity = 8192;

CREATE TABLE missed
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `first_at` DateTime64(3, 'Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `last_at` DateTime64(3, 'Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `source` LowCardinality(String),
    `count` UInt32 COMMENT 'readings due in between, evenly spaced' CODEC(ZSTD(1)),
    `reason` UInt16 CODEC(ZSTD(1)),
    `parameters` String COMMENT 'evidence as JSON' CODEC(ZSTD(1)),
    `sequence` UInt64 CODEC(DoubleDelta, ZSTD(1)),
    `received_at` DateTime('Asia/Shanghai') CODEC(Delta(4), ZSTD(1)),
    `position` UInt64 CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(sequence)
PARTITION BY toYYYYMM(first_at)
ORDER BY (enterprise, point, first_at, last_at, source)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

CREATE TABLE point
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `position` UInt64,
    `name` String,
    `name_en` String,
    `kind` LowCardinality(String),
    `item` LowCardinality(String),
    `unit` LowCardinality(String),
    `decimals` UInt8,
    `interval_s` UInt32,
    `metering_level` UInt8,
    `place` String,
    `valid_from` DateTime64(3, 'Asia/Shanghai'),
    `definition` String COMMENT 'the whole point as JSON, meters included (schemas/messages.md)' CODEC(ZSTD(3)),
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it'
)
ENGINE = ReplacingMergeTree
ORDER BY (enterprise, point, position)
SETTINGS index_granularity = 8192;

CREATE TABLE point_newest
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `first_read_at` SimpleAggregateFunction(min, DateTime64(3, 'Asia/Shanghai')),
    `last_read_at` SimpleAggregateFunction(max, DateTime64(3, 'Asia/Shanghai')),
    `last_received_at` SimpleAggregateFunction(max, DateTime('Asia/Shanghai'))
)
ENGINE = AggregatingMergeTree
ORDER BY (enterprise, point)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, index_granularity = 8192;

CREATE TABLE quarantine
(
    `position` UInt64,
    `item` UInt32 COMMENT 'which part of the message, 0 for the whole',
    `partition` UInt32,
    `enterprise` LowCardinality(String),
    `point` String,
    `source` LowCardinality(String),
    `reason` UInt16,
    `parameters` String COMMENT 'evidence as JSON',
    `payload` String COMMENT 'what was held back, as text or base64' CODEC(ZSTD(3)),
    `received_at` DateTime('Asia/Shanghai')
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (enterprise, partition, position, item)
SETTINGS index_granularity = 8192;

CREATE VIEW reading
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `read_at` DateTime64(3, 'Asia/Shanghai'),
    `origin` UInt8,
    `ticks` Int64,
    `quality` UInt8,
    `reason` UInt16,
    `received_at` DateTime('Asia/Shanghai'),
    `sequence` UInt64,
    `position` UInt64,
    `sent` Int64,
    `sent_unit` String,
    `sent_decimals` UInt8,
    `period_start` DateTime('Asia/Shanghai')
)
AS SELECT
    enterprise,
    point,
    fromUnixTimestamp64Milli((toInt64(toUnixTimestamp(period_start)) * 1000) + each_at, 'Asia/Shanghai') AS read_at,
    origin,
    each_ticks AS ticks,
    each_quality AS quality,
    each_reason AS reason,
    toDateTime(each_received, 'Asia/Shanghai') AS received_at,
    each_sequence AS sequence,
    each_position AS position,
    each_sent AS sent,
    if(mixed, each_unit, unit) AS sent_unit,
    if(mixed, each_decimals, decimals) AS sent_decimals,
    period_start
FROM
(
    SELECT
        enterprise,
        point,
        period_start,
        origin,
        at,
        ticks AS own_ticks,
        arrayResize(quality, length(at)) AS own_quality,
        arrayResize(reason, length(at)) AS own_reason,
        received_at AS own_received,
        sequence AS own_sequence,
        position AS own_position,
        if(empty(sent), ticks, sent) AS own_sent,
        sent_unit AS unit,
        sent_decimals AS decimals,
        notEmpty(sent_unit_each) AS mixed,
        arrayResize(sent_unit_each, length(at)) AS own_units,
        arrayResize(sent_decimals_each, length(at)) AS own_decimals
    FROM reading_chunk
    FINAL
)
ARRAY JOIN
    at AS each_at,
    own_ticks AS each_ticks,
    own_quality AS each_quality,
    own_reason AS each_reason,
    own_received AS each_received,
    own_sequence AS each_sequence,
    own_position AS each_position,
    own_sent AS each_sent,
    own_units AS each_unit,
    own_decimals AS each_decimals;

CREATE TABLE reading_chunk
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') COMMENT 'start of the China hour' CODEC(DoubleDelta, ZSTD(1)),
    `origin` UInt8 CODEC(ZSTD(1)),
    `at` Array(UInt32) COMMENT 'read_at - period_start [ms], ascending' CODEC(Delta(4), LZ4),
    `ticks` Array(Int64) CODEC(DoubleDelta, ZSTD(1)),
    `received_at` Array(UInt32) COMMENT '[s, UTC]' CODEC(Delta(4), LZ4),
    `sequence` Array(UInt64) CODEC(Delta(8), LZ4),
    `position` Array(UInt64) CODEC(Delta(8), LZ4),
    `quality` Array(UInt8) COMMENT 'nothing: all good' CODEC(ZSTD(1)),
    `reason` Array(UInt16) COMMENT 'nothing: none has one' CODEC(ZSTD(1)),
    `sent` Array(Int64) COMMENT 'as sent: sent * 10^-sent_decimals in sent_unit; nothing: as ticks' CODEC(DoubleDelta, ZSTD(1)),
    `sent_unit` LowCardinality(String) COMMENT 'of all readings, unless each has its own' CODEC(ZSTD(1)),
    `sent_decimals` UInt8 CODEC(ZSTD(1)),
    `sent_unit_each` Array(String) COMMENT 'of each reading, where they differ' CODEC(ZSTD(1)),
    `sent_decimals_each` Array(UInt8) CODEC(ZSTD(1)),
    `revision` UInt64 COMMENT 'newest log position among the messages that changed it' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start)
ORDER BY (enterprise, point, period_start, origin)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1, index_granularity_bytes = 2097152, index_granularity = 8192;

CREATE TABLE reading_superseded
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `read_at` DateTime64(3, 'Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `origin` UInt8 CODEC(ZSTD(1)),
    `ticks` Int64 CODEC(Delta(8), ZSTD(1)),
    `quality` UInt8 CODEC(ZSTD(1)),
    `reason` UInt16 CODEC(ZSTD(1)),
    `received_at` DateTime('Asia/Shanghai') CODEC(Delta(4), ZSTD(1)),
    `sequence` UInt64 CODEC(DoubleDelta, ZSTD(1)),
    `position` UInt64 CODEC(DoubleDelta, ZSTD(1)),
    `sent` Int64 COMMENT 'as sent: sent * 10^-sent_decimals in sent_unit' CODEC(Delta(8), ZSTD(1)),
    `sent_unit` LowCardinality(String) CODEC(ZSTD(1)),
    `sent_decimals` UInt8 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(read_at)
ORDER BY (enterprise, point, read_at, origin, sequence, ticks, position)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

CREATE TABLE region
(
    `region` LowCardinality(String) COMMENT 'GB/T 2260 code',
    `position` UInt64,
    `name` String,
    `name_en` String,
    `parent` LowCardinality(String) COMMENT 'region it lies in; nothing: the outermost',
    `row` UInt8 COMMENT 'place on the tile map, from the top',
    `column` UInt8 COMMENT 'place on the tile map, from the left',
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it'
)
ENGINE = ReplacingMergeTree(position)
ORDER BY region
SETTINGS index_granularity = 8192;

CREATE TABLE region_history
(
    `region` LowCardinality(String) COMMENT 'GB/T 2260 code',
    `position` UInt64,
    `name` String,
    `name_en` String,
    `parent` LowCardinality(String) COMMENT 'region it lies in; nothing: the outermost',
    `row` UInt8 COMMENT 'place on the tile map, from the top',
    `column` UInt8 COMMENT 'place on the tile map, from the left',
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it'
)
ENGINE = ReplacingMergeTree
ORDER BY (region, position)
SETTINGS index_granularity = 8192;

CREATE MATERIALIZED VIEW region_kept TO region_history
(
    `region` LowCardinality(String),
    `position` UInt64,
    `name` String,
    `name_en` String,
    `parent` LowCardinality(String),
    `row` UInt8,
    `column` UInt8,
    `known_at` DateTime('Asia/Shanghai')
)
AS SELECT *
FROM region;

CREATE TABLE target
(
    `region` LowCardinality(String),
    `enterprise` LowCardinality(String) COMMENT 'nothing: of the region itself',
    `metric` LowCardinality(String) COMMENT 'energy_total or energy_intensity',
    `period` String COMMENT 'a year (2026) or a month (2026-03)',
    `value` Float64,
    `unit` LowCardinality(String) COMMENT 'tce, or tce/10k CNY',
    `source` String COMMENT 'document that sets it',
    `position` UInt64,
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it'
)
ENGINE = ReplacingMergeTree(position)
ORDER BY (region, enterprise, metric, period)
SETTINGS index_granularity = 8192;

CREATE TABLE target_history
(
    `region` LowCardinality(String),
    `enterprise` LowCardinality(String) COMMENT 'nothing: of the region itself',
    `metric` LowCardinality(String) COMMENT 'energy_total or energy_intensity',
    `period` String COMMENT 'a year (2026) or a month (2026-03)',
    `value` Float64,
    `unit` LowCardinality(String) COMMENT 'tce, or tce/10k CNY',
    `source` String COMMENT 'document that sets it',
    `position` UInt64,
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it'
)
ENGINE = ReplacingMergeTree
ORDER BY (region, enterprise, metric, period, position)
SETTINGS index_granularity = 8192;

CREATE MATERIALIZED VIEW target_kept TO target_history
(
    `region` LowCardinality(String),
    `enterprise` LowCardinality(String),
    `metric` LowCardinality(String),
    `period` String,
    `value` Float64,
    `unit` LowCardinality(String),
    `source` String,
    `position` UInt64,
    `known_at` DateTime('Asia/Shanghai')
)
AS SELECT *
FROM target;

CREATE TABLE tariff
(
    `partition` UInt32,
    `position` UInt64,
    `digest` String,
    `definition` String COMMENT 'hours, prices and days as JSON' CODEC(ZSTD(3)),
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it'
)
ENGINE = ReplacingMergeTree
ORDER BY (partition, position)
SETTINGS index_granularity = 8192;

CREATE TABLE total_15min
(
    `enterprise` LowCardinality(String),
    `node` LowCardinality(String) COMMENT 'path under the enterprise; nothing: the enterprise itself',
    `depth` UInt8 COMMENT 'steps below the enterprise' CODEC(ZSTD(1)),
    `item` LowCardinality(String),
    `unit` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `region` LowCardinality(String) COMMENT 'of the enterprise when the period begins',
    `industry` LowCardinality(String),
    `decimals` UInt8 COMMENT 'amounts / 10^decimals are in the unit' CODEC(ZSTD(1)),
    `used` Int64 COMMENT 'value of the node [ticks]; of the enterprise what crossed its boundary' CODEC(ZSTD(1)),
    `metered` Int64 COMMENT 'its own meters, and what came in or was made below them [ticks]; meters_due = 0: none' CODEC(ZSTD(1)),
    `parts` Int64 COMMENT 'sum of what lies below it [ticks]; members_due = 0: nothing' CODEC(ZSTD(1)),
    `feedstock` Int64 COMMENT 'part of used that was used as material [ticks]' CODEC(ZSTD(1)),
    `renewable` Int64 COMMENT 'part of used that is new renewable energy [ticks]' CODEC(ZSTD(1)),
    `estimated` Int64 COMMENT 'part of used that was spread over gaps [ticks]' CODEC(ZSTD(1)),
    `received` UInt32 COMMENT 'readings behind used' CODEC(ZSTD(1)),
    `due` UInt32 COMMENT 'readings due of the points behind used, the silent ones too' CODEC(ZSTD(1)),
    `points` UInt32 COMMENT 'points behind used that were heard' CODEC(ZSTD(1)),
    `points_due` UInt32 COMMENT 'points behind used that lived in the period' CODEC(ZSTD(1)),
    `meters` UInt32 COMMENT 'points behind metered that were heard' CODEC(ZSTD(1)),
    `meters_due` UInt32 CODEC(ZSTD(1)),
    `members` UInt32 COMMENT 'points behind parts that were heard' CODEC(ZSTD(1)),
    `members_due` UInt32 CODEC(ZSTD(1)),
    `reason` UInt16 COMMENT 'the gravest reason behind used' CODEC(ZSTD(1)),
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among the readings' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest position among its windows and the notices that shaped it' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start)
ORDER BY (toStartOfHour(period_start), depth, enterprise, node, item, unit, period_start)
SETTINGS non_replicated_deduplication_window = 1000, index_granularity = 2048, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE total_day
(
    `enterprise` LowCardinality(String),
    `node` LowCardinality(String) COMMENT 'path under the enterprise; nothing: the enterprise itself',
    `depth` UInt8 COMMENT 'steps below the enterprise' CODEC(ZSTD(1)),
    `item` LowCardinality(String),
    `unit` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `region` LowCardinality(String) COMMENT 'of the enterprise when the period begins',
    `industry` LowCardinality(String),
    `decimals` UInt8 COMMENT 'amounts / 10^decimals are in the unit' CODEC(ZSTD(1)),
    `used` Int64 COMMENT 'value of the node [ticks]; of the enterprise what crossed its boundary' CODEC(ZSTD(1)),
    `metered` Int64 COMMENT 'its own meters, and what came in or was made below them [ticks]; meters_due = 0: none' CODEC(ZSTD(1)),
    `parts` Int64 COMMENT 'sum of what lies below it [ticks]; members_due = 0: nothing' CODEC(ZSTD(1)),
    `feedstock` Int64 COMMENT 'part of used that was used as material [ticks]' CODEC(ZSTD(1)),
    `renewable` Int64 COMMENT 'part of used that is new renewable energy [ticks]' CODEC(ZSTD(1)),
    `estimated` Int64 COMMENT 'part of used that was spread over gaps [ticks]' CODEC(ZSTD(1)),
    `received` UInt32 COMMENT 'readings behind used' CODEC(ZSTD(1)),
    `due` UInt32 COMMENT 'readings due of the points behind used, the silent ones too' CODEC(ZSTD(1)),
    `points` UInt32 COMMENT 'points behind used that were heard' CODEC(ZSTD(1)),
    `points_due` UInt32 COMMENT 'points behind used that lived in the period' CODEC(ZSTD(1)),
    `meters` UInt32 COMMENT 'points behind metered that were heard' CODEC(ZSTD(1)),
    `meters_due` UInt32 CODEC(ZSTD(1)),
    `members` UInt32 COMMENT 'points behind parts that were heard' CODEC(ZSTD(1)),
    `members_due` UInt32 CODEC(ZSTD(1)),
    `reason` UInt16 COMMENT 'the gravest reason behind used' CODEC(ZSTD(1)),
    `coal_kgce` Float64 COMMENT 'standard coal of used, calorific value; NaN without a factor' CODEC(ZSTD(1)),
    `coal_equal_kgce` Float64 COMMENT 'standard coal of used, equivalent value' CODEC(ZSTD(1)),
    `co2_kg` Float64 CODEC(ZSTD(1)),
    `book` LowCardinality(String) COMMENT 'digest of the book of factors',
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among the readings' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest position among its windows and the notices that shaped it' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start)
ORDER BY (toStartOfMonth(period_start), depth, enterprise, node, item, unit, period_start)
SETTINGS non_replicated_deduplication_window = 1000, index_granularity = 2048, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE total_day_history
(
    `enterprise` LowCardinality(String),
    `node` LowCardinality(String) COMMENT 'path under the enterprise; nothing: the enterprise itself',
    `depth` UInt8 COMMENT 'steps below the enterprise' CODEC(ZSTD(1)),
    `item` LowCardinality(String),
    `unit` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `region` LowCardinality(String) COMMENT 'of the enterprise when the period begins',
    `industry` LowCardinality(String),
    `decimals` UInt8 COMMENT 'amounts / 10^decimals are in the unit' CODEC(ZSTD(1)),
    `used` Int64 COMMENT 'value of the node [ticks]; of the enterprise what crossed its boundary' CODEC(ZSTD(1)),
    `metered` Int64 COMMENT 'its own meters, and what came in or was made below them [ticks]; meters_due = 0: none' CODEC(ZSTD(1)),
    `parts` Int64 COMMENT 'sum of what lies below it [ticks]; members_due = 0: nothing' CODEC(ZSTD(1)),
    `feedstock` Int64 COMMENT 'part of used that was used as material [ticks]' CODEC(ZSTD(1)),
    `renewable` Int64 COMMENT 'part of used that is new renewable energy [ticks]' CODEC(ZSTD(1)),
    `estimated` Int64 COMMENT 'part of used that was spread over gaps [ticks]' CODEC(ZSTD(1)),
    `received` UInt32 COMMENT 'readings behind used' CODEC(ZSTD(1)),
    `due` UInt32 COMMENT 'readings due of the points behind used, the silent ones too' CODEC(ZSTD(1)),
    `points` UInt32 COMMENT 'points behind used that were heard' CODEC(ZSTD(1)),
    `points_due` UInt32 COMMENT 'points behind used that lived in the period' CODEC(ZSTD(1)),
    `meters` UInt32 COMMENT 'points behind metered that were heard' CODEC(ZSTD(1)),
    `meters_due` UInt32 CODEC(ZSTD(1)),
    `members` UInt32 COMMENT 'points behind parts that were heard' CODEC(ZSTD(1)),
    `members_due` UInt32 CODEC(ZSTD(1)),
    `reason` UInt16 COMMENT 'the gravest reason behind used' CODEC(ZSTD(1)),
    `coal_kgce` Float64 COMMENT 'standard coal of used, calorific value; NaN without a factor' CODEC(ZSTD(1)),
    `coal_equal_kgce` Float64 COMMENT 'standard coal of used, equivalent value' CODEC(ZSTD(1)),
    `co2_kg` Float64 CODEC(ZSTD(1)),
    `book` LowCardinality(String) COMMENT 'digest of the book of factors',
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among the readings' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest position among its windows and the notices that shaped it' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start)
ORDER BY (period_start, depth, enterprise, node, item, unit, toDate(known_at))
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

CREATE MATERIALIZED VIEW total_day_kept TO total_day_history
(
    `enterprise` LowCardinality(String),
    `node` LowCardinality(String),
    `depth` UInt8,
    `item` LowCardinality(String),
    `unit` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai'),
    `region` LowCardinality(String),
    `industry` LowCardinality(String),
    `decimals` UInt8,
    `used` Int64,
    `metered` Int64,
    `parts` Int64,
    `feedstock` Int64,
    `renewable` Int64,
    `estimated` Int64,
    `received` UInt32,
    `due` UInt32,
    `points` UInt32,
    `points_due` UInt32,
    `meters` UInt32,
    `meters_due` UInt32,
    `members` UInt32,
    `members_due` UInt32,
    `reason` UInt16,
    `coal_kgce` Float64,
    `coal_equal_kgce` Float64,
    `co2_kg` Float64,
    `book` LowCardinality(String),
    `known_at` DateTime('Asia/Shanghai'),
    `revision` UInt64
)
AS SELECT *
FROM total_day;

CREATE TABLE total_hour
(
    `enterprise` LowCardinality(String),
    `node` LowCardinality(String) COMMENT 'path under the enterprise; nothing: the enterprise itself',
    `depth` UInt8 COMMENT 'steps below the enterprise' CODEC(ZSTD(1)),
    `item` LowCardinality(String),
    `unit` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `region` LowCardinality(String) COMMENT 'of the enterprise when the period begins',
    `industry` LowCardinality(String),
    `decimals` UInt8 COMMENT 'amounts / 10^decimals are in the unit' CODEC(ZSTD(1)),
    `used` Int64 COMMENT 'value of the node [ticks]; of the enterprise what crossed its boundary' CODEC(ZSTD(1)),
    `metered` Int64 COMMENT 'its own meters, and what came in or was made below them [ticks]; meters_due = 0: none' CODEC(ZSTD(1)),
    `parts` Int64 COMMENT 'sum of what lies below it [ticks]; members_due = 0: nothing' CODEC(ZSTD(1)),
    `feedstock` Int64 COMMENT 'part of used that was used as material [ticks]' CODEC(ZSTD(1)),
    `renewable` Int64 COMMENT 'part of used that is new renewable energy [ticks]' CODEC(ZSTD(1)),
    `estimated` Int64 COMMENT 'part of used that was spread over gaps [ticks]' CODEC(ZSTD(1)),
    `received` UInt32 COMMENT 'readings behind used' CODEC(ZSTD(1)),
    `due` UInt32 COMMENT 'readings due of the points behind used, the silent ones too' CODEC(ZSTD(1)),
    `points` UInt32 COMMENT 'points behind used that were heard' CODEC(ZSTD(1)),
    `points_due` UInt32 COMMENT 'points behind used that lived in the period' CODEC(ZSTD(1)),
    `meters` UInt32 COMMENT 'points behind metered that were heard' CODEC(ZSTD(1)),
    `meters_due` UInt32 CODEC(ZSTD(1)),
    `members` UInt32 COMMENT 'points behind parts that were heard' CODEC(ZSTD(1)),
    `members_due` UInt32 CODEC(ZSTD(1)),
    `reason` UInt16 COMMENT 'the gravest reason behind used' CODEC(ZSTD(1)),
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among the readings' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest position among its windows and the notices that shaped it' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start)
ORDER BY (toStartOfDay(period_start), depth, enterprise, node, item, unit, period_start)
SETTINGS non_replicated_deduplication_window = 1000, index_granularity = 2048, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE total_month
(
    `enterprise` LowCardinality(String),
    `node` LowCardinality(String) COMMENT 'path under the enterprise; nothing: the enterprise itself',
    `depth` UInt8 COMMENT 'steps below the enterprise' CODEC(ZSTD(1)),
    `item` LowCardinality(String),
    `unit` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `region` LowCardinality(String) COMMENT 'of the enterprise when the period begins',
    `industry` LowCardinality(String),
    `decimals` UInt8 COMMENT 'amounts / 10^decimals are in the unit' CODEC(ZSTD(1)),
    `used` Int64 COMMENT 'value of the node [ticks]; of the enterprise what crossed its boundary' CODEC(ZSTD(1)),
    `metered` Int64 COMMENT 'its own meters, and what came in or was made below them [ticks]; meters_due = 0: none' CODEC(ZSTD(1)),
    `parts` Int64 COMMENT 'sum of what lies below it [ticks]; members_due = 0: nothing' CODEC(ZSTD(1)),
    `feedstock` Int64 COMMENT 'part of used that was used as material [ticks]' CODEC(ZSTD(1)),
    `renewable` Int64 COMMENT 'part of used that is new renewable energy [ticks]' CODEC(ZSTD(1)),
    `estimated` Int64 COMMENT 'part of used that was spread over gaps [ticks]' CODEC(ZSTD(1)),
    `received` UInt32 COMMENT 'readings behind used' CODEC(ZSTD(1)),
    `due` UInt32 COMMENT 'readings due of the points behind used, the silent ones too' CODEC(ZSTD(1)),
    `points` UInt32 COMMENT 'points behind used that were heard' CODEC(ZSTD(1)),
    `points_due` UInt32 COMMENT 'points behind used that lived in the period' CODEC(ZSTD(1)),
    `meters` UInt32 COMMENT 'points behind metered that were heard' CODEC(ZSTD(1)),
    `meters_due` UInt32 CODEC(ZSTD(1)),
    `members` UInt32 COMMENT 'points behind parts that were heard' CODEC(ZSTD(1)),
    `members_due` UInt32 CODEC(ZSTD(1)),
    `reason` UInt16 COMMENT 'the gravest reason behind used' CODEC(ZSTD(1)),
    `coal_kgce` Float64 COMMENT 'standard coal of used, calorific value; NaN without a factor' CODEC(ZSTD(1)),
    `coal_equal_kgce` Float64 COMMENT 'standard coal of used, equivalent value' CODEC(ZSTD(1)),
    `co2_kg` Float64 CODEC(ZSTD(1)),
    `book` LowCardinality(String) COMMENT 'digest of the book of factors',
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among the readings' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest position among its windows and the notices that shaped it' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYear(period_start)
ORDER BY (toStartOfYear(period_start), depth, enterprise, node, item, unit, period_start)
SETTINGS non_replicated_deduplication_window = 1000, index_granularity = 2048, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE TABLE total_month_history
(
    `enterprise` LowCardinality(String),
    `node` LowCardinality(String) COMMENT 'path under the enterprise; nothing: the enterprise itself',
    `depth` UInt8 COMMENT 'steps below the enterprise' CODEC(ZSTD(1)),
    `item` LowCardinality(String),
    `unit` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `region` LowCardinality(String) COMMENT 'of the enterprise when the period begins',
    `industry` LowCardinality(String),
    `decimals` UInt8 COMMENT 'amounts / 10^decimals are in the unit' CODEC(ZSTD(1)),
    `used` Int64 COMMENT 'value of the node [ticks]; of the enterprise what crossed its boundary' CODEC(ZSTD(1)),
    `metered` Int64 COMMENT 'its own meters, and what came in or was made below them [ticks]; meters_due = 0: none' CODEC(ZSTD(1)),
    `parts` Int64 COMMENT 'sum of what lies below it [ticks]; members_due = 0: nothing' CODEC(ZSTD(1)),
    `feedstock` Int64 COMMENT 'part of used that was used as material [ticks]' CODEC(ZSTD(1)),
    `renewable` Int64 COMMENT 'part of used that is new renewable energy [ticks]' CODEC(ZSTD(1)),
    `estimated` Int64 COMMENT 'part of used that was spread over gaps [ticks]' CODEC(ZSTD(1)),
    `received` UInt32 COMMENT 'readings behind used' CODEC(ZSTD(1)),
    `due` UInt32 COMMENT 'readings due of the points behind used, the silent ones too' CODEC(ZSTD(1)),
    `points` UInt32 COMMENT 'points behind used that were heard' CODEC(ZSTD(1)),
    `points_due` UInt32 COMMENT 'points behind used that lived in the period' CODEC(ZSTD(1)),
    `meters` UInt32 COMMENT 'points behind metered that were heard' CODEC(ZSTD(1)),
    `meters_due` UInt32 CODEC(ZSTD(1)),
    `members` UInt32 COMMENT 'points behind parts that were heard' CODEC(ZSTD(1)),
    `members_due` UInt32 CODEC(ZSTD(1)),
    `reason` UInt16 COMMENT 'the gravest reason behind used' CODEC(ZSTD(1)),
    `coal_kgce` Float64 COMMENT 'standard coal of used, calorific value; NaN without a factor' CODEC(ZSTD(1)),
    `coal_equal_kgce` Float64 COMMENT 'standard coal of used, equivalent value' CODEC(ZSTD(1)),
    `co2_kg` Float64 CODEC(ZSTD(1)),
    `book` LowCardinality(String) COMMENT 'digest of the book of factors',
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among the readings' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest position among its windows and the notices that shaped it' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYear(period_start)
ORDER BY (period_start, depth, enterprise, node, item, unit, toDate(known_at))
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

CREATE MATERIALIZED VIEW total_month_kept TO total_month_history
(
    `enterprise` LowCardinality(String),
    `node` LowCardinality(String),
    `depth` UInt8,
    `item` LowCardinality(String),
    `unit` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai'),
    `region` LowCardinality(String),
    `industry` LowCardinality(String),
    `decimals` UInt8,
    `used` Int64,
    `metered` Int64,
    `parts` Int64,
    `feedstock` Int64,
    `renewable` Int64,
    `estimated` Int64,
    `received` UInt32,
    `due` UInt32,
    `points` UInt32,
    `points_due` UInt32,
    `meters` UInt32,
    `meters_due` UInt32,
    `members` UInt32,
    `members_due` UInt32,
    `reason` UInt16,
    `coal_kgce` Float64,
    `coal_equal_kgce` Float64,
    `co2_kg` Float64,
    `book` LowCardinality(String),
    `known_at` DateTime('Asia/Shanghai'),
    `revision` UInt64
)
AS SELECT *
FROM total_month;

CREATE TABLE window_15min
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `used` Int64 COMMENT 'consumption [ticks]; 0 for a gauge' CODEC(ZSTD(1)),
    `estimated` Int64 COMMENT 'part of used that was spread over a gap [ticks]' CODEC(ZSTD(1)),
    `decimals` UInt8 COMMENT 'used / 10^decimals is in the unit of the point' CODEC(ZSTD(1)),
    `mean` Float64 COMMENT 'time-weighted, NaN without a gauge value' CODEC(ZSTD(1)),
    `low` Float64 CODEC(ZSTD(1)),
    `high` Float64 CODEC(ZSTD(1)),
    `last` Float64 CODEC(ZSTD(1)),
    `covered_s` UInt32 COMMENT 'seconds of the period that readings speak for' CODEC(ZSTD(1)),
    `received` UInt32 CODEC(ZSTD(1)),
    `due` UInt32 COMMENT 'readings due in the whole period; 0: change of value, none is due' CODEC(ZSTD(1)),
    `good` UInt32 CODEC(ZSTD(1)),
    `late` UInt32 CODEC(ZSTD(1)),
    `substituted` UInt32 COMMENT 'came as estimated or substituted' CODEC(ZSTD(1)),
    `manual` UInt32 CODEC(ZSTD(1)),
    `suspect` UInt32 CODEC(ZSTD(1)),
    `bad` UInt32 CODEC(ZSTD(1)),
    `reason` UInt16 COMMENT 'the gravest reason among readings and arithmetic' CODEC(ZSTD(1)),
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among the readings' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest log position among the readings' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start)
ORDER BY (enterprise, point, period_start)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

CREATE TABLE window_15min_history
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `used` Int64 COMMENT 'consumption [ticks]; 0 for a gauge' CODEC(ZSTD(1)),
    `estimated` Int64 COMMENT 'part of used that was spread over a gap [ticks]' CODEC(ZSTD(1)),
    `decimals` UInt8 COMMENT 'used / 10^decimals is in the unit of the point' CODEC(ZSTD(1)),
    `mean` Float64 COMMENT 'time-weighted, NaN without a gauge value' CODEC(ZSTD(1)),
    `low` Float64 CODEC(ZSTD(1)),
    `high` Float64 CODEC(ZSTD(1)),
    `last` Float64 CODEC(ZSTD(1)),
    `covered_s` UInt32 COMMENT 'seconds of the period that readings speak for' CODEC(ZSTD(1)),
    `received` UInt32 CODEC(ZSTD(1)),
    `due` UInt32 COMMENT 'readings due in the whole period; 0: change of value, none is due' CODEC(ZSTD(1)),
    `good` UInt32 CODEC(ZSTD(1)),
    `late` UInt32 CODEC(ZSTD(1)),
    `substituted` UInt32 COMMENT 'came as estimated or substituted' CODEC(ZSTD(1)),
    `manual` UInt32 CODEC(ZSTD(1)),
    `suspect` UInt32 CODEC(ZSTD(1)),
    `bad` UInt32 CODEC(ZSTD(1)),
    `reason` UInt16 COMMENT 'the gravest reason among readings and arithmetic' CODEC(ZSTD(1)),
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among the readings' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest log position among the readings' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(period_start)
ORDER BY (enterprise, point, period_start, revision)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

CREATE TABLE window_day
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `used` Int64 COMMENT 'consumption [ticks]; 0 for a gauge' CODEC(ZSTD(1)),
    `estimated` Int64 COMMENT 'part of used that was spread over a gap [ticks]' CODEC(ZSTD(1)),
    `decimals` UInt8 COMMENT 'used / 10^decimals is in the unit of the point' CODEC(ZSTD(1)),
    `mean` Float64 COMMENT 'time-weighted, NaN without a gauge value' CODEC(ZSTD(1)),
    `low` Float64 CODEC(ZSTD(1)),
    `high` Float64 CODEC(ZSTD(1)),
    `last` Float64 CODEC(ZSTD(1)),
    `covered_s` UInt32 COMMENT 'seconds of the period that readings speak for' CODEC(ZSTD(1)),
    `received` UInt32 CODEC(ZSTD(1)),
    `due` UInt32 COMMENT 'readings due in the whole period; 0: change of value, none is due' CODEC(ZSTD(1)),
    `good` UInt32 CODEC(ZSTD(1)),
    `late` UInt32 CODEC(ZSTD(1)),
    `substituted` UInt32 COMMENT 'came as estimated or substituted' CODEC(ZSTD(1)),
    `manual` UInt32 CODEC(ZSTD(1)),
    `suspect` UInt32 CODEC(ZSTD(1)),
    `bad` UInt32 CODEC(ZSTD(1)),
    `reason` UInt16 COMMENT 'the gravest reason among readings and arithmetic' CODEC(ZSTD(1)),
    `coal_kgce` Float64 COMMENT 'standard coal, calorific value (dangliang); NaN without a factor' CODEC(ZSTD(1)),
    `coal_equal_kgce` Float64 COMMENT 'standard coal, equivalent value (dengjia)' CODEC(ZSTD(1)),
    `co2_kg` Float64 CODEC(ZSTD(1)),
    `book` LowCardinality(String) COMMENT 'digest of the book of factors',
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among the readings' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest log position among the readings' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start)
ORDER BY (enterprise, point, period_start)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

CREATE TABLE window_day_history
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `used` Int64 COMMENT 'consumption [ticks]; 0 for a gauge' CODEC(ZSTD(1)),
    `estimated` Int64 COMMENT 'part of used that was spread over a gap [ticks]' CODEC(ZSTD(1)),
    `decimals` UInt8 COMMENT 'used / 10^decimals is in the unit of the point' CODEC(ZSTD(1)),
    `mean` Float64 COMMENT 'time-weighted, NaN without a gauge value' CODEC(ZSTD(1)),
    `low` Float64 CODEC(ZSTD(1)),
    `high` Float64 CODEC(ZSTD(1)),
    `last` Float64 CODEC(ZSTD(1)),
    `covered_s` UInt32 COMMENT 'seconds of the period that readings speak for' CODEC(ZSTD(1)),
    `received` UInt32 CODEC(ZSTD(1)),
    `due` UInt32 COMMENT 'readings due in the whole period; 0: change of value, none is due' CODEC(ZSTD(1)),
    `good` UInt32 CODEC(ZSTD(1)),
    `late` UInt32 CODEC(ZSTD(1)),
    `substituted` UInt32 COMMENT 'came as estimated or substituted' CODEC(ZSTD(1)),
    `manual` UInt32 CODEC(ZSTD(1)),
    `suspect` UInt32 CODEC(ZSTD(1)),
    `bad` UInt32 CODEC(ZSTD(1)),
    `reason` UInt16 COMMENT 'the gravest reason among readings and arithmetic' CODEC(ZSTD(1)),
    `coal_kgce` Float64 COMMENT 'standard coal, calorific value (dangliang); NaN without a factor' CODEC(ZSTD(1)),
    `coal_equal_kgce` Float64 COMMENT 'standard coal, equivalent value (dengjia)' CODEC(ZSTD(1)),
    `co2_kg` Float64 CODEC(ZSTD(1)),
    `book` LowCardinality(String) COMMENT 'digest of the book of factors',
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among the readings' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest log position among the readings' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(period_start)
ORDER BY (enterprise, point, period_start, revision)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

CREATE TABLE window_hour
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `used` Int64 COMMENT 'consumption [ticks]; 0 for a gauge' CODEC(ZSTD(1)),
    `estimated` Int64 COMMENT 'part of used that was spread over a gap [ticks]' CODEC(ZSTD(1)),
    `decimals` UInt8 COMMENT 'used / 10^decimals is in the unit of the point' CODEC(ZSTD(1)),
    `mean` Float64 COMMENT 'time-weighted, NaN without a gauge value' CODEC(ZSTD(1)),
    `low` Float64 CODEC(ZSTD(1)),
    `high` Float64 CODEC(ZSTD(1)),
    `last` Float64 CODEC(ZSTD(1)),
    `covered_s` UInt32 COMMENT 'seconds of the period that readings speak for' CODEC(ZSTD(1)),
    `received` UInt32 CODEC(ZSTD(1)),
    `due` UInt32 COMMENT 'readings due in the whole period; 0: change of value, none is due' CODEC(ZSTD(1)),
    `good` UInt32 CODEC(ZSTD(1)),
    `late` UInt32 CODEC(ZSTD(1)),
    `substituted` UInt32 COMMENT 'came as estimated or substituted' CODEC(ZSTD(1)),
    `manual` UInt32 CODEC(ZSTD(1)),
    `suspect` UInt32 CODEC(ZSTD(1)),
    `bad` UInt32 CODEC(ZSTD(1)),
    `reason` UInt16 COMMENT 'the gravest reason among readings and arithmetic' CODEC(ZSTD(1)),
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among the readings' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest log position among the readings' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start)
ORDER BY (enterprise, point, period_start)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

CREATE TABLE window_month
(
    `enterprise` LowCardinality(String),
    `point` LowCardinality(String),
    `period_start` DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    `used` Int64 COMMENT 'consumption [ticks]; 0 for a gauge' CODEC(ZSTD(1)),
    `estimated` Int64 COMMENT 'part of used that was spread over a gap [ticks]' CODEC(ZSTD(1)),
    `decimals` UInt8 COMMENT 'used / 10^decimals is in the unit of the point' CODEC(ZSTD(1)),
    `mean` Float64 COMMENT 'time-weighted, NaN without a gauge value' CODEC(ZSTD(1)),
    `low` Float64 CODEC(ZSTD(1)),
    `high` Float64 CODEC(ZSTD(1)),
    `last` Float64 CODEC(ZSTD(1)),
    `covered_s` UInt32 COMMENT 'seconds of the period that readings speak for' CODEC(ZSTD(1)),
    `received` UInt32 CODEC(ZSTD(1)),
    `due` UInt32 COMMENT 'readings due in the whole period; 0: change of value, none is due' CODEC(ZSTD(1)),
    `good` UInt32 CODEC(ZSTD(1)),
    `late` UInt32 CODEC(ZSTD(1)),
    `substituted` UInt32 COMMENT 'came as estimated or substituted' CODEC(ZSTD(1)),
    `manual` UInt32 CODEC(ZSTD(1)),
    `suspect` UInt32 CODEC(ZSTD(1)),
    `bad` UInt32 CODEC(ZSTD(1)),
    `reason` UInt16 COMMENT 'the gravest reason among readings and arithmetic' CODEC(ZSTD(1)),
    `coal_kgce` Float64 COMMENT 'standard coal, calorific value (dangliang); NaN without a factor' CODEC(ZSTD(1)),
    `coal_equal_kgce` Float64 COMMENT 'standard coal, equivalent value (dengjia)' CODEC(ZSTD(1)),
    `co2_kg` Float64 CODEC(ZSTD(1)),
    `book` LowCardinality(String) COMMENT 'digest of the book of factors',
    `known_at` DateTime('Asia/Shanghai') COMMENT 'newest receipt among the readings' CODEC(Delta(4), ZSTD(1)),
    `revision` UInt64 COMMENT 'newest log position among the readings' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYear(period_start)
ORDER BY (enterprise, point, period_start)
SETTINGS non_replicated_deduplication_window = 1000, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

CREATE TABLE wiring
(
    `enterprise` LowCardinality(String),
    `source` LowCardinality(String),
    `position` UInt64,
    `definition` String COMMENT 'the whole notice as JSON (schemas/messages.md)' CODEC(ZSTD(3)),
    `known_at` DateTime('Asia/Shanghai') COMMENT 'when the log took it'
)
ENGINE = ReplacingMergeTree(position)
ORDER BY (enterprise, source, position)
SETTINGS index_granularity = 8192;
