#!lua name=rollcall_v2
-- Every write to a room goes through these functions, so that each is atomic and the room log,
-- the sender's counter and the partition's feed never disagree. All keys of one call share a
-- hash tag. The version is part of each name: two releases of Rollcall can run side by side.

-- The ID the next entry will name as its predecessor. XINFO rather than the last entry, because
-- trimming may take every entry while the chain must go on from where it was.
local function last_id(log)
  if redis.call('EXISTS', log) == 0 then return '0-0' end
  local info = redis.call('XINFO', 'STREAM', log)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end

-- Seconds and microseconds of Redis' clock.
local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]), tonumber(time[2])
end

local function now_ms()
  local seconds, micros = clock()
  return seconds * 1000 + math.floor(micros / 1000)
end

-- The ID for the entry after `last`. While the clock is behind the stream, having been set back, `*` would only count on,
-- and after a crash give out once more an ID that was lost: whoever has seen that would miss the new entry, and never know.
-- Microseconds do not come again.
local function next_id(last)
  local ms, seq = string.match(last, '^(%d+)-(%d+)$')
  local seconds, micros = clock()
  if tonumber(ms) <= seconds * 1000 + micros / 1000 then return '*' end
  return ms .. '-' .. string.format('%.0f', math.max(tonumber(seq) + 1, seconds * 1000000 + micros))
end

-- KEYS log, sent, feed. ARGV room, member, name, n, text, log_max, feed_max, sent_ttl_ms.
-- Returns {'taken', id, prev}, {'duplicate', id or ''} or {'expected', n}.
local function append(keys, args)
  local log, sent, feed = keys[1], keys[2], keys[3]
  local room, member, name, n, text = args[1], args[2], args[3], args[4], args[5]
  local log_max, feed_max, sent_ttl = args[6], args[7], args[8]

  local seen = redis.call('GET', sent)
  if seen then
    local last, last_entry = string.match(seen, '^(%d+) (.+)$')
    local ahead = tonumber(n) - tonumber(last)
    if ahead == 0 then return {'duplicate', last_entry} end
    if ahead < 0 then return {'duplicate', ''} end
    if ahead > 1 then return {'expected', string.format('%.0f', tonumber(last) + 1)} end
  end

  local prev = last_id(log)
  local id = redis.call('XADD', log, 'MAXLEN', '~', log_max, next_id(prev),
    'prev', prev, 'member', member, 'name', name, 'n', n, 'text', text)
  -- Once it is in the log it was taken: a feed that fails must not make it look refused.
  redis.call('SET', sent, n .. ' ' .. id, 'PX', sent_ttl)
  pcall(function()
    redis.call('XADD', feed, 'MAXLEN', '~', feed_max, next_id(last_id(feed)), 'kind', 'message', 'room', room,
      'id', id, 'prev', prev, 'member', member, 'name', name, 'n', n, 'text', text)
  end)
  return {'taken', id, prev}
end

-- KEYS log. ARGV after, count. Returns {last ID of the log, entries after `after`}.
local function read_after(keys, args)
  -- Nothing comes after the highest of all IDs, and Redis calls that range invalid.
  if args[1] == '18446744073709551615-18446744073709551615' then return {last_id(keys[1]), {}} end
  return {last_id(keys[1]), redis.call('XRANGE', keys[1], '(' .. args[1], '+', 'COUNT', args[2])}
end

-- KEYS log. ARGV before (an ID or '+'), count. Returns {last ID of the log, entries, newest first}.
local function read_before(keys, args)
  local from = args[1]
  if from == '0-0' then return {last_id(keys[1]), {}} end
  if from ~= '+' then from = '(' .. from end
  return {last_id(keys[1]), redis.call('XREVRANGE', keys[1], from, '-', 'COUNT', args[2])}
end

local function announce(feed, feed_max, room, event, member, name)
  redis.call('XADD', feed, 'MAXLEN', '~', feed_max, next_id(last_id(feed)), 'kind', 'presence', 'room', room,
    'event', event, 'member', member, 'name', name)
end

-- A lease that ends so late is of a clock that has since been set back, and would hold as long as that was. No release has
-- such long ones.
local TOO_LATE_MS = 600000

local function end_leases(present, names, feed, feed_max, room, now, lease)
  local too_late = now + math.max(TOO_LATE_MS, 4 * lease)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', present, too_late, '+inf', 'LIMIT', 0, 256)) do
    -- The time of a new one, which whoever is still there renews.
    redis.call('ZADD', present, now + lease, member)
  end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', present, '-inf', now, 'LIMIT', 0, 256)) do
    announce(feed, feed_max, room, 'leave', member, redis.call('HGET', names, member) or '')
    redis.call('ZREM', present, member)
    redis.call('HDEL', names, member)
  end
end

-- KEYS present, names, feed. ARGV room, lease_ms, feed_max, asked ('' or ms), then member, name pairs.
-- Starts or renews leases, and if this was `asked` just now, by this clock, also ends those that ran out. What had to
-- wait until Redis went on, or comes after the clock was set, ends none: nobody could renew theirs meanwhile. Only who
-- was not present is announced. Returns the time, ms.
local function enter(keys, args)
  local present, names, feed = keys[1], keys[2], keys[3]
  local room, lease, feed_max = args[1], tonumber(args[2]), args[3]
  local now = now_ms()
  for i = 5, #args, 2 do
    local member, name = args[i], args[i + 1]
    if redis.call('ZADD', present, now + lease, member) == 1 then
      announce(feed, feed_max, room, 'join', member, name)
    end
    redis.call('HSET', names, member, name)
  end
  if args[4] ~= '' and math.abs(now - tonumber(args[4])) < lease / 4 then
    end_leases(present, names, feed, feed_max, room, now, lease)
  end
  redis.call('PEXPIRE', present, 4 * lease)
  redis.call('PEXPIRE', names, 4 * lease)
  return now
end

-- KEYS present, names, feed. ARGV room, member, feed_max. Ends one lease now.
local function exit(keys, args)
  local present, names, feed = keys[1], keys[2], keys[3]
  if redis.call('ZREM', present, args[2]) == 1 then
    announce(feed, args[3], args[1], 'leave', args[2], redis.call('HGET', names, args[2]) or '')
    redis.call('HDEL', names, args[2])
  end
  return 'OK'
end

-- KEYS names, feed. Returns {last ID of the feed, member and name in turn}: presence events up to
-- that ID are part of the answer, later ones are not.
local function present(keys)
  return {last_id(keys[2]), redis.call('HGETALL', keys[1])}
end

local function register(name, callback, flags)
  redis.register_function({
    function_name = 'rollcall_' .. name .. '_v2', callback = callback, flags = flags,
  })
end

register('append', append, {})
register('read_after', read_after, {'no-writes'})
register('read_before', read_before, {'no-writes'})
register('enter', enter, {})
register('exit', exit, {})
register('present', present, {'no-writes'})
