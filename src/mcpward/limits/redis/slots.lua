-- Places of the whole site: all that a call needs or none, held for as long as they are renewed.
--
-- KEYS: the virtual clock, then one key for each kind of place: a sorted set of who holds one, by when it ends if it
-- is not renewed. From its name ({tag}p<NUL>name) come those of its line: w (who waits, by turn), a (when each was last
-- heard of) and t (the last turn given to each caller, and under "now" the turn of who was last let in).
-- ARGV: what to do ("take", "keep", "drop"), the expected virtual time, the call's own name; for "drop" 1 if it may
-- stand in a line; for "take" the line it stands in (0 for none), its caller, 1 if it goes before all others, and how
-- many places there are of each.
-- Gives the virtual time, the first kind that is missing (0: all were taken), how many go before it, and how many keys
-- were of a wrong type.
--
-- A caller's n-th waiting call is given the turn n after the one that is on, so callers with one call each pass those
-- of a caller with a hundred. Who has not been heard of for a second has gone, and nobody waits for it.

local LEASE, SILENCE = 5000000, 1000000
-- A machine's clock that is set an hour forward must not make who runs forgotten.
local LIFE_MS = 7200000
-- A line that is never empty would remember every caller that ever stood in it.
local MOST_TURNS = 1000

local now = clock(KEYS[1], tonumber(ARGV[2]))
local id = ARGV[3]

-- How many members a sorted set has. What is none was put there by somebody else, and goes.
local function count(key)
  local answer = redis.pcall('ZCARD', key)
  if type(answer) == 'table' then
    if not string.find(answer.err or '', 'WRONGTYPE', 1, true) then
      error(answer.err)
    end
    redis.call('DEL', key)
    wrong = wrong + 1
    return 0
  end
  return answer
end

local function line_of(key)
  local at = string.find(key, '}', 1, true)
  local tag, name = string.sub(key, 1, at), string.sub(key, at + 2)
  return tag .. 'w' .. name, tag .. 'a' .. name, tag .. 't' .. name
end

local function turn_of(turns, field)
  local told = redis.pcall('HGET', turns, field)
  if type(told) == 'table' then
    redis.call('DEL', turns)
    wrong = wrong + 1
    return 0
  end
  return tonumber(told or 0)
end

-- How many wait, after those are forgotten who are not heard of any more.
local function waiting(key)
  local line, heard, turns = line_of(key)
  if count(line) == 0 then
    return 0
  end
  count(heard)
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', heard, '-inf', now - SILENCE)) do
    redis.call('ZREM', line, gone)
    redis.call('ZREM', heard, gone)
  end
  local left = count(line)
  if left == 0 then
    redis.call('DEL', heard, turns)
  end
  return left
end

local function leave(key, is_let_in)
  local line, heard, turns = line_of(key)
  if count(line) == 0 then
    return
  end
  local turn = redis.call('ZSCORE', line, id)
  if not turn then
    return
  end
  redis.call('ZREM', line, id)
  redis.call('ZREM', heard, id)
  if count(line) == 0 then
    redis.call('DEL', heard, turns)
  elseif is_let_in and tonumber(turn) > turn_of(turns, 'now') then
    redis.call('HSET', turns, 'now', turn)
  end
end

local function join(key, caller, is_first)
  local line, heard, turns = line_of(key)
  count(line)
  count(heard)
  if not redis.call('ZSCORE', line, id) then
    local turn = 0
    if not is_first then
      local on = turn_of(turns, 'now')
      turn = math.max(on, turn_of(turns, 'c' .. caller)) + 1
      if redis.call('HLEN', turns) > MOST_TURNS then
        redis.call('DEL', turns)
        redis.call('HSET', turns, 'now', on)
      end
      redis.call('HSET', turns, 'c' .. caller, turn)
    end
    redis.call('ZADD', line, turn, id)
  end
  redis.call('ZADD', heard, now, id)
  for _, each in ipairs({ line, heard, turns }) do
    redis.call('PEXPIRE', each, LIFE_MS)
  end
  return redis.call('ZRANK', line, id)
end

local function hold(key)
  redis.call('ZADD', key, string.format('%.0f', now + LEASE), id)
  redis.call('PEXPIRE', key, LIFE_MS)
end

if ARGV[1] == 'keep' then
  for k = 2, #KEYS do
    count(KEYS[k])
    hold(KEYS[k])
  end
  return { now, 0, 0, wrong }
end

if ARGV[1] == 'drop' then
  for k = 2, #KEYS do
    if count(KEYS[k]) > 0 then
      redis.call('ZREM', KEYS[k], id)
    end
    if ARGV[4] == '1' then
      leave(KEYS[k], false)
    end
  end
  return { now, 0, 0, wrong }
end

local at, caller, is_first = tonumber(ARGV[4]), ARGV[5], ARGV[6] == '1'
local missing = 0
for k = 2, #KEYS do
  local key, places = KEYS[k], tonumber(ARGV[5 + k])
  local held = count(key)
  if held >= places then
    held = held - redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
  end
  local before = waiting(key)
  if before > 0 then
    local rank = false
    if at == k - 1 then
      local line = line_of(key)
      rank = redis.call('ZRANK', line, id)
    end
    before = is_first and 0 or rank or before
  end
  if held + before >= places then
    missing = k - 1
    break
  end
end

if at > 0 and at ~= missing then
  leave(KEYS[at + 1], missing == 0)
end
if missing > 0 then
  return { now, missing, join(KEYS[missing + 1], caller, is_first), wrong }
end
for k = 2, #KEYS do
  hold(KEYS[k])
end
return { now, 0, 0, wrong }
