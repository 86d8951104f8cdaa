-- The rooms of somebody who has an account, each with the last message that they have read there: one hash a member.

local function is_after(id, other)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  local other_ms, other_seq = string.match(other, '^(%d+)-(%d+)$')
  ms, other_ms = tonumber(ms), tonumber(other_ms)
  return ms > other_ms or (ms == other_ms and tonumber(seq) > tonumber(other_seq))
end

-- KEYS rooms. ARGV room, id, most, new_below (how full Redis may be). Enters a room that they are not in, having read up to
-- `id`. Returns 'entered', 'too_many' if they have as many rooms as they may, or 'full'.
local function enter(keys, args)
  if redis.call('HEXISTS', keys[1], args[1]) == 1 then return 'entered' end
  if redis.call('HLEN', keys[1]) >= tonumber(args[3]) then return 'too_many' end
  if fullness() >= tonumber(args[4]) then return 'full' end
  redis.call('HSET', keys[1], args[1], args[2])
  return 'entered'
end

-- KEYS rooms. ARGV room.
local function leave(keys, args)
  return redis.call('HDEL', keys[1], args[1])
end

-- KEYS rooms. ARGV room, id. They have read up to there, if they are in the room and it is further than before: then returns 1.
local function read(keys, args)
  local before = redis.call('HGET', keys[1], args[1])
  if not before or not is_after(args[2], before) then return 0 end
  redis.call('HSET', keys[1], args[1], args[2])
  return 1
end

-- KEYS rooms. Returns rooms and IDs in turn.
local function all(keys)
  return redis.call('HGETALL', keys[1])
end

redis.register_function('rollcall_membership_enter_v1', enter)
redis.register_function({function_name = 'rollcall_membership_leave_v1', callback = leave, flags = {'allow-oom'}})
redis.register_function({function_name = 'rollcall_membership_read_v1', callback = read, flags = {'allow-oom'}})
redis.register_function({function_name = 'rollcall_read_memberships_v1', callback = all, flags = {'no-writes'}})
