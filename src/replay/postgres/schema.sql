-- The store in PostgreSQL: one table, and the functions that read and write it. Safe to run again, and by many at once.
-- The first byte of a key says what its row is: s the store, w what `ready` writes, p a payment, u a use of a payment,
-- r a record. Moments are unix seconds. The number in a function's name is raised when what it does changes, so that processes of two
-- versions can run side by side.
BEGIN;
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
    -- A record: its value, or nothing if it was deleted. The store: its id.
    value bytea,
    -- A record: the last second of its value. The store: when it was made.
    at bigint,
    -- The store: the greatest expires_at of a payment and of a record that were removed.
    pruned_until bigint,
    records_pruned_until bigint,
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

-- Names the run of the server that answers: another one begins with each start, and after each failover.
CREATE OR REPLACE FUNCTION {schema}.server_1() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint
$$;

-- Refuses to go on if this is not the store, or not in the state, that the caller knows.
CREATE OR REPLACE FUNCTION {schema}.same_store_1(p_store bytea, p_durable boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'this server is a standby' USING ERRCODE = '25006';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'expected the isolation level read committed: set default_transaction_isolation for this role' USING ERRCODE = 'X4003';
    END IF;
    IF NOT EXISTS (SELECT FROM {schema}.entries WHERE key = '\x73' AND value = p_store) THEN
        RAISE EXCEPTION 'this is another store' USING ERRCODE = 'X4002';
    END IF;
    IF p_durable THEN
        IF current_setting('fsync') = 'off' THEN
            RAISE EXCEPTION 'fsync was turned off since the store was opened' USING ERRCODE = 'X4003';
        END IF;
        IF current_setting('synchronous_commit') = 'off' THEN
            PERFORM set_config('synchronous_commit', 'on', true);
        END IF;
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION {schema}.guard_1(p_store bytea, p_server bigint, p_durable boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF {schema}.server_1() <> p_server THEN
        RAISE EXCEPTION 'the server was started again, or is another one' USING ERRCODE = 'X4001';
    END IF;
    PERFORM {schema}.same_store_1(p_store, p_durable);
END
$$;

-- Makes the store if it is not there, and tells what it is.
CREATE OR REPLACE FUNCTION {schema}.open_1(p_id bytea, p_now bigint, OUT id bytea, OUT created_at bigint, OUT server bigint, OUT durable boolean)
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {schema}.entries (key, expires_at, version, value, at)
        VALUES ('\x73', 9223372036854775807, 1, p_id, p_now), ('\x77', 9223372036854775807, 1, NULL, NULL)
        ON CONFLICT (key) DO NOTHING;
    UPDATE {schema}.entries SET at = p_now WHERE key = '\x73' AND at IS NULL AND p_now IS NOT NULL;
    SELECT value, at INTO id, created_at FROM {schema}.entries WHERE key = '\x73';
    server := {schema}.server_1();
    durable := current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off'
        AND (SELECT relpersistence = 'p' FROM pg_class WHERE oid = '{schema}.entries'::regclass);
    PERFORM {schema}.same_store_1(id, durable);
END
$$;

-- Counts what the caller saw written and is not there: neither the row, at that version or a later one, nor the mark that it was removed.
CREATE OR REPLACE FUNCTION {schema}.check_1(p_store bytea, p_durable boolean, p_keys bytea[], p_versions bigint[], p_ends bigint[], OUT server bigint, OUT lost bigint)
LANGUAGE plpgsql AS $$
BEGIN
    server := {schema}.server_1();
    PERFORM {schema}.same_store_1(p_store, p_durable);
    SELECT count(*) INTO lost FROM unnest(p_keys, p_versions, p_ends) AS seen (key, version, ends)
    WHERE NOT EXISTS (SELECT FROM {schema}.entries e WHERE e.key = seen.key AND e.version >= seen.version)
        AND NOT EXISTS (
            SELECT FROM {schema}.entries s
            WHERE s.key = '\x73' AND CASE get_byte(seen.key, 0) WHEN 112 THEN s.pruned_until ELSE s.records_pruned_until END >= seen.ends
        );
END
$$;

-- Makes the store another one, because it lost something.
CREATE OR REPLACE FUNCTION {schema}.renew_1(p_store bytea, p_id bytea, p_now bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE {schema}.entries SET value = p_id, at = p_now, version = version + 1 WHERE key = '\x73' AND value = p_store
$$;

-- Takes one use. The answer is 0 for spent, 1 for granted, 2 for in use.
CREATE OR REPLACE FUNCTION {schema}.take_1(
    p_now bigint, p_key bytea, p_use bytea, p_uses bigint, p_restores bigint, p_retain bigint, p_serving bigint,
    OUT answer integer, OUT left_after bigint, OUT row_version bigint, OUT row_ends bigint
) LANGUAGE plpgsql AS $$
DECLARE
    payment_key bytea := '\x70'::bytea || p_key;
    use_key bytea := '\x75'::bytea || p_key || p_use;
    p {schema}.entries;
    place integer;
    is_known boolean := true;
    is_changed boolean := false;
BEGIN
    LOOP
        -- Waits for whoever is making or removing this payment.
        INSERT INTO {schema}.entries (key, expires_at, version, taken, restored, restores, last_id, last_at, last_remaining, last_serving)
            VALUES (payment_key, p_retain, 1, 1, 0, p_restores, p_use, p_now, p_uses - 1, p_serving)
            ON CONFLICT (key) DO NOTHING;
        IF FOUND THEN
            -- Read after the insert: whoever removed this payment before has committed, and with it the mark.
            IF EXISTS (SELECT FROM {schema}.entries WHERE key = '\x73' AND pruned_until >= p_retain)
                OR EXISTS (SELECT FROM {schema}.entries WHERE key = use_key AND remaining IS NULL)
            THEN
                DELETE FROM {schema}.entries WHERE key = payment_key;
                answer := 0;
                RETURN;
            END IF;
            answer := 1;
            left_after := p_uses - 1;
            row_version := 1;
            row_ends := p_retain;
            RETURN;
        END IF;
        SELECT * INTO p FROM {schema}.entries WHERE key = payment_key FOR NO KEY UPDATE;
        EXIT WHEN FOUND;
    END LOOP;

    place := array_position(p.earlier_ids, p_use);
    IF p.last_id = p_use THEN
        left_after := p.last_remaining;
        IF p_serving IS NOT NULL THEN
            p.last_serving := p_serving;
            is_changed := true;
        END IF;
    ELSIF place IS NOT NULL THEN
        left_after := p.earlier_remaining[place];
        IF p_serving IS NOT NULL THEN
            p.earlier_serving[place] := p_serving;
            is_changed := true;
        END IF;
    ELSE
        SELECT remaining INTO left_after FROM {schema}.entries WHERE key = use_key;
        is_known := FOUND;
    END IF;

    IF is_known THEN
        answer := CASE WHEN left_after IS NULL THEN 0 ELSE 1 END;
    ELSIF p.taken >= p_uses THEN
        answer := 0;
    ELSE
        IF p.last_id IS NOT NULL THEN
            IF cardinality(p.earlier_ids) >= 4 AND abs(p_now - p.earlier_at[4]) <= 600 THEN
                INSERT INTO {schema}.entries (key, expires_at, version, remaining)
                    VALUES ('\x75'::bytea || p_key || p.earlier_ids[4], p.earlier_at[4] + 600, 1, p.earlier_remaining[4])
                    ON CONFLICT (key) DO NOTHING;
            END IF;
            p.earlier_ids := (array_prepend(p.last_id, p.earlier_ids))[1:4];
            p.earlier_at := (array_prepend(p.last_at, p.earlier_at))[1:4];
            p.earlier_remaining := (array_prepend(p.last_remaining, p.earlier_remaining))[1:4];
            p.earlier_serving := (array_prepend(p.last_serving, p.earlier_serving))[1:4];
        END IF;
        answer := 1;
        left_after := p_uses - p.taken - 1;
        p.taken := p.taken + 1;
        p.restores := p_restores;
        p.last_id := p_use;
        p.last_at := p_now;
        p.last_remaining := left_after;
        p.last_serving := p_serving;
        is_changed := true;
    END IF;
    IF p_retain > p.expires_at THEN
        p.expires_at := p_retain;
        is_changed := true;
    END IF;
    IF is_changed THEN
        p.version := p.version + 1;
        UPDATE {schema}.entries SET
            expires_at = p.expires_at, version = p.version, taken = p.taken, restores = p.restores,
            last_id = p.last_id, last_at = p.last_at, last_remaining = p.last_remaining, last_serving = p.last_serving,
            earlier_ids = p.earlier_ids, earlier_at = p.earlier_at, earlier_remaining = p.earlier_remaining, earlier_serving = p.earlier_serving
            WHERE key = payment_key;
    END IF;
    IF answer = 0 AND p_serving IS NOT NULL AND (p_now <= p.last_serving OR p_now <= ANY (p.earlier_serving)) THEN
        answer := 2;
    END IF;
    IF is_changed THEN
        -- Only what was written tells whether the server lost something later.
        row_version := p.version;
        row_ends := p.expires_at;
    END IF;
END
$$;

-- Takes many uses, in the order of their keys, so that two callers never wait for each other. `number` is the place of a use in the
-- arrays.
CREATE OR REPLACE FUNCTION {schema}.consume_1(
    p_store bytea, p_server bigint, p_durable boolean, p_now bigint, p_keys bytea[], p_ids bytea[], p_uses bigint[], p_restores bigint[],
    p_retain bigint[], p_serving bigint[]
) RETURNS TABLE (number bigint, answer integer, left_after bigint, row_version bigint, row_ends bigint) LANGUAGE plpgsql AS $$
DECLARE
    item record;
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    FOR item IN
        SELECT * FROM unnest(p_keys, p_ids, p_uses, p_restores, p_retain, p_serving)
            WITH ORDINALITY AS items (key, id, uses, restores, retain, serving, place) ORDER BY key, place
    LOOP
        number := item.place;
        SELECT t.* INTO answer, left_after, row_version, row_ends
            FROM {schema}.take_1(p_now, item.key, item.id, item.uses, item.restores, item.retain, item.serving) t;
        RETURN NEXT;
    END LOOP;
END
$$;

-- Gives a use back, or notes that a use must not be granted any more.
CREATE OR REPLACE FUNCTION {schema}.release_1(p_now bigint, p_key bytea, p_use bytea, p_failed boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    payment_key bytea := '\x70'::bytea || p_key;
    use_key bytea := '\x75'::bytea || p_key || p_use;
    p {schema}.entries;
    place integer;
    is_made boolean;
    is_known boolean := true;
BEGIN
    LOOP
        -- Waits for a consume that is making this payment, and makes one that comes now wait.
        INSERT INTO {schema}.entries (key, expires_at, version, taken, restored, restores)
            VALUES (payment_key, p_now, 1, 0, 0, 0) ON CONFLICT (key) DO NOTHING;
        is_made := FOUND;
        SELECT * INTO p FROM {schema}.entries WHERE key = payment_key FOR NO KEY UPDATE;
        EXIT WHEN FOUND;
    END LOOP;
    IF is_made THEN
        DELETE FROM {schema}.entries WHERE key = payment_key;
    END IF;
    place := array_position(p.earlier_ids, p_use);
    IF p.last_id = p_use THEN
        p.last_id := NULL;
        p.last_at := NULL;
        p.last_remaining := NULL;
        p.last_serving := NULL;
    ELSIF place IS NOT NULL THEN
        p.earlier_ids := p.earlier_ids[:place - 1] || p.earlier_ids[place + 1:];
        p.earlier_at := p.earlier_at[:place - 1] || p.earlier_at[place + 1:];
        p.earlier_remaining := p.earlier_remaining[:place - 1] || p.earlier_remaining[place + 1:];
        p.earlier_serving := p.earlier_serving[:place - 1] || p.earlier_serving[place + 1:];
    ELSE
        is_known := NOT is_made AND EXISTS (SELECT FROM {schema}.entries WHERE key = use_key AND remaining IS NOT NULL);
    END IF;
    INSERT INTO {schema}.entries AS e (key, expires_at, version) VALUES (use_key, p_now + 600, 1)
        ON CONFLICT (key) DO UPDATE SET remaining = NULL, expires_at = GREATEST(e.expires_at, excluded.expires_at)
        WHERE e.remaining IS NOT NULL;
    IF is_known THEN
        IF NOT p_failed THEN
            p.taken := p.taken - 1;
        ELSIF p.restored < p.restores THEN
            p.taken := p.taken - 1;
            p.restored := p.restored + 1;
        END IF;
        UPDATE {schema}.entries SET
            version = p.version + 1, taken = p.taken, restored = p.restored,
            last_id = p.last_id, last_at = p.last_at, last_remaining = p.last_remaining, last_serving = p.last_serving,
            earlier_ids = p.earlier_ids, earlier_at = p.earlier_at, earlier_remaining = p.earlier_remaining, earlier_serving = p.earlier_serving
            WHERE key = payment_key;
    END IF;
END
$$;

-- Notes that a use is no longer being served.
CREATE OR REPLACE FUNCTION {schema}.served_1(p_key bytea, p_use bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    payment_key bytea := '\x70'::bytea || p_key;
    p {schema}.entries;
    place integer;
BEGIN
    SELECT * INTO p FROM {schema}.entries WHERE key = payment_key FOR NO KEY UPDATE;
    place := array_position(p.earlier_ids, p_use);
    IF p.last_id = p_use AND p.last_serving IS NOT NULL THEN
        UPDATE {schema}.entries SET last_serving = NULL WHERE key = payment_key;
    ELSIF p.earlier_serving[place] IS NOT NULL THEN
        p.earlier_serving[place] := NULL;
        UPDATE {schema}.entries SET earlier_serving = p.earlier_serving WHERE key = payment_key;
    END IF;
END
$$;

-- Carries out many ends of uses, in the order of their keys, so that two callers never wait for each other. A kind is 0 for not
-- served, 1 for failed, 2 for served.
CREATE OR REPLACE FUNCTION {schema}.settle_1(p_store bytea, p_server bigint, p_durable boolean, p_now bigint, p_keys bytea[], p_uses bytea[], p_kinds integer[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    item record;
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    IF 2 = ALL (p_kinds) THEN
        -- Such notes may be lost.
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    FOR item IN
        SELECT * FROM unnest(p_keys, p_uses, p_kinds) WITH ORDINALITY AS items (key, use, kind, number) ORDER BY key, number
    LOOP
        IF item.kind = 2 THEN
            PERFORM {schema}.served_1(item.key, item.use);
        ELSE
            PERFORM {schema}.release_1(p_now, item.key, item.use, item.kind = 1);
        END IF;
    END LOOP;
END
$$;

-- Removes some of what has expired, unless somebody else is at it, and returns how many rows.
CREATE OR REPLACE FUNCTION {schema}.prune_1(p_store bytea, p_server bigint, p_durable boolean, p_now bigint, p_most bigint, OUT removed bigint)
LANGUAGE plpgsql AS $$
DECLARE
    payments_until bigint;
    records_until bigint;
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    PERFORM FROM {schema}.entries WHERE key = '\x73' FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        removed := 0;
        RETURN;
    END IF;
    WITH gone AS (
        DELETE FROM {schema}.entries WHERE key = ANY (ARRAY(
            SELECT key FROM {schema}.entries WHERE expires_at < p_now ORDER BY expires_at LIMIT p_most FOR UPDATE SKIP LOCKED
        )) RETURNING get_byte(key, 0) AS tag, expires_at
    )
    SELECT count(*), max(expires_at) FILTER (WHERE tag = 112), max(expires_at) FILTER (WHERE tag = 114)
        INTO removed, payments_until, records_until FROM gone;
    IF payments_until IS NOT NULL OR records_until IS NOT NULL THEN
        UPDATE {schema}.entries SET
            pruned_until = GREATEST(pruned_until, payments_until), records_pruned_until = GREATEST(records_pruned_until, records_until)
            WHERE key = '\x73';
    END IF;
END
$$;

-- Writes a little, to see whether that is possible.
CREATE OR REPLACE FUNCTION {schema}.ready_1(p_store bytea, p_server bigint, p_durable boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    UPDATE {schema}.entries SET version = version + 1 WHERE key = '\x77';
END
$$;

CREATE OR REPLACE FUNCTION {schema}.put_1(
    p_store bytea, p_server bigint, p_durable boolean, p_now bigint, p_key bytea, p_value bytea, p_until bigint,
    OUT is_new boolean, OUT row_version bigint, OUT row_ends bigint
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    IF p_until < p_now THEN
        is_new := NOT EXISTS (SELECT FROM {schema}.entries WHERE key = '\x72'::bytea || p_key AND value IS NOT NULL AND at >= p_now);
        RETURN;
    END IF;
    INSERT INTO {schema}.entries AS e (key, expires_at, version, value, at) VALUES ('\x72'::bytea || p_key, p_until, 1, p_value, p_until)
        ON CONFLICT (key) DO UPDATE SET
            value = excluded.value, at = excluded.at, version = e.version + 1, expires_at = GREATEST(e.expires_at, excluded.expires_at)
        WHERE e.value IS NULL OR e.at < p_now
        RETURNING e.version, e.expires_at INTO row_version, row_ends;
    is_new := FOUND;
END
$$;

-- Deletes the value of a record. The row stays until it expires, because its version tells whether this was lost.
CREATE OR REPLACE FUNCTION {schema}.delete_1(p_store bytea, p_server bigint, p_durable boolean, p_key bytea, OUT row_version bigint, OUT row_ends bigint)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    UPDATE {schema}.entries SET value = NULL, version = version + 1 WHERE key = '\x72'::bytea || p_key AND value IS NOT NULL
        RETURNING version, expires_at INTO row_version, row_ends;
END
$$;

-- Returns the records from one key on and below another.
CREATE OR REPLACE FUNCTION {schema}.read_1(p_store bytea, p_server bigint, p_durable boolean, p_now bigint, p_from bytea, p_below bytea)
RETURNS TABLE (found_key bytea, found_value bytea) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    RETURN QUERY SELECT e.key, e.value FROM {schema}.entries e
        WHERE e.key >= p_from AND e.key < p_below AND e.value IS NOT NULL AND e.at >= p_now ORDER BY e.key;
END
$$;
COMMIT;
