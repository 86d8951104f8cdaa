-- What is true of a room beside what was said there, kept where its log is: so what it forbids is refused by the same call
-- that would write it, whatever the replica knows that asks.
--
-- `about` is a hash: `topic`, `owner` (member), `created` (ms), `access` (`open`, `private`, `direct`), `invite` (hash of the
-- token), `frozen` and `archived` ('1'), `slow_ms`; and of members `mute:` and `ban:` (until when, ms; 0 for ever) and `in:`
-- (they may enter a private room). `changed` is a hash: message ID → the ID of its newest edit, or of its removal after a '-'.

-- One change in so many forgets those of messages that the log has no more.
local SWEEP_EVERY = 1024
-- Things that a room knows of members, and how many of them may be that somebody was let in: however many an invitation
-- brings, they can be kept in order.
local MOST_FIELDS, MOST_LET_IN = 2048, 1536
-- Rooms that one member makes, of those that are kept together.
local MOST_MADE = 100

local function is_until(value, now)
  local ends = tonumber(value or '')
  return ends and (ends == 0 or ends > now)
end

local function is_removed(what)
  return what and string.sub(what, 1, 1) == '-'
end

-- Whether somebody moderates a room: everywhere, or as the one who made it, unless they may not be there.
local function moderates(about, new, now)
  if new.power == '1' then return true end
  local owner, ban = unpack(redis.call('HMGET', about, 'owner', 'ban:' .. new.member))
  return owner == new.member and not is_until(ban, now)
end

-- Whether there is such a room: where `new.unmade` says so, only once it was made.
local function is_there(about, new)
  return new.unmade == '' or redis.call('HEXISTS', about, 'created') == 1
end

-- Why a room takes nothing from somebody now; nil if it does. `new.power` is '1' for those who moderate everywhere; `new.unmade`
-- is what to say of a room that was not made, '' where any name is a room.
local function refusal(about, slow, new, now)
  if not is_there(about, new) then return {new.unmade} end
  if redis.call('EXISTS', about) == 0 then return nil end
  local me = new.member
  local is = redis.call('HMGET', about, 'archived', 'frozen', 'slow_ms', 'access', 'owner',
    'mute:' .. me, 'ban:' .. me, 'in:' .. me)
  local archived, frozen, slow_ms, access, owner, mute, ban, let_in = unpack(is)
  local has_power = new.power == '1' or (owner == me and not is_until(ban, now))
  if archived == '1' then return {'archived'} end
  if has_power then return nil end
  if is_until(ban, now) then return {'banned'} end
  if access and access ~= 'open' and not let_in then return {'private'} end
  if frozen == '1' then return {'frozen'} end
  if is_until(mute, now) then return {'muted'} end
  if slow_ms and new.kind == '' then
    local left = redis.call('PTTL', slow .. me)
    if left > 0 then return {'slow', string.format('%.0f', left)} end
  end
  return nil
end

-- Notes that somebody spoke, where a room is slow.
local function spoke(about, slow, new)
  if new.kind ~= '' then return end
  local slow_ms = tonumber(redis.call('HGET', about, 'slow_ms') or '')
  if slow_ms and slow_ms > 0 then redis.call('SET', slow .. new.member, '1', 'PX', slow_ms) end
end

