-- Raw readings as one row per point, China hour and origin, its readings in arrays; `reading` becomes a view that
-- says them one by one, so that questions keep their words (docs/decisions/0022).  A chunk is replaced whole.
-- Data effect: what the table `reading` held is taken over into chunks, then the view stands in its place, in one step.
CREATE TABLE IF NOT EXISTS reading_chunk (
    enterprise LowCardinality(String),
    point LowCardinality(String),
    period_start DateTime('Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'start of the China hour',
    origin UInt8 CODEC(ZSTD(1)),
    at Array(UInt32) CODEC(Delta, LZ4) COMMENT 'read_at - period_start [ms], ascending',
    ticks Array(Int64) CODEC(DoubleDelta, ZSTD(1)),
    received_at Array(UInt32) CODEC(Delta, LZ4) COMMENT '[s, UTC]',
    sequence Array(UInt64) CODEC(Delta, LZ4),
    position Array(UInt64) CODEC(Delta, LZ4),
    quality Array(UInt8) CODEC(ZSTD(1)) COMMENT 'nothing: all good',
    reason Array(UInt16) CODEC(ZSTD(1)) COMMENT 'nothing: none has one',
    sent Array(Int64) CODEC(DoubleDelta, ZSTD(1)) COMMENT 'as sent: sent * 10^-sent_decimals in sent_unit; nothing: as ticks',
    sent_unit LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'of all readings, unless each has its own',
    sent_decimals UInt8 CODEC(ZSTD(1)),
    sent_unit_each Array(String) CODEC(ZSTD(1)) COMMENT 'of each reading, where they differ',
    sent_decimals_each Array(UInt8) CODEC(ZSTD(1)),
    revision UInt64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'newest log position among the messages that changed it'
) ENGINE = {replicated}ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(period_start) ORDER BY (enterprise, point, period_start, origin)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1,
    index_granularity_bytes = 2097152;

INSERT INTO reading_chunk
SELECT enterprise, point, hour, origin, r.1, r.2, r.3, r.4, r.5,
    if(arrayExists(x -> x != 0, r.6), r.6, []), if(arrayExists(x -> x != 0, r.7), r.7, []), if(r.8 = r.2, [], r.8),
    if(alike, r.9[1], ''), if(alike, r.10[1], 0), if(alike, [], r.9), if(alike, [], r.10), arrayMax(r.5)
FROM (
    SELECT enterprise, point, toStartOfHour(read_at) AS hour, origin,
        arraySort(groupArray((
            toUInt32(toUnixTimestamp64Milli(read_at) - toInt64(toUnixTimestamp(hour)) * 1000), ticks,
            toUnixTimestamp(received_at), sequence, position, quality, reason, sent, toString(sent_unit), sent_decimals
        ))) AS r,
        uniqExact(sent_unit, sent_decimals) = 1 AS alike
    FROM (
        SELECT * FROM reading ORDER BY enterprise, point, read_at, origin, sequence DESC
        LIMIT 1 BY enterprise, point, read_at, origin
    )
    GROUP BY enterprise, point, hour, origin
);

CREATE OR REPLACE VIEW reading AS
SELECT enterprise, point,
    fromUnixTimestamp64Milli(toInt64(toUnixTimestamp(period_start)) * 1000 + each_at, 'Asia/Shanghai') AS read_at,
    origin, each_ticks AS ticks, each_quality AS quality, each_reason AS reason,
    toDateTime(each_received, 'Asia/Shanghai') AS received_at, each_sequence AS sequence, each_position AS position,
    each_sent AS sent, if(mixed, each_unit, unit) AS sent_unit, if(mixed, each_decimals, decimals) AS sent_decimals,
    period_start
FROM (
    SELECT enterprise, point, period_start, origin, at, ticks AS own_ticks, arrayResize(quality, length(at)) AS own_quality,
        arrayResize(reason, length(at)) AS own_reason, received_at AS own_received, sequence AS own_sequence,
        position AS own_position, if(empty(sent), ticks, sent) AS own_sent, sent_unit AS unit, sent_decimals AS decimals,
        notEmpty(sent_unit_each) AS mixed, arrayResize(sent_unit_each, length(at)) AS own_units,
        arrayResize(sent_decimals_each, length(at)) AS own_decimals
    FROM reading_chunk FINAL
)
ARRAY JOIN at AS each_at, own_ticks AS each_ticks, own_quality AS each_quality, own_reason AS each_reason,
    own_received AS each_received, own_sequence AS each_sequence, own_position AS each_position, own_sent AS each_sent,
    own_units AS each_unit, own_decimals AS each_decimals;

-- From when on readings are kept, as the log told each partition (notice `retention`): what comes for a time before is
-- held for a person, and nothing is recomputed from what has expired (docs/decisions/0009).
CREATE TABLE IF NOT EXISTS horizon (
    flow LowCardinality(String) COMMENT 'ingest or rollups: who has passed the notice',
    partition UInt32,
    position UInt64,
    begins_at DateTime64(3, 'Asia/Shanghai') COMMENT 'readings from here on are kept; a month more lies there still',
    known_at DateTime('Asia/Shanghai') COMMENT 'when the log took it'
) ENGINE = {replicated}ReplacingMergeTree ORDER BY (flow, partition, position);
