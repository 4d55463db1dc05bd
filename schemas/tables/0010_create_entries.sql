-- What people enter: values of meters with who, when and why, and how a figure of production came to be known.
-- A value entered by hand is a reading of origin manual like any other; `manual_entry` keeps the act beside it, every
-- correction as a row of its own (docs/decisions/0035).  A value of `activity` that is no number was taken back.
-- Data effect: a new table; new columns of `activity`, empty in the rows of before; its history goes on.
CREATE TABLE IF NOT EXISTS manual_entry (
    enterprise LowCardinality(String),
    point LowCardinality(String),
    read_at DateTime64(3, 'Asia/Shanghai') CODEC(DoubleDelta, ZSTD(1)),
    position UInt64,
    item UInt32 COMMENT 'which value of the message',
    sent Int64 COMMENT 'as entered: sent * 10^-sent_decimals in sent_unit',
    sent_unit LowCardinality(String),
    sent_decimals UInt8,
    by String COMMENT 'login of who entered it',
    at DateTime('Asia/Shanghai') COMMENT 'when it was entered',
    why String COMMENT 'why it had to be entered by hand',
    known_at DateTime('Asia/Shanghai') COMMENT 'when the log took it'
) ENGINE = {replicated}ReplacingMergeTree ORDER BY (enterprise, point, read_at, position, item);

ALTER TABLE activity ADD COLUMN IF NOT EXISTS origin LowCardinality(String) COMMENT 'entered, imported, uploaded or simulated; nothing: not told';
ALTER TABLE activity ADD COLUMN IF NOT EXISTS by String COMMENT 'login of who entered it; nothing: no person';
ALTER TABLE activity ADD COLUMN IF NOT EXISTS at DateTime('Asia/Shanghai') COMMENT 'when it was entered';
ALTER TABLE activity_history ADD COLUMN IF NOT EXISTS origin LowCardinality(String) COMMENT 'entered, imported, uploaded or simulated; nothing: not told';
ALTER TABLE activity_history ADD COLUMN IF NOT EXISTS by String COMMENT 'login of who entered it; nothing: no person';
ALTER TABLE activity_history ADD COLUMN IF NOT EXISTS at DateTime('Asia/Shanghai') COMMENT 'when it was entered';

-- The view copies the columns it was made with, so it is made anew; what came between is taken over.
DROP VIEW IF EXISTS activity_kept;
CREATE MATERIALIZED VIEW IF NOT EXISTS activity_kept TO activity_history AS SELECT * FROM activity;
INSERT INTO activity_history SELECT * FROM activity;