-- Fields and values in turn, as a table.
local function by_field(flat)
  local fields = {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

-- Why an edit or a removal cannot be; nil if it can.
local function wrong_target(log, about, changed, new, now)
  if new.of == '' then return nil end
  local found = redis.call('XRANGE', log, new.of, new.of)[1]
  local its = found and by_field(found[2])
  if not its or its.what or is_removed(redis.call('HGET', changed, new.of)) then return {'no_message'} end
  local may = its.member == new.member or (new.kind == 'remove' and moderates(about, new, now))
  return not may and {'not_yours'} or nil
end

local function note_change(log, changed, new, id)
  if new.of == '' then return end
  redis.call('HSET', changed, new.of, (new.kind == 'remove' and '-' or '') .. id)
  if redis.call('HLEN', changed) % SWEEP_EVERY ~= 0 then return end
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  local ms = tonumber(string.match(first[1], '^%d+'))
  local all = redis.call('HGETALL', changed)
  for i = 1, #all, 2 do
    -- As long as the newest is there, an edit before it may be: its text is not to come back.
    if tonumber(string.match(all[i + 1], '%d+')) < ms then redis.call('HDEL', changed, all[i]) end
  end
end

local function set_field(flat, name, value)
  for i = 1, #flat, 2 do
    if flat[i] == name then flat[i + 1] = value return end
  end
  table.insert(flat, name)
  table.insert(flat, value)
end

-- Entries without the texts that were removed; with `latest` each has the text of its newest edit. Nobody is given a removed
-- text again, neither as it was said first nor as it was edited.
local function as_changed(log, changed, entries, latest)
  if #entries == 0 or redis.call('EXISTS', changed) == 0 then return entries end
  local about = {}
  for i, entry in ipairs(entries) do
    local its = by_field(entry[2])
    about[i] = its.what == 'edit' and its.of or entry[1]
  end
  for i, what in ipairs(redis.call('HMGET', changed, unpack(about))) do
    local fields, is_itself = entries[i][2], about[i] == entries[i][1]
    if is_removed(what) then
      set_field(fields, 'text', '')
      set_field(fields, 'removed', '1')
    elseif what and latest and is_itself then
      local edit = redis.call('XRANGE', log, what, what)[1]
      if edit then
        set_field(fields, 'text', by_field(edit[2]).text)
        set_field(fields, 'edited', what)
      end
    end
  end
  return entries
end

-- Whether somebody may change a room: 'new' needs one that nobody made yet, and in which nobody spoke, or whoever came first
-- would have it taken from them; but one who moderates everywhere may make that somebody's. 'power' needs one who moderates it.
local function may_change(about, new, has_log, now)
  if new.needs == 'new' then
    return redis.call('HEXISTS', about, 'created') == 0 and (not has_log or new.power == '1'), 'exists'
  end
  if not is_there(about, new) then return false, 'forbidden' end
  if new.needs == '' or moderates(about, new, now) then return true end
  return false, 'forbidden'
end

-- Counts the rooms that somebody makes. Whether they may.
local function may_make(about, new)
  if new.needs ~= 'new' or new.power == '1' then return true end
  local made = string.match(about, '^{[^}]*}') .. ':made:' .. new.member
  if tonumber(redis.call('GET', made) or 0) >= MOST_MADE then return false end
  redis.call('INCR', made)
  return true
end

-- Whether a room can know what is to be set. There is always a place for the room's own state, and for an end.
local function has_room(about, fields)
  local known = redis.call('HLEN', about)
  for i = 1, #fields, 2 do
    local kind = string.match(fields[i], '^(%a+):')
    local is_more = kind and fields[i + 1] ~= '' and redis.call('HEXISTS', about, fields[i]) == 0
    if is_more and known >= (kind == 'in' and MOST_LET_IN or MOST_FIELDS) then return false end
  end
  return true
end

-- Sets fields that are not so yet; an empty value ends one. A kick is a ban that ends soon, and ends no longer one. Whether
-- anything changed.
local function set_fields(about, fields, now)
  local has_changed = false
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    local kicked = string.match(name, '^kick:(.*)')
    if kicked then name = 'ban:' .. kicked end
    local was = redis.call('HGET', about, name)
    if kicked and is_until(was, now) and (was == '0' or tonumber(was) >= tonumber(value)) then
      -- As it is.
    elseif value == '' then
      has_changed = redis.call('HDEL', about, name) == 1 or has_changed
    elseif was ~= value then
      redis.call('HSET', about, name, value)
      has_changed = true
    end
  end
  return has_changed
end

-- Forgets bans and mutes that are over.
local function sweep_about(about, now)
  local all = redis.call('HGETALL', about)
  for i = 1, #all, 2 do
    local kind = string.match(all[i], '^(%a+):')
    if (kind == 'mute' or kind == 'ban') and not is_until(all[i + 1], now) then redis.call('HDEL', about, all[i]) end
  end
end
