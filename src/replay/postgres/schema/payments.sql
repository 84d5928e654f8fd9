-- The payments of the store, and their uses.

-- Takes one use. The answer is 0 for spent, 1 for granted, 2 for in use. `row_version` and
-- `row_ends` tell of what was written, and are nothing if nothing was. The use must be known up to
-- `use_ends`.
CREATE OR REPLACE FUNCTION {schema}.take_1(
    p_now bigint, p_mark bigint, p_key bytea, p_use bytea, p_uses bigint, p_restores bigint,
    p_retain bigint, p_serving bigint,
    OUT answer integer, OUT left_after bigint, OUT row_version bigint, OUT row_ends bigint,
    OUT use_ends bigint
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
        INSERT INTO {schema}.entries (
                key, expires_at, version, mark, taken, restored, restores,
                last_id, last_at, last_remaining, last_serving
            ) VALUES (
                payment_key, p_retain, 1, p_mark, 1, 0, p_restores,
                p_use, p_now, p_uses - 1, p_serving
            ) ON CONFLICT (key) DO NOTHING;
        IF FOUND THEN
            -- Read after the insert: whoever removed this payment before has committed, and with it
            -- the mark.
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
            use_ends := p_now + 600;
            RETURN;
        END IF;
        SELECT * INTO p FROM {schema}.entries WHERE key = payment_key FOR NO KEY UPDATE;
        EXIT WHEN FOUND;
    END LOOP;

    place := array_position(p.earlier_ids, p_use);
    IF p.last_id = p_use THEN
        left_after := p.last_remaining;
        use_ends := p.last_at + 600;
        IF p_serving IS NOT NULL THEN
            p.last_serving := p_serving;
            is_changed := true;
        END IF;
    ELSIF place IS NOT NULL THEN
        left_after := p.earlier_remaining[place];
        use_ends := p.earlier_at[place] + 600;
        IF p_serving IS NOT NULL THEN
            p.earlier_serving[place] := p_serving;
            is_changed := true;
        END IF;
    ELSE
        SELECT remaining, expires_at INTO left_after, use_ends
            FROM {schema}.entries WHERE key = use_key;
        is_known := FOUND;
    END IF;

    IF is_known THEN
        answer := CASE WHEN left_after IS NULL THEN 0 ELSE 1 END;
    ELSIF p.taken >= p_uses THEN
        answer := 0;
    ELSE
        IF p.last_id IS NOT NULL THEN
            IF cardinality(p.earlier_ids) >= 4 THEN
                IF abs(p_now - p.earlier_at[4]) <= 600 THEN
                    INSERT INTO {schema}.entries (key, expires_at, version, remaining) VALUES (
                            '\x75'::bytea || p_key || p.earlier_ids[4], p.earlier_at[4] + 600, 1,
                            p.earlier_remaining[4]
                        ) ON CONFLICT (key) DO NOTHING;
                ELSE
                    p.uses_pruned_until := GREATEST(p.uses_pruned_until, p.earlier_at[4] + 600);
                END IF;
            END IF;
            p.earlier_ids := (array_prepend(p.last_id, p.earlier_ids))[1:4];
            p.earlier_at := (array_prepend(p.last_at, p.earlier_at))[1:4];
            p.earlier_remaining := (array_prepend(p.last_remaining, p.earlier_remaining))[1:4];
            p.earlier_serving := (array_prepend(p.last_serving, p.earlier_serving))[1:4];
        END IF;
        answer := 1;
        left_after := p_uses - p.taken - 1;
        use_ends := p_now + 600;
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
            expires_at = p.expires_at, version = p.version, mark = p_mark,
            uses_pruned_until = p.uses_pruned_until, taken = p.taken, restores = p.restores,
            last_id = p.last_id, last_at = p.last_at,
            last_remaining = p.last_remaining, last_serving = p.last_serving,
            earlier_ids = p.earlier_ids, earlier_at = p.earlier_at,
            earlier_remaining = p.earlier_remaining, earlier_serving = p.earlier_serving
            WHERE key = payment_key;
    END IF;
    IF answer = 0 AND p_serving IS NOT NULL
        AND (p_now <= p.last_serving OR p_now <= ANY (p.earlier_serving))
    THEN
        answer := 2;
    END IF;
    IF is_changed THEN
        -- Only what was written tells whether the server lost something later.
        row_version := p.version;
        row_ends := p.expires_at;
    END IF;
END
$$;

-- Takes many uses, in the order of their keys, so that two callers never wait for each other.
-- `number` is the place of a use in the arrays.
CREATE OR REPLACE FUNCTION {schema}.consume_1(
    p_store bytea, p_server bigint, p_durable boolean, p_now bigint, p_mark bigint, p_keys bytea[],
    p_ids bytea[], p_uses bigint[], p_restores bigint[], p_retain bigint[], p_serving bigint[]
) RETURNS TABLE (
    number bigint, answer integer, left_after bigint, row_version bigint, row_ends bigint,
    use_ends bigint
) LANGUAGE plpgsql AS $$
DECLARE
    item record;
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    FOR item IN
        SELECT * FROM unnest(p_keys, p_ids, p_uses, p_restores, p_retain, p_serving)
            WITH ORDINALITY AS items (key, id, uses, restores, retain, serving, place)
            ORDER BY key, place
    LOOP
        number := item.place;
        SELECT t.* INTO answer, left_after, row_version, row_ends, use_ends
            FROM {schema}.take_1(
                p_now, p_mark, item.key, item.id, item.uses, item.restores, item.retain,
                item.serving
            ) t;
        RETURN NEXT;
    END LOOP;
END
$$;

-- Gives a use back, or notes that a use must not be granted any more.
CREATE OR REPLACE FUNCTION {schema}.release_1(
    p_now bigint, p_mark bigint, p_key bytea, p_use bytea, p_failed boolean
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    payment_key bytea := '\x70'::bytea || p_key;
    use_key bytea := '\x75'::bytea || p_key || p_use;
    p {schema}.entries;
    place integer;
    taken_at bigint;
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
        taken_at := p.last_at;
        p.last_id := NULL;
        p.last_at := NULL;
        p.last_remaining := NULL;
        p.last_serving := NULL;
    ELSIF place IS NOT NULL THEN
        taken_at := p.earlier_at[place];
        p.earlier_ids := p.earlier_ids[:place - 1] || p.earlier_ids[place + 1:];
        p.earlier_at := p.earlier_at[:place - 1] || p.earlier_at[place + 1:];
        p.earlier_remaining := p.earlier_remaining[:place - 1] || p.earlier_remaining[place + 1:];
        p.earlier_serving := p.earlier_serving[:place - 1] || p.earlier_serving[place + 1:];
    ELSE
        is_known := NOT is_made
            AND EXISTS (SELECT FROM {schema}.entries WHERE key = use_key AND remaining IS NOT NULL);
    END IF;
    INSERT INTO {schema}.entries AS e (key, expires_at, version)
        VALUES (use_key, GREATEST(p_now, taken_at) + 600, 1)
        ON CONFLICT (key) DO UPDATE SET
            remaining = NULL, expires_at = GREATEST(e.expires_at, excluded.expires_at)
        WHERE e.remaining IS NOT NULL;
    IF is_known THEN
        IF NOT p_failed THEN
            p.taken := p.taken - 1;
        ELSIF p.restored < p.restores THEN
            p.taken := p.taken - 1;
            p.restored := p.restored + 1;
        END IF;
        UPDATE {schema}.entries SET
            version = p.version + 1, mark = p_mark, taken = p.taken, restored = p.restored,
            last_id = p.last_id, last_at = p.last_at,
            last_remaining = p.last_remaining, last_serving = p.last_serving,
            earlier_ids = p.earlier_ids, earlier_at = p.earlier_at,
            earlier_remaining = p.earlier_remaining, earlier_serving = p.earlier_serving
            WHERE key = payment_key;
    END IF;
END
$$;

-- Notes that a use is no longer being served.
CREATE OR REPLACE FUNCTION {schema}.served_1(p_key bytea, p_use bytea)
RETURNS void LANGUAGE plpgsql AS $$
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

-- Carries out many ends of uses, in the order of their keys, so that two callers never wait for
-- each other. A kind is 0 for not served, 1 for failed, 2 for served.
CREATE OR REPLACE FUNCTION {schema}.settle_1(
    p_store bytea, p_server bigint, p_durable boolean, p_now bigint, p_mark bigint, p_keys bytea[],
    p_uses bytea[], p_kinds integer[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    item record;
BEGIN
    PERFORM {schema}.guard_1(p_store, p_server, p_durable);
    IF 2 = ALL (p_kinds) THEN
        -- Such notes may be lost.
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    FOR item IN
        SELECT * FROM unnest(p_keys, p_uses, p_kinds)
            WITH ORDINALITY AS items (key, use, kind, number)
            ORDER BY key, number
    LOOP
        IF item.kind = 2 THEN
            PERFORM {schema}.served_1(item.key, item.use);
        ELSE
            PERFORM {schema}.release_1(p_now, p_mark, item.key, item.use, item.kind = 1);
        END IF;
    END LOOP;
END
$$;
