-- Every write to a room goes through `append`, so that the room log, the sender's number and the partition's feed never
-- disagree. All keys of one call share a hash tag. The version is part of each name: two releases of Rollcall run side by
-- side, on the same keys.

-- The sequence part of an ID is below the second, as JavaScript tells no larger numbers apart; of an entry in a millisecond
-- of its own below the first. Then come windows of random numbers, one for each millisecond in which the clock is behind.
local NEW_BELOW, ALWAYS_BELOW = 2 ^ 52, 2 ^ 53
local WINDOWS, WINDOW = 2 ^ 33, 2 ^ 19
-- The most that it grows by from one entry to the next within a millisecond.
local STEP = 2 ^ 40
-- Where a sender's number is forgotten, it is looked for in so many of the newest entries at most.
local RECALL = 500
local HIGHEST = '18446744073709551615-18446744073709551615'
-- One append in so many, by chance, looks whether log and feed have too many bytes.
local LOOK_EVERY = 16
-- The list of rooms notes that one was spoken in this often at most.
local LISTED_EVERY_MS = 60000

-- What XINFO says of a stream; `exists` is false if there is none. Its last ID comes from here rather than from its last
-- entry, because trimming may take every entry while the chain must go on from where it was.
local function about(stream)
  if redis.call('EXISTS', stream) == 0 then
    return {exists = false, ['last-generated-id'] = '0-0'}
  end
  local info, is = redis.call('XINFO', 'STREAM', stream), {exists = true}
  for i = 1, #info, 2 do is[info[i]] = info[i + 1] end
  return is
end

local function last_id(stream)
  return about(stream)['last-generated-id']
end

-- The ID for the entry after `last`. Redis may lose entries that were seen, and its clock may then stand where it stood when
-- they were written: an ID that only counted on would be given to another message, and whoever has seen the lost one would
-- miss it and never know. So chance is in each: `nonce`, below 2^52, comes from the replica, since Redis' own random numbers
-- are the same at every call. While the clock is behind the stream, having been set back, IDs grow with it all the same, so
-- that what is said after a loss comes after what was lost.
local function next_id(last, nonce)
  local ms, seq = string.match(last, '^(%d+)-(%d+)$')
  ms, seq = tonumber(ms), tonumber(seq)
  local now = now_ms()
  if now > ms then return string.format('%.0f-%.0f', now, nonce) end
  if now == ms then
    seq = seq + 1 + nonce % STEP
  else
    seq = math.max(seq + 1, NEW_BELOW + now % WINDOWS * WINDOW) + nonce % WINDOW
  end
  if seq >= ALWAYS_BELOW then ms, seq = ms + 1, nonce end
  return string.format('%.0f-%.0f', ms, seq)
end

-- Adds to a feed. One that takes nothing, being no stream or at the last of all IDs, is begun anew: whoever follows it
-- notices that what they saw last is gone.
local function tell(feed, nonce, entries, fields)
  local function add()
    redis.call('XADD', feed, 'MAXLEN', '~', entries, next_id(last_id(feed), nonce), unpack(fields))
  end
  if pcall(add) then return end
  redis.call('UNLINK', feed)
  add()
end

-- The sender's last number as it is remembered, that entry's ID, and whether it had the same text as the new one. A release
-- before this one remembered no hash of the text.
local function remembered(sent, new)
  local memory = redis.call('GET', sent)
  if not memory then return nil end
  local n, id, hash = string.match(memory, '^(%d+) (%S+) ?(%S*)$')
  return {n = tonumber(n), id = id, is_same = hash == '' or hash == new.hash}
end

-- Entries after an ID, newest first.
local function newest_after(log, id, count)
  -- Nothing comes after the highest of all IDs, and Redis calls that range invalid.
  if id == HIGHEST then return {} end
  return redis.call('XREVRANGE', log, '+', '(' .. id, 'COUNT', count)
end

-- The same from what the log took since the replica began to try. Memory goes by a clock that may be set, so it may end between
-- two tries of one send; this does not.
local function recalled(log, new)
  if new.since == '' then return nil end
  for _, entry in ipairs(newest_after(log, new.since, RECALL)) do
    local its = by_field(entry[2])
    local n = (its.sender or its.member) == new.sender and tonumber(its.n)
    local is_same = its.text == new.text and (its.what or '') == new.kind and (its.of or '') == new.of
    if n then return {n = n, id = entry[1], is_same = is_same} end
  end
  return nil
end

-- The answer to a number that is not the sender's next; none if it is.
local function answer_of(seen, n)
  local ahead = tonumber(n) - seen.n
  local expected = string.format('%.0f', seen.n + 1)
  if ahead == 1 then return nil end
  if ahead > 1 then return {'expected', expected} end
  if ahead < 0 then return {'duplicate', ''} end
  if not seen.is_same then return {'number_taken', expected} end
  return {'duplicate', seen.id}
end

