-- Tidies one stream: a script rather than a function, since a library cannot be loaded into a Redis that is full, and
-- small enough never to hold others up for more than a few ms.
--
-- KEYS stream, or for a room log also its senders, its leases, what was changed in it, its state, and the list of rooms.
-- ARGV most bytes; then for a room log: how long it may be silent, ms ('' for ever), and while memory is short: times of its own life that it may be silent while others speak, at
-- least how long, and when anybody spoke last, all ms; and its name. Returns what was done: 'kept', 'trimmed', 'emptied' or
-- 'removed'.
local stream, senders, leases, changed, about, rooms = unpack(KEYS)
local most, expiry, lives, least = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local newest = tonumber(ARGV[5])

if redis.call('EXISTS', stream) == 0 then return 'kept' end

local function ms_of(id)
  return tonumber(string.match(id, '^(%d+)-'))
end

if expiry then
  local info, is = redis.call('XINFO', 'STREAM', stream), {}
  for i = 1, #info, 2 do is[info[i]] = info[i + 1] end
  local last = ms_of(is['last-generated-id'])
  local first = is['first-entry'] and ms_of(is['first-entry'][1]) or last
  local silent = tonumber(redis.call('TIME')[1]) * 1000 - last
  -- A room in which people talked for days is missed more than one that lived for seconds. No room is silent while Redis
  -- takes nothing from anybody.
  local passed_over = lives and math.min(silent, newest - last) / math.max(least, (last - first) * lives) or 0
  local times = math.max(silent / expiry, passed_over)
  if times > 2 and is.length == 0 and redis.call('EXISTS', leases) == 0 then
    -- A room that somebody made stays, empty, until its memory is needed. What is true of it stays for good: without that
    -- a private room would be anybody's, with whatever is said there next.
    local is_made = redis.call('HEXISTS', about, 'created') == 1
    if is_made and not lives then return 'kept' end
    redis.call('UNLINK', stream, senders, changed)
    if not is_made then redis.call('UNLINK', about) end
    redis.call('ZREM', rooms, ARGV[6])
    return 'removed'
  end
  if times > 1 and is.length > 0 then
    -- The last ID stays, so that the chain goes on from it, and a cursor before it is told of a gap.
    redis.call('XTRIM', stream, 'MAXLEN', 0)
    redis.call('UNLINK', changed)
    return 'emptied'
  end
end
return trim(stream, most) and 'trimmed' or 'kept'
