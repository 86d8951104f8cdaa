#!lua name=rollcall_presence_v3
-- The members of rooms, and which replica says so of each. All keys of one call share a hash tag.
--
-- `held` is a hash: member → name, then a line for each who holds it: a replica's incarnation on which it has connections;
-- `~` and a time, ms, until which it stays after its last connection closed without a word; `=` and the time at which the
-- lease ends that a replica of the release before has for it. A member with none of these left is gone, and that is told.
-- `leases` (of all rooms) has each incarnation that lives, with the time of its last renewal. An incarnation that is not
-- in it is dead for good: it comes back under another name.
--
-- The release before (v2) has `present` (member → end of its lease) and `names` (member → name), ends what ran out, and
-- tells its clients what `names` says. While it may run, what `held` says is written there too, with a far end that
-- is no whole number, so that it is never taken for a lease of v2. When that release is gone, these go: `present`, `names`,
-- `=`, `see_v2`, `v2_lease`, `mirror`, `filed`, `gone_from_v2`, and the last three parts of what `present` returns.
--
-- Nothing of this is written to the append-only file, replicas of Redis get it all the same: after a restart each
-- replica enters its members anew, and nobody is believed gone before that. Only v2's keys are, since v2 believes at once
-- what it reads. The feeds are streams, so their entries could as well be lost with a restart: their readers notice that the last
-- entry they saw is missing, and compare.

-- A lease of v2 that ends this late is of a clock that has since been set back.
local TOO_LATE_MS = 600000
-- How long a room's keys outlive the last change: garbage of stacks that were taken down.
local KEPT_MS = 86400000

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function last_id(feed)
  if redis.call('EXISTS', feed) == 0 then return '0-0' end
  local info = redis.call('XINFO', 'STREAM', feed)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end

-- While the clock is behind the feed, microseconds, as for messages: they do not come again.
local function next_id(last)
  local ms, seq = string.match(last, '^(%d+)-(%d+)$')
  local time = redis.call('TIME')
  local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
  if tonumber(ms) <= micros / 1000 then return '*' end
  return ms .. '-' .. string.format('%.0f', math.max(tonumber(seq) + 1, micros))
end

-- KEYS held, present, names, feed. ARGV room, feed_max, lease_ms, then what the function says.
local function room_of(keys, args)
  return {
    held = keys[1], present = keys[2], names = keys[3], feed = keys[4],
    name = args[1], feed_max = args[2], lease = tonumber(args[3]), now = now_ms(),
  }
end

local function announce(room, event, member, name)
  redis.call('XADD', room.feed, 'MAXLEN', '~', room.feed_max, next_id(last_id(room.feed)), 'kind', 'presence',
    'room', room.name, 'event', event, 'member', member, 'name', name)
end

-- An entry of `held`: {name, on = incarnations, lingers = ms or nil, v2 = ms or nil}; nil if there is none.
local function read(room, member)
  local value = redis.call('HGET', room.held, member)
  if not value then return nil end
  local entry = { name = string.match(value, '^[^\n]*'), on = {} }
  for holder in string.gmatch(value, '\n([^\n]+)') do
    local kind, time = string.match(holder, '^([~=])(%d+)$')
    if kind == '~' then entry.lingers = tonumber(time)
    elseif kind == '=' then entry.v2 = tonumber(time)
    else table.insert(entry.on, holder) end
  end
  return entry
end

local function write(room, member, entry)
  local lines = { entry.name, unpack(entry.on) }
  if entry.lingers then table.insert(lines, '~' .. string.format('%.0f', entry.lingers)) end
  if entry.v2 and entry.v2 > room.now then table.insert(lines, '=' .. string.format('%.0f', entry.v2)) end
  redis.call('HSET', room.held, member, table.concat(lines, '\n'))
end

local function without(holders, gone)
  local left = {}
  for _, holder in ipairs(holders) do
    if not gone[holder] then table.insert(left, holder) end
  end
  return left
end

