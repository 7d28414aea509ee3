-- What every script begins with: values of the right type, and a clock that nobody can set.
--
-- Redis tells the time of its machine, which an operator or NTP may set: forward, and every window would open; back,
-- and callers would be locked out. So the site has a virtual clock, in microseconds, that each script moves on by what
-- the machine's clock moved on since the last one, never back, and never past what the asking worker expects of its own
-- monotonic clock by more than SLACK ("expected" has that added; 0 where it has seen no answer yet). Where everything was deleted the virtual clock goes
-- on from there, and "epoch" changes.

local SLACK = 1000000
local wrong = 0

-- The text under a key, or false. What is no text was put there by somebody else, and goes.
local function text_of(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'table' then
    if not string.find(value.err or '', 'WRONGTYPE', 1, true) then
      error(value.err)
    end
    redis.call('DEL', key)
    wrong = wrong + 1
    return false
  end
  return value
end

-- Gives the virtual time, the epoch, and the machine's own time, all in microseconds. "text" is what is under the key,
-- where that is known.
local function clock(key, expected, text)
  local told = redis.call('TIME')
  local time = told[1] * 1000000 + told[2]
  local virtual, last, epoch = string.match(text or text_of(key) or '', '^(%d+) (%d+) (%d+)$')
  local is_stale = true
  if virtual then
    virtual, last = tonumber(virtual), tonumber(last)
    local passed = time - last
    if passed < 0 or (expected > 0 and virtual + passed > expected) then
      -- It was set. What the worker's own clock says has passed is less than the truth by the way here, and never more.
      virtual = math.max(virtual, expected - SLACK)
    else
      virtual = virtual + passed
      -- Written a hundred times a second at the most: until then the next script counts from the same moment.
      is_stale = passed >= 10000
    end
  else
    virtual, epoch = time, string.format('%.0f', time)
    if expected > SLACK then
      virtual = expected - SLACK
    end
  end
  if is_stale then
    redis.call('SET', key, string.format('%.0f %.0f %s', virtual, time, epoch), 'PX', 2592000000)
  end
  return virtual, tonumber(epoch), time
end