-- Whether the room can remember one more sender's number. When it has as many as it may, it forgets the one that has been
-- silent for longest, but never one that spoke just now. Times out of reach are of a clock that was set.
local function has_place(senders, sent_prefix, new, now)
  redis.call('ZREMRANGEBYSCORE', senders, '-inf', now - new.numbers_ms)
  redis.call('ZREMRANGEBYSCORE', senders, now + new.numbers_ms, '+inf')
  if redis.call('ZCARD', senders) < tonumber(new.senders) then return true end
  local oldest = redis.call('ZRANGE', senders, 0, 0, 'WITHSCORES')
  if now - tonumber(oldest[2]) < tonumber(new.spared_ms) then return false end
  redis.call('ZREM', senders, oldest[1])
  redis.call('UNLINK', sent_prefix .. oldest[1])
  return true
end

local APPEND_KEYS = {'log', 'sent', 'senders', 'feed', 'about', 'changed', 'rooms'}
local APPEND_ARGS = {
  'room', 'sender', 'member', 'name', 'n', 'text', 'hash', 'nonce', 'feed_nonce', 'log_entries', 'log_bytes', 'feed_entries',
  'feed_bytes', 'senders', 'numbers_ms', 'spared_ms', 'new_rooms_below', 'since', 'kind', 'of', 'mark', 'power',
  'unmade',
}

-- Adds an entry to the log. Fields that have nothing to say are left out. Returns its ID, and what it has.
local function write(keys, new, prev)
  local fields = {'prev', prev, 'member', new.member, 'name', new.name, 'n', new.n, 'text', new.text}
  local function add(name, value)
    if value == '' then return end
    table.insert(fields, name)
    table.insert(fields, value)
  end
  if new.sender ~= new.member then add('sender', new.sender) end
  add('what', new.kind)
  add('of', new.of)
  add('mark', new.mark)
  local id = next_id(prev, tonumber(new.nonce))
  redis.call('XADD', keys.log, 'MAXLEN', '~', new.log_entries, id, unpack(fields))
  return id, fields
end

-- Tells the feed of an entry, and looks from time to time whether log and feed have too many bytes. Once an entry is in the
-- log it was taken: nothing that fails here may make it look refused.
local function tell_entry(keys, new, id, fields)
  pcall(tell, keys.feed, tonumber(new.feed_nonce), new.feed_entries,
    {'kind', 'message', 'room', new.room, 'id', id, unpack(fields)})
  if tonumber(new.nonce) % LOOK_EVERY ~= 0 then return end
  pcall(function()
    local full = fullness()
    trim(keys.log, allowed(tonumber(new.log_bytes), LOG_LEAST, full))
    trim(keys.feed, allowed(tonumber(new.feed_bytes), FEED_LEAST, full))
  end)
end

-- Notes in the list of rooms that something was said, once in a while: the list is sorted by it.
local function list(rooms, room, is, now)
  local last = tonumber(string.match(is['last-generated-id'], '^%d+'))
  if not is.exists or now - last > LISTED_EVERY_MS then pcall(redis.call, 'ZADD', rooms, now, room) end
end

