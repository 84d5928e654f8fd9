-- The records of the store.
CREATE OR REPLACE FUNCTION {schema}.put_1(
    p_store bytea, p_server bigint, p_durable boolean, p_now bigint, p_mark bigint, p_key bytea,
    p_value bytea, p_until bigint,
    OUT is_new boolean, OUT row_version bigint, OUT row_ends bigint
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    IF p_until < p_now THEN
        is_new := NOT EXISTS (
            SELECT FROM {schema}.entries
                WHERE key = '\x72'::bytea || p_key AND value IS NOT NULL AND at >= p_now
        );
        RETURN;
    END IF;
    INSERT INTO {schema}.entries AS e (key, expires_at, version, mark, value, at)
        VALUES ('\x72'::bytea || p_key, p_until, 1, p_mark, p_value, p_until)
        ON CONFLICT (key) DO UPDATE SET
            value = excluded.value, at = excluded.at, version = e.version + 1, mark = excluded.mark,
            earlier_marks = (array_prepend(e.mark, e.earlier_marks))[1:4],
            expires_at = GREATEST(e.expires_at, excluded.expires_at)
        WHERE e.value IS NULL OR e.at < p_now
        RETURNING e.version, e.expires_at INTO row_version, row_ends;
    is_new := FOUND;
END
$$;

-- Deletes the value of a record. The row stays until it expires, because its version tells whether
-- this was lost.
CREATE OR REPLACE FUNCTION {schema}.delete_1(
    p_store bytea, p_server bigint, p_durable boolean, p_mark bigint, p_key bytea,
    OUT row_version bigint, OUT row_ends bigint
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    UPDATE {schema}.entries SET
        value = NULL, version = version + 1, mark = p_mark,
        earlier_marks = (array_prepend(mark, earlier_marks))[1:4]
        WHERE key = '\x72'::bytea || p_key AND value IS NOT NULL
        RETURNING version, expires_at INTO row_version, row_ends;
END
$$;

-- Returns the first records from one key on and below another.
CREATE OR REPLACE FUNCTION {schema}.read_1(
    p_store bytea, p_server bigint, p_durable boolean, p_now bigint, p_from bytea, p_below bytea,
    p_most bigint
) RETURNS TABLE (found_key bytea, found_value bytea) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    RETURN QUERY SELECT e.key, e.value FROM {schema}.entries e
        WHERE e.key >= p_from AND e.key < p_below AND e.value IS NOT NULL AND e.at >= p_now
        ORDER BY e.key LIMIT p_most;
END
$$;
