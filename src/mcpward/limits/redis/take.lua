-- Takes every draw of one call, or none where one refuses. With no draws it moves the clock alone, which is how a worker
-- asks whether the counters are well.
--
-- KEYS: the clock; the ring of the conversation's latest calls (where there is a digest); a bucket per draw, and last
--       the bucket of going round in circles (where there is a digest without "!").
-- ARGV: what the worker expects the clock to be; the digest of this call, or '', with a "!" before it for a call that
--       did not run and is taken out of the ring; the length of what comes before the
--       caller in the ring's key; the ring's life (ms); then per draw
--       'r', cost, enforced (1 or 0), length of the limit's prefix, life when full (ms), interval, tolerance (µs), or
--       'q', cost, enforced, length of the limit's prefix, life (ms), count, period, its index as the worker's clock
--       says, and what the worker saw used last: the index, how much, the epoch.
-- A cost of 0 asks for one and takes nothing; a negative cost gives back, and is never refused.
-- Gives: virtual time, epoch, how many keys had a wrong type, taken (1 or 0), and per draw three numbers: how far ahead
--       of now the bucket stands (µs), or what is used; whether it would refuse (1 or 0); the index of the period.
--       The circle's three come last, and only where the call continues a circle.

local RING = 10

-- All values at once. One that is missing may be of a wrong type: it was put there by somebody else, and goes.
local texts = redis.call('MGET', unpack(KEYS))
local absent = {}
for k = 1, #KEYS do
  if not texts[k] then
    absent[#absent + 1] = KEYS[k]
  end
end
if #absent > 0 and redis.call('EXISTS', unpack(absent)) > 0 then
  wrong = wrong + redis.call('DEL', unpack(absent))
end

local now, epoch, time = clock(KEYS[1], tonumber(ARGV[1]), texts[1])
local digest = ARGV[2]
local first, last = 2, #KEYS
local calls

-- Whether the latest calls, the newest first, are those before them in the same order, two up to five of them.
local function is_circle()
  if calls[1] == calls[2] then
    return false
  end
  for n = 2, 5 do
    local same = #calls >= 2 * n
    for i = 1, n do
      same = same and calls[i] == calls[i + n]
    end
    if same then
      return true
    end
  end
  return false
end

local is_out = string.sub(digest, 1, 1) == '!'
if is_out then
  digest = string.sub(digest, 2)
end

if digest ~= '' then
  first, calls = 3, { not is_out and digest or nil }
  local ring = string.match(texts[2] or '', '^%d+ (.*)$')
  local sought = is_out
  for call in string.gmatch(ring or '', '%S+') do
    if sought and call == digest then
      sought = false
    elseif #calls < RING then
      calls[#calls + 1] = call
    end
  end
  if not is_out and not is_circle() then
    last = last - 1
  end
end

local writes, healed, answer = {}, {}, {}
local refused = false

local function put(key, value, life)
  writes[#writes + 1] = { key, value, string.format('%.0f', life) }
end

local function rate(key, text, i, cost)
  local interval, tolerance = tonumber(ARGV[i + 5]), tonumber(ARGV[i + 6])
  local stored = tonumber(string.match(text or '', '^r (%d+) ') or 0)
  local tat = math.max(now, math.min(stored, now + tolerance))
  if stored > tat then
    -- Further ahead than calls can take it: the limit was a stricter one. Kept, or each refusal would begin anew.
    healed[#healed + 1] = { key, string.format('r %.0f %s %s %s', tat, ARGV[i + 5], ARGV[i + 6], ARGV[i + 3]),
      string.format('%.0f', math.ceil((tat - now) / 1000) + tonumber(ARGV[i + 4])) }
  end
  local after = tat + interval * cost
  local over = cost >= 0 and math.max(after, tat + interval) - now > tolerance
  if not over and cost ~= 0 and (cost > 0 or text) then
    after = math.max(now, after)
    put(key, string.format('r %.0f %s %s %s', after, ARGV[i + 5], ARGV[i + 6], ARGV[i + 3]),
      math.ceil((after - now) / 1000) + tonumber(ARGV[i + 4]))
    return over, 0, tat - now, after - now
  end
  return over, 0, tat - now, tat - now
end

-- The number of the period that a moment (µs) lies in: hours and days since 1970, months by the calendar.
local function index_of(period, moment)
  if period ~= 'month' then
    return math.floor(moment / (period == 'hour' and 3600000000 or 86400000000))
  end
  -- Days since 1970 to year and month: years begin in March, four centuries have 146,097 days.
  local day = math.floor(moment / 86400000000) + 719468
  local century4 = math.floor(day / 146097)
  day = day - century4 * 146097
  local year = math.floor((day - math.floor(day / 1460) + math.floor(day / 36524) - math.floor(day / 146096)) / 365)
  day = day - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local march = math.floor((5 * day + 2) / 153)
  return (year + century4 * 400 - 1970) * 12 + march + 2
end

local function quota(key, text, i, cost)
  local count, claimed = tonumber(ARGV[i + 5]), tonumber(ARGV[i + 7])
  -- A period begins when both Redis and the worker say so, and it never comes back: neither clock alone, set an hour
  -- forward or back, gives a quota anew. A worker whose clock is quite wrong is not listened to.
  local index = index_of(ARGV[i + 6], time)
  if claimed == index - 1 then
    index = claimed
  end
  local used, stored = string.match(text or '', '^q (%d+) %d+ %a+ (%d+) ')
  used, stored = tonumber(used or 0), tonumber(stored or index)
  if stored == index + 1 then
    index = stored
  elseif stored ~= index then
    used = 0
  end
  -- What the worker saw of this period counts where it is not known here: everything, or this bucket, was deleted.
  local floor = tonumber(ARGV[i + 8]) == index and tonumber(ARGV[i + 9]) or 0
  local is_lost = not text or tonumber(ARGV[i + 10]) ~= epoch
  if is_lost then
    used = math.max(used, floor)
  end
  local over = cost >= 0 and used + math.max(1, cost) > count
  local after = used
  if not over then
    after = math.max(0, used + cost)
  end
  if after ~= used or (is_lost and floor > 0) then
    put(key, string.format('q %.0f %s %s %.0f %s', after, ARGV[i + 5], ARGV[i + 6], index, ARGV[i + 3]),
      tonumber(ARGV[i + 4]))
  end
  return over, index, used, after
end

local i = 5
local before = {}
for k = first, last do
  local is_rate = ARGV[i] == 'r'
  local over, index, stood, stands = (is_rate and rate or quota)(KEYS[k], texts[k], i, tonumber(ARGV[i + 1]))
  if over and ARGV[i + 2] == '1' then
    refused = true
  end
  before[#before + 1] = stood
  answer[#answer + 1] = stands
  answer[#answer + 1] = over and 1 or 0
  answer[#answer + 1] = index
  i = i + (is_rate and 7 or 11)
end

for _, write in ipairs(healed) do
  redis.call('SET', write[1], write[2], 'PX', write[3])
end
if refused then
  for k = 1, #before do
    answer[3 * k - 2] = before[k]
  end
else
  for _, write in ipairs(writes) do
    redis.call('SET', write[1], write[2], 'PX', write[3])
  end
  if digest ~= '' then
    redis.call('SET', KEYS[2], ARGV[3] .. ' ' .. table.concat(calls, ' '), 'PX', ARGV[4])
  end
end
return { now, epoch, wrong, refused and 0 or 1, unpack(answer) }