-- KEYS log, sent, senders, feed, about, changed, rooms. ARGV as named above: `sender` is whose number `n` is (the end of the
-- key `sent`), `hash` is of the text, nonces are random numbers below 2^52, what follows them are bounds, `since` is the
-- room's last ID as the replica knew it before it tried first, or ''; `kind`, `of` and `mark` are of the entry, or '', and
-- `power` and `unmade` as `refusal` says. Returns {'taken', id, prev}, {'duplicate', id or ''}, {'expected', n}, {'number_taken',
-- expected n}, {'no_new_rooms'}, {'too_many_senders'}, or what `refusal` and `wrong_target` say.
local function append(args_keys, args)
  local keys = named(args_keys, APPEND_KEYS)
  local new = named(args, APPEND_ARGS)
  local now = now_ms()

  -- The number first: what was taken was taken, whatever is true of the room by now.
  local is = about(keys.log)
  local is_remembered = remembered(keys.sent, new)
  local seen = is_remembered or is.exists and recalled(keys.log, new)
  local answer = seen and answer_of(seen, new.n)
  if answer then return answer end

  local slow = string.sub(keys.about, 1, -6) .. 'slow:'
  local no = refusal(keys.about, slow, new, now) or wrong_target(keys.log, keys.about, keys.changed, new, now)
  if no then return no end
  if not is.exists and fullness() >= tonumber(new.new_rooms_below) then return {'no_new_rooms'} end
  local sent_prefix = string.sub(keys.sent, 1, #keys.sent - #new.sender)
  if not is_remembered and not has_place(keys.senders, sent_prefix, new, now) then return {'too_many_senders'} end
  redis.call('ZADD', keys.senders, now, new.sender)
  redis.call('PEXPIRE', keys.senders, new.numbers_ms)

  local prev = is['last-generated-id']
  local id, fields = write(keys, new, prev)
  redis.call('SET', keys.sent, new.n .. ' ' .. id .. ' ' .. new.hash, 'PX', new.numbers_ms)
  pcall(note_change, keys.log, keys.changed, new, id)
  pcall(spoke, keys.about, slow, new)
  list(keys.rooms, new.room, is, now)
  tell_entry(keys, new, id, fields)
  return {'taken', id, prev}
end

local CHANGE_ARGS = {
  'room', 'member', 'name', 'text', 'nonce', 'feed_nonce', 'log_entries', 'log_bytes', 'feed_entries', 'feed_bytes',
  'new_rooms_below', 'mark', 'power', 'needs', 'unmade',
}

-- KEYS as for append, of which sent and senders are not used. ARGV as named above, then fields of the room's state and
-- their values in turn, '' to end one. Changes the state, and says so in the log: `text` is a sentence for people. Returns {'changed', id},
-- {'same'}, {'forbidden'}, {'exists'}, {'full'}, {'too_many'} or {'no_new_rooms'}.
local function change(args_keys, args)
  local keys, new = named(args_keys, APPEND_KEYS), named(args, CHANGE_ARGS)
  local now, is = now_ms(), about(keys.log)
  local set = {unpack(args, #CHANGE_ARGS + 1)}
  local may, why_not = may_change(keys.about, new, is.exists, now)
  if not may then return {why_not} end
  if not is.exists and fullness() >= tonumber(new.new_rooms_below) then return {'no_new_rooms'} end
  if not has_room(keys.about, set) then sweep_about(keys.about, now) end
  if not has_room(keys.about, set) then return {'full'} end
  if not may_make(keys.about, new) then return {'too_many'} end
  if not set_fields(keys.about, set, now) then return {'same'} end
  local entry = setmetatable({n = '0', sender = new.member, kind = 'notice', of = ''}, {__index = new})
  local id, fields = write(keys, entry, is['last-generated-id'])
  list(keys.rooms, new.room, is, now)
  tell_entry(keys, entry, id, fields)
  return {'changed', id}
end

-- KEYS about, held (of presence). Returns how many are there, and the room's state, fields and values in turn.
local function read_state(keys)
  return {redis.call('HLEN', keys[2]), redis.call('HGETALL', keys[1])}
end

-- KEYS feed. ARGV nonce, feed_entries, then fields and values in turn. Tells what no room log keeps.
local function tell_only(keys, args)
  tell(keys[1], tonumber(args[1]), args[2], {unpack(args, 3)})
  return 'OK'
end

-- KEYS log, changed. ARGV after, count. Returns {last ID of the log, entries after `after`}.
local function read_after(keys, args)
  if args[1] == HIGHEST then return {last_id(keys[1]), {}} end
  local entries = redis.call('XRANGE', keys[1], '(' .. args[1], '+', 'COUNT', args[2])
  return {last_id(keys[1]), as_changed(keys[1], keys[2], entries)}
end

-- Entries before an ID, or '+', newest first.
local function newest_before(log, before, count)
  if before == '0-0' then return {} end
  if before ~= '+' then before = '(' .. before end
  return redis.call('XREVRANGE', log, before, '-', 'COUNT', count)
end

-- KEYS log, changed. ARGV before (an ID or '+'), count, latest ('1' for texts as they were edited). Returns {last ID of the
-- log, entries, newest first}.
local function read_before(keys, args)
  local entries = newest_before(keys[1], args[1], args[2])
  return {last_id(keys[1]), as_changed(keys[1], keys[2], entries, args[3] == '1')}
end

-- KEYS log, changed. ARGV id, count. Returns as `read_before` does: up to half of `count` entries before `id`, it, and as many
-- after it; texts as they were edited.
local function read_around(keys, args)
  local half = math.max(1, math.floor(tonumber(args[2]) / 2))
  local from = redis.call('XRANGE', keys[1], args[1], '+', 'COUNT', half)
  local entries = {}
  for i = #from, 1, -1 do table.insert(entries, from[i]) end
  for _, entry in ipairs(newest_before(keys[1], args[1], half)) do table.insert(entries, entry) end
  return {last_id(keys[1]), as_changed(keys[1], keys[2], entries, true)}
end

-- KEYS rooms. ARGV count. Returns the rooms that were spoken in last, each with when, ms: newest first.
local function read_rooms(keys, args)
  return redis.call('ZREVRANGE', keys[1], 0, tonumber(args[1]) - 1, 'WITHSCORES')
end

-- KEYS log. Returns its last ID.
local function last(keys)
  return last_id(keys[1])
end

local function register(name, callback, flags)
  redis.register_function({
    function_name = 'rollcall_' .. name .. '_v4', callback = callback, flags = flags,
  })
end

register('append', append, {})
-- However full Redis is, people can be kept in order: what they write for that is little, and its rate is bounded.
register('remove', append, {'allow-oom'})
register('change', change, {'allow-oom'})
register('tell', tell_only, {})
register('read_after', read_after, {'no-writes'})
register('read_before', read_before, {'no-writes'})
register('read_around', read_around, {'no-writes'})
register('read_rooms', read_rooms, {'no-writes'})
register('read_state', read_state, {'no-writes'})
register('last', last, {'no-writes'})
