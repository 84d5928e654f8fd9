-- The table of the store in PostgreSQL, and the functions for the store as a whole. Safe to run
-- again, and by many at once.
-- The first byte of a key says what its row is: s the store, w what `ready` writes, p a payment,
-- u a use of a payment, r a record. Moments are unix seconds. The number in a function's name is
-- raised when what it does changes, so that processes of two versions can run side by side.
SELECT pg_advisory_xact_lock(hashtextextended('{schema}.entries', 402));
-- Asked first, because IF NOT EXISTS needs a right on the database even if the schema is there.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = '{schema}') THEN
        CREATE SCHEMA {schema};
    END IF;
END
$$;
CREATE TABLE IF NOT EXISTS {schema}.entries (
    key bytea PRIMARY KEY,
    -- The last second at which the row must be there.
    expires_at bigint NOT NULL,
    -- Each write of a payment or a record raises it, so that a lost write can be seen.
    version bigint NOT NULL,
    -- A payment or a record: a random number that came with this version. Another write of the same
    -- version, after this one was lost, has another one.
    mark bigint,
    -- A record: the marks of the four versions before, the latest first.
    earlier_marks bigint[],
    -- A record: its value, or nothing if it was deleted. The store: its id.
    value bytea,
    -- A record: the last second of its value. The store: when it was made.
    at bigint,
    -- The store: the greatest expires_at of a payment and of a record that were removed.
    pruned_until bigint,
    records_pruned_until bigint,
    -- A payment and the store: a use that had to be known up to this second may be forgotten.
    uses_pruned_until bigint,
    -- A payment: how many uses are taken, and how many failed ones came back and may come back.
    taken bigint,
    restored bigint,
    restores bigint,
    -- A use: how many uses were left after it, or nothing if it was released.
    remaining bigint,
    -- A payment: its last use, and the four before it, the latest first.
    last_id bytea,
    last_at bigint,
    last_remaining bigint,
    last_serving bigint,
    earlier_ids bytea[],
    earlier_at bigint[],
    earlier_remaining bigint[],
    earlier_serving bigint[]
) WITH (fillfactor = 80);
CREATE INDEX IF NOT EXISTS entries_expires_at ON {schema}.entries (expires_at);

-- Names the run of the server that answers: another one begins with each start, and after each
-- failover.
CREATE OR REPLACE FUNCTION {schema}.server_1() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint
$$;

