-- Incidents: what the watch found, each row the newest version of an incident, and the journal of what happened to it.
-- Ids, positions and times come from the log, so a replay writes the same rows (docs/decisions/0017).
-- `wiring` keeps which point hangs on which meter, line and collector, as every version that came through the log;
-- `point_newest` says when each point spoke first and last, so that no page looks through its readings for that.
-- Data effect: new tables; `point_newest` is filled once from `reading` (minimum and maximum: again changes nothing).
CREATE TABLE IF NOT EXISTS incident (
    enterprise LowCardinality(String),
    incident String COMMENT '16 hex digits',
    class LowCardinality(String) COMMENT 'link, meter, configuration or power',
    cause UInt16 COMMENT 'schemas/codes/causes.csv',
    severity UInt8 COMMENT '1 worst to 3',
    state LowCardinality(String) COMMENT 'active_unack, active_ack, cleared_unack or closed',
    shelved_until DateTime('Asia/Shanghai') COMMENT '1970: not shelved',
    shelve_reason String,
    root LowCardinality(String) COMMENT 'collector, line, meter, point or enterprise',
    source LowCardinality(String),
    line LowCardinality(String),
    meter LowCardinality(String),
    point LowCardinality(String),
    members Array(String) COMMENT 'points folded under it, itself included',
    opened_at DateTime64(3, 'Asia/Shanghai') COMMENT 'when it began, in event time',
    raised_at DateTime('Asia/Shanghai') COMMENT 'when the clock of the stream knew',
    cleared_at DateTime64(3, 'Asia/Shanghai') COMMENT '1970: it lasts',
    updated_at DateTime('Asia/Shanghai'),
    acknowledged_at DateTime('Asia/Shanghai') COMMENT '1970: not acknowledged',
    acknowledged_by String,
    closed_at DateTime('Asia/Shanghai') COMMENT '1970: not closed',
    closed_by String,
    comment String,
    evidence String CODEC(ZSTD(1)) COMMENT 'JSON list of code, at_ms, parameters; the newest last, at most 20',
    count UInt32 COMMENT 'findings',
    revision UInt64 COMMENT 'position of what changed it last'
) ENGINE = {replicated}ReplacingMergeTree(revision) ORDER BY (enterprise, incident)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400;

CREATE TABLE IF NOT EXISTS incident_event (
    enterprise LowCardinality(String),
    incident String,
    position UInt64 CODEC(DoubleDelta, ZSTD(1)),
    item UInt32 COMMENT 'place among what happened at the position',
    at DateTime64(3, 'Asia/Shanghai'),
    what LowCardinality(String) COMMENT 'opened, updated, joined, reclassified, cleared, reopened, acknowledged, shelved, unshelved, closed or refused',
    by String COMMENT 'login; nothing: the rules',
    cause UInt16,
    parameters String CODEC(ZSTD(1)) COMMENT 'evidence as JSON'
) ENGINE = {replicated}ReplacingMergeTree(position) ORDER BY (enterprise, incident, position, item)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400;

CREATE TABLE IF NOT EXISTS wiring (
    enterprise LowCardinality(String),
    source LowCardinality(String),
    position UInt64,
    definition String CODEC(ZSTD(3)) COMMENT 'the whole notice as JSON (schemas/messages.md)'
) ENGINE = {replicated}ReplacingMergeTree(position) ORDER BY (enterprise, source, position);

CREATE TABLE IF NOT EXISTS point_newest (
    enterprise LowCardinality(String),
    point LowCardinality(String),
    first_read_at SimpleAggregateFunction(min, DateTime64(3, 'Asia/Shanghai')),
    last_read_at SimpleAggregateFunction(max, DateTime64(3, 'Asia/Shanghai')),
    last_received_at SimpleAggregateFunction(max, DateTime('Asia/Shanghai'))
) ENGINE = {replicated}AggregatingMergeTree ORDER BY (enterprise, point)
SETTINGS {dedup}min_age_to_force_merge_seconds = 86400;

INSERT INTO point_newest
SELECT enterprise, point, min(read_at), max(read_at), max(received_at) FROM reading GROUP BY enterprise, point;