-- As one of v2's own writes, in the file.
local function filed(...)
  redis.set_repl(redis.REPL_ALL)
  local reply = redis.call(...)
  redis.set_repl(redis.REPL_REPLICA)
  return reply
end

-- When the lease ends that a replica of v2 has for a member; nil if none has.
local function v2_lease(room, member)
  local ends = tonumber(redis.call('ZSCORE', room.present, member) or 0)
  if ends <= room.now or ends % 1 ~= 0 then return nil end
  return math.min(ends, room.now + room.lease)
end

-- Notes it in the entry, before its place is taken by ours.
local function see_v2(room, member, entry)
  local ends = v2_lease(room, member)
  if ends then entry.v2 = math.max(ends, entry.v2 or 0) end
end

-- Lets v2 list a member until `ends`, and tells of it if it did not.
local function mirror(room, member, name, ends)
  filed('ZADD', room.present, string.format('%.0f', ends) .. '.5', member)
  if filed('HSET', room.names, member, name) == 1 then announce(room, 'join', member, name) end
end

local function gone_from_v2(room, member)
  filed('ZREM', room.present, member)
  filed('HDEL', room.names, member)
end

-- Whether anybody still holds a member; if not, it is gone.
local function settle(room, member, entry)
  if #entry.on > 0 or (entry.lingers and entry.lingers > room.now) then
    write(room, member, entry)
    return
  end
  redis.call('HDEL', room.held, member)
  if entry.v2 and entry.v2 > room.now then
    filed('ZADD', room.present, string.format('%.0f', entry.v2), member)
    return
  end
  gone_from_v2(room, member)
  announce(room, 'leave', member, entry.name)
end

-- v2 lets its keys end four leases after its last word.
local function keep(room)
  redis.call('PEXPIRE', room.held, KEPT_MS)
  filed('PEXPIRE', room.present, KEPT_MS)
  filed('PEXPIRE', room.names, KEPT_MS)
end

-- How long v2 may list a member before it has to be told again: rarely, but less than what v2 takes for too late.
local function far(room)
  return math.max(math.min(20 * room.lease, 500000), 2 * room.lease)
end

-- Then incarnation, and member, name in turn. They have connections there. Tells who is new.
local function enter(keys, args)
  local room = room_of(keys, args)
  for i = 5, #args, 2 do
    local member, name = args[i], args[i + 1]
    local entry = read(room, member) or { on = {} }
    entry.name, entry.lingers = name, nil
    entry.on = without(entry.on, { [args[4]] = true })
    table.insert(entry.on, args[4])
    see_v2(room, member, entry)
    write(room, member, entry)
    mirror(room, member, name, room.now + far(room))
  end
  keep(room)
  return room.now
end

-- Then incarnation, and members. Their last connections there closed without a word. Who is on no other stays for a
-- lease, and is returned.
local function part(keys, args)
  local room, lingering = room_of(keys, args), {}
  for i = 5, #args do
    local member = args[i]
    local entry = read(room, member)
    if entry then
      entry.on = without(entry.on, { [args[4]] = true })
      if #entry.on == 0 then
        entry.lingers = room.now + room.lease
        see_v2(room, member, entry)
        if not v2_lease(room, member) then mirror(room, member, entry.name, entry.lingers) end
        table.insert(lingering, member)
      end
      write(room, member, entry)
    end
  end
  keep(room)
  return lingering
end

-- Then incarnation, and members. They said so: there they are no more, and elsewhere only if they have a connection.
local function leave(keys, args)
  local room = room_of(keys, args)
  for i = 5, #args do
    local entry = read(room, args[i])
    if entry then
      entry.on = without(entry.on, { [args[4]] = true })
      entry.lingers = nil
      see_v2(room, args[i], entry)
      settle(room, args[i], entry)
    end
  end
  return room.now
end

