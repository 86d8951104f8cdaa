-- What bounds a stream in bytes: shared by the functions of the room logs and by the janitor.

-- No stream is trimmed below these by how full Redis is: catching up and following must go on.
local LOG_LEAST, FEED_LEAST = 32 * 1024, 256 * 1024

-- How full Redis is, 0 to 1; 0 where it has no limit.
local function fullness()
  local info = redis.call('INFO', 'memory')
  local used = tonumber(string.match(info, '\nused_memory:(%d+)'))
  local limit = tonumber(string.match(info, '\nmaxmemory:(%d+)'))
  if not used or not limit or limit == 0 then return 0 end
  return used / limit
end

-- The bytes that a stream may have of its `most`: all while Redis is half empty, and half as many for each 5 % more. So the
-- largest streams make room first, and small ones are not touched before little is left.
local function allowed(most, least, full)
  local halvings = math.max(0, (full - 0.5) / 0.05)
  return math.max(math.min(least, most), most / 2 ^ halvings)
end

-- Takes the oldest entries until about `most` bytes are left, and a bit more, so that the next entry does not pass it
-- again. Entries differ in size, so one step may not be enough. `~` takes whole nodes, since only those free memory, and at
-- most 10,000 entries a step. Returns whether something was taken.
local function trim(stream, most)
  for step = 1, 3 do
    local bytes = redis.call('MEMORY', 'USAGE', stream, 'SAMPLES', 0)
    if not bytes or bytes <= most then return step > 1 end
    local keep = math.floor(redis.call('XLEN', stream) * most / bytes * 7 / 8)
    redis.call('XTRIM', stream, 'MAXLEN', '~', math.max(1, keep))
  end
  return true
end