-- Refuses to go on if this is not the store, or not in the state, that the caller knows.
CREATE OR REPLACE FUNCTION {schema}.same_store_1(p_store bytea, p_durable boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'this server is a standby' USING ERRCODE = '25006';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION
            'expected the isolation level read committed: set default_transaction_isolation for this role'
            USING ERRCODE = 'X4003';
    END IF;
    IF NOT EXISTS (SELECT FROM {schema}.entries WHERE key = '\x73' AND value = p_store) THEN
        RAISE EXCEPTION 'this is another store' USING ERRCODE = 'X4002';
    END IF;
    IF p_durable THEN
        IF current_setting('fsync') = 'off' THEN
            RAISE EXCEPTION 'fsync was turned off since the store was opened'
                USING ERRCODE = 'X4003';
        END IF;
        IF current_setting('synchronous_commit') = 'off' THEN
            PERFORM set_config('synchronous_commit', 'on', true);
        END IF;
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION {schema}.guard_1(p_store bytea, p_server bigint, p_durable boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF {schema}.server_1() <> p_server THEN
        RAISE EXCEPTION 'the server was started again, or is another one' USING ERRCODE = 'X4001';
    END IF;
    PERFORM {schema}.same_store_1(p_store, p_durable);
END
$$;

-- Makes the store if it is not there, and tells what it is.
CREATE OR REPLACE FUNCTION {schema}.open_1(
    p_id bytea, p_now bigint,
    OUT id bytea, OUT created_at bigint, OUT server bigint, OUT durable boolean
) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {schema}.entries (key, expires_at, version, value, at)
        VALUES
            ('\x73', 9223372036854775807, 1, p_id, p_now),
            ('\x77', 9223372036854775807, 1, NULL, NULL)
        ON CONFLICT (key) DO NOTHING;
    UPDATE {schema}.entries SET at = p_now WHERE key = '\x73' AND at IS NULL AND p_now IS NOT NULL;
    SELECT value, at INTO id, created_at FROM {schema}.entries WHERE key = '\x73';
    server := {schema}.server_1();
    durable := current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off'
        AND (SELECT relpersistence = 'p' FROM pg_class WHERE oid = '{schema}.entries'::regclass);
    PERFORM {schema}.same_store_1(id, durable);
END
$$;

-- Counts the writes that the caller was told of and that are not there. A write is there if its
-- version has its mark. After later writes of a payment, the use that was taken must still be known.
-- After up to four of a record, its mark must be among the earlier ones. A row that may have been
-- removed counts as there, and so does a use that may have been forgotten.
CREATE OR REPLACE FUNCTION {schema}.check_1(
    p_store bytea, p_durable boolean, p_keys bytea[], p_versions bigint[], p_ends bigint[],
    p_marks bigint[], p_uses bytea[], p_use_ends bigint[],
    OUT server bigint, OUT lost bigint
) LANGUAGE plpgsql AS $$
BEGIN
    server := {schema}.server_1();
    PERFORM {schema}.same_store_1(p_store, p_durable);
    SELECT count(*) INTO lost
        FROM unnest(p_keys, p_versions, p_ends, p_marks, p_uses, p_use_ends)
            AS seen (key, version, ends, mark, use, use_ends)
        JOIN {schema}.entries s ON s.key = '\x73'
        LEFT JOIN {schema}.entries e ON e.key = seen.key
        WHERE (CASE get_byte(seen.key, 0)
                WHEN 112 THEN s.pruned_until ELSE s.records_pruned_until
            END >= seen.ends) IS NOT TRUE
            AND (e.expires_at >= seen.ends AND CASE
                WHEN e.version < seen.version THEN false
                WHEN e.version = seen.version THEN e.mark = seen.mark
                WHEN get_byte(seen.key, 0) <> 112 THEN e.version - seen.version > 4
                    OR e.earlier_marks[LEAST(e.version - seen.version, 5)::integer] = seen.mark
                ELSE seen.use_ends IS NULL OR seen.use = e.last_id OR seen.use = ANY (e.earlier_ids)
                    OR GREATEST(e.uses_pruned_until, s.uses_pruned_until) >= seen.use_ends
                    OR EXISTS (
                        SELECT FROM {schema}.entries u
                        WHERE u.key = '\x75'::bytea || substring(seen.key FROM 2) || seen.use
                    )
            END) IS NOT TRUE;
END
$$;

-- Makes the store another one, because it lost something.
CREATE OR REPLACE FUNCTION {schema}.renew_1(p_store bytea, p_id bytea, p_now bigint)
RETURNS void LANGUAGE sql AS $$
    UPDATE {schema}.entries SET value = p_id, at = p_now, version = version + 1
        WHERE key = '\x73' AND value = p_store
$$;

-- Removes some of what has expired, unless somebody else is at it, and returns how many rows.
CREATE OR REPLACE FUNCTION {schema}.prune_1(
    p_store bytea, p_server bigint, p_durable boolean, p_now bigint, p_most bigint,
    OUT removed bigint
) LANGUAGE plpgsql AS $$
DECLARE
    payments_until bigint;
    records_until bigint;
    uses_until bigint;
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    PERFORM FROM {schema}.entries WHERE key = '\x73' FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        removed := 0;
        RETURN;
    END IF;
    WITH gone AS (
        DELETE FROM {schema}.entries WHERE key = ANY (ARRAY(
            SELECT key FROM {schema}.entries WHERE expires_at < p_now
                ORDER BY expires_at LIMIT p_most FOR UPDATE SKIP LOCKED
        )) RETURNING get_byte(key, 0) AS tag, expires_at
    )
    SELECT count(*), max(expires_at) FILTER (WHERE tag = 112),
            max(expires_at) FILTER (WHERE tag = 114), max(expires_at) FILTER (WHERE tag = 117)
        INTO removed, payments_until, records_until, uses_until FROM gone;
    IF removed > 0 THEN
        UPDATE {schema}.entries SET
            pruned_until = GREATEST(pruned_until, payments_until),
            records_pruned_until = GREATEST(records_pruned_until, records_until),
            uses_pruned_until = GREATEST(uses_pruned_until, uses_until)
            WHERE key = '\x73';
    END IF;
END
$$;

-- Writes a little, to see whether that is possible.
CREATE OR REPLACE FUNCTION {schema}.ready_1(p_store bytea, p_server bigint, p_durable boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    UPDATE {schema}.entries SET version = version + 1 WHERE key = '\x77';
END
$$;