-- A member whom only v2 has listed.
local function reap_v2(room, member)
  local ends = tonumber(redis.call('ZSCORE', room.present, member) or 0)
  if ends <= room.now then
    local name = redis.call('HGET', room.names, member)
    gone_from_v2(room, member)
    if name then announce(room, 'leave', member, name) end
  elseif ends % 1 ~= 0 or ends >= room.now + math.max(TOO_LATE_MS, 4 * room.lease) then
    -- Of a clock that was set back, or ours, and `held` was lost: whoever has it says so within a lease.
    filed('ZADD', room.present, string.format('%.0f', room.now + room.lease), member)
  end
end

-- Then asked (ms), the number of dead incarnations, these, and members. Ends what ran out, if this was asked just now, by
-- this clock: what had to wait until Redis went on, or comes after the clock was set, ends nothing, since nobody could
-- renew anything meanwhile. Returns the time, ms.
local function reap(keys, args)
  local room, dead = room_of(keys, args), {}
  if math.abs(room.now - tonumber(args[4])) >= room.lease / 4 then return room.now end
  local first = 6 + tonumber(args[5])
  for i = 6, first - 1 do dead[args[i]] = true end
  for i = first, #args do
    local entry = read(room, args[i])
    if entry then
      entry.on = without(entry.on, dead)
      -- Of a clock that was set back.
      if entry.lingers and entry.lingers > room.now + 2 * room.lease then entry.lingers = room.now + room.lease end
      see_v2(room, args[i], entry)
      settle(room, args[i], entry)
    else
      reap_v2(room, args[i])
    end
  end
  return room.now
end

-- KEYS held, present, names, feed. ARGV near_ms. Returns {last ID of the feed, time, held; names, when they end (ms from
-- now), members whose end in `present` is that near, with it}: presence events up to that ID are part of the
-- answer, later ones are not.
local function present(keys, args)
  local now = now_ms()
  return {
    last_id(keys[4]), now, redis.call('HGETALL', keys[1]), redis.call('HGETALL', keys[3]), redis.call('PTTL', keys[3]),
    redis.call('ZRANGEBYSCORE', keys[2], '-inf', now + tonumber(args[1]), 'WITHSCORES'),
  }
end

-- KEYS leases. ARGV incarnation, lease_ms, asked ('' or ms), known ('1' or ''). Renews a lease; if it was `known` and is
-- not there, it is lost. If this was `asked` just now, by this clock, takes those that were not renewed for a lease for
-- dead. Returns {'kept' or 'lost', time, the incarnations that live}.
local function renew(keys, args)
  local leases, lease, now = keys[1], tonumber(args[2]), now_ms()
  if args[4] == '1' and not redis.call('ZSCORE', leases, args[1]) then return { 'lost', string.format('%.0f', now) } end
  redis.call('ZADD', leases, now, args[1])
  -- Of a clock that was set back.
  for _, holder in ipairs(redis.call('ZRANGEBYSCORE', leases, '(' .. string.format('%.0f', now), '+inf')) do
    redis.call('ZADD', leases, now, holder)
  end
  if args[3] ~= '' and math.abs(now - tonumber(args[3])) < lease / 4 then
    redis.call('ZREMRANGEBYSCORE', leases, '-inf', now - lease)
  end
  return { 'kept', string.format('%.0f', now), unpack(redis.call('ZRANGE', leases, 0, -1)) }
end

-- KEYS feed. ARGV room, feed_max, member, name. Tells the room that a member is typing. Nobody misses one that is lost.
local function typing(keys, args)
  redis.call('XADD', keys[1], 'MAXLEN', '~', args[2], next_id(last_id(keys[1])), 'kind', 'typing', 'room', args[1],
    'member', args[3], 'name', args[4])
  return 'OK'
end

local function register(name, callback)
  redis.register_function('rollcall_' .. name .. '_v3', function(keys, args)
    redis.set_repl(redis.REPL_REPLICA)
    return callback(keys, args)
  end)
end

register('enter', enter)
register('part', part)
register('leave', leave)
register('reap', reap)
register('renew', renew)
register('typing', typing)
redis.register_function({ function_name = 'rollcall_present_v3', callback = present, flags = { 'no-writes' } })
