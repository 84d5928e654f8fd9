-- What a script that takes or ends uses is told. KEYS: the bucket, payments, ends, uses, order, young, released, serving.
-- ARGV 7 is 1 if memory was full a moment ago, and 2 if it was full after something was forgotten: then nothing may be
-- written. From 8 on there are `EACH` for each use. The first of them is the payment's key, after its length.
local PAYMENTS, ENDS, USES, ORDER = KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local YOUNG, RELEASED, SERVING = KEYS[6], KEYS[7], KEYS[8]
local NOT_FULL, NOW_FULL, STILL_FULL = '0', '1', '2'
local FIRST = 8
local fullness, changed = ARGV[7], false
local count = (#ARGV - FIRST + 1) / EACH
