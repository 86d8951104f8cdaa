-- Accounts, their sessions, and who may not be here. All keys of one call have the hash tag `{chat}`, which KEYS[1], the hash of
-- the bans, gives it; the others are made here from what the call is about. What is kept outlives releases: names have a
-- version, and fields are only ever added.
--
-- `account:<folded>` is a hash: `name`, `member`, `role`, `password` (PHC; '' for a bot), `created` (ms). `skeleton:<skeleton>` is the
-- folded name that has whatever looks like it. `session:<hash of its token>` is a hash (`account`: the folded name) that expires,
-- but for a bot's; `sessions:<folded>` is a sorted set of an account's sessions by when they end. `banned` is a hash: member →
-- until when, ms; 0 for ever.

-- Members who may not be here, at most.
local MOST_BANS = 65536
-- Skeletons of one name.
local SKELETONS = {'first', 'second'}

local function account_key(folded) return '{chat}:account:' .. folded end
local function skeleton_key(skeleton) return '{chat}:skeleton:' .. skeleton end
local function session_key(hash) return '{chat}:session:' .. hash end
local function sessions_key(folded) return '{chat}:sessions:' .. folded end

local function has_ended(ends, now)
  ends = tonumber(ends)
  return ends ~= 0 and ends <= now
end

-- '1' or ''.
local function is_banned(banned, member, now)
  local ends = redis.call('HGET', banned, member)
  return ends and not has_ended(ends, now) and '1' or ''
end

local function is_reserved(new)
  for _, which in ipairs(SKELETONS) do
    if redis.call('EXISTS', skeleton_key(new[which])) == 1 then return true end
  end
  return redis.call('EXISTS', account_key(new.folded)) == 1
end

local function write_account(new, role, password)
  redis.call('HSET', account_key(new.folded), 'name', new.name, 'member', new.member, 'role', role, 'password', password,
    'created', string.format('%.0f', now_ms()))
  for _, which in ipairs(SKELETONS) do redis.call('SET', skeleton_key(new[which]), new.folded) end
end

local function write_session(folded, hash, ttl_ms)
  redis.call('HSET', session_key(hash), 'account', folded)
  if ttl_ms == 0 then
    redis.call('ZADD', sessions_key(folded), '+inf', hash)
    return 0
  end
  local ends = now_ms() + ttl_ms
  redis.call('PEXPIREAT', session_key(hash), string.format('%.0f', ends))
  redis.call('ZADD', sessions_key(folded), ends, hash)
  return ends
end

local function end_all(folded)
  local all = redis.call('ZRANGE', sessions_key(folded), 0, -1)
  for _, hash in ipairs(all) do redis.call('UNLINK', session_key(hash)) end
  redis.call('UNLINK', sessions_key(folded))
  return #all
end

local NAMED = {'folded', 'first', 'second', 'name', 'member', 'new_below'}

-- ARGV folded, two skeletons, name, member, new_below (how full Redis may be), password. Returns 'created', 'taken' or 'full'. Asked
-- again with the same hash of the password, whose salt nobody else has, it is 'created' still.
local function create(_, args)
  local new, password = named(args, NAMED), args[7]
  if redis.call('HGET', account_key(new.folded), 'password') == password then return 'created' end
  if is_reserved(new) then return 'taken' end
  if fullness() >= tonumber(new.new_below) then return 'full' end
  write_account(new, 'registered', password)
  return 'created'
end

-- ARGV as for `create`, but for the password: the hash of a token. Ends the tokens that it had. Returns 'created', 'rotated', 'taken' or
-- 'full'.
local function make_bot(_, args)
  local new, hash = named(args, NAMED), args[7]
  local role = redis.call('HGET', account_key(new.folded), 'role')
  if role == 'bot' then
    end_all(new.folded)
    write_session(new.folded, hash, 0)
    return 'rotated'
  end
  if is_reserved(new) then return 'taken' end
  if fullness() >= tonumber(new.new_below) then return 'full' end
  write_account(new, 'bot', '')
  write_session(new.folded, hash, 0)
  return 'created'
end

-- ARGV folded. Returns {name, member, role, password}; {} if there is no such account.
local function read_account(_, args)
  local its = redis.call('HMGET', account_key(args[1]), 'name', 'member', 'role', 'password')
  return its[1] and its or {}
end

-- ARGV folded, password (as it was read), hash of a token, ttl_ms, most. With more than `most` sessions the one that ends first
-- ends now. Returns {'opened', when it ends (ms), hashes of those that ended …}, or {'gone'} if the account is another by now.
local function open_session(_, args)
  local folded, password, hash, ttl_ms, most = unpack(args)
  if redis.call('HGET', account_key(folded), 'password') ~= password then return {'gone'} end
  local sessions = sessions_key(folded)
  redis.call('ZREMRANGEBYSCORE', sessions, '-inf', now_ms())
  local told = {'opened', ''}
  while redis.call('ZCARD', sessions) >= tonumber(most) do
    local oldest = redis.call('ZPOPMIN', sessions)[1]
    redis.call('UNLINK', session_key(oldest))
    table.insert(told, oldest)
  end
  told[2] = string.format('%.0f', write_session(folded, hash, tonumber(ttl_ms)))
  return told
end

-- ARGV hash. Returns {folded, name, member, role, left (ms, -1 for ever), '1' if banned}; {} if there is no such session.
local function read_session(keys, args)
  local session = session_key(args[1])
  local folded = redis.call('HGET', session, 'account')
  local its = folded and redis.call('HMGET', account_key(folded), 'name', 'member', 'role')
  if not its or not its[1] then return {} end
  local left = string.format('%.0f', redis.call('PTTL', session))
  return {folded, its[1], its[2], its[3], left, is_banned(keys[1], its[2], now_ms())}
end

-- ARGV hash, ttl_ms. Returns when it ends, ms; '' if it has ended, or never does.
local function renew_session(_, args)
  local session = session_key(args[1])
  local folded = redis.call('HGET', session, 'account')
  if not folded or redis.call('PTTL', session) < 0 then return '' end
  return string.format('%.0f', write_session(folded, args[1], tonumber(args[2])))
end

-- ARGV hash. Whether there was one: 1 or 0.
local function end_session(_, args)
  local folded = redis.call('HGET', session_key(args[1]), 'account')
  if not folded then return 0 end
  redis.call('ZREM', sessions_key(folded), args[1])
  return redis.call('UNLINK', session_key(args[1]))
end

-- ARGV folded. How many there were.
local function end_sessions(_, args)
  return end_all(args[1])
end

-- ARGV folded, role. Returns {'set', member, name}, {'none'} if there is no such account, or {'bot'}, which stays one.
local function set_role(_, args)
  local account = account_key(args[1])
  local its = redis.call('HMGET', account, 'role', 'member', 'name')
  if not its[1] then return {'none'} end
  if its[1] == 'bot' then return {'bot'} end
  redis.call('HSET', account, 'role', args[2])
  return {'set', its[2], its[3]}
end

-- ARGV two skeletons, member. Returns {'1' if the name would pass for a reserved one, '1' if the member is banned}.
local function read_guest(keys, args)
  local reserved = redis.call('EXISTS', skeleton_key(args[1]), skeleton_key(args[2])) > 0
  return {reserved and '1' or '', is_banned(keys[1], args[3], now_ms())}
end

-- ARGV member, for_ms (0 for ever). Returns 1, or 0 if there are too many.
local function ban(keys, args)
  local banned, now = keys[1], now_ms()
  if redis.call('HLEN', banned) >= MOST_BANS then
    local all = redis.call('HGETALL', banned)
    for i = 1, #all, 2 do
      if has_ended(all[i + 1], now) then redis.call('HDEL', banned, all[i]) end
    end
  end
  if redis.call('HLEN', banned) >= MOST_BANS and redis.call('HEXISTS', banned, args[1]) == 0 then return 0 end
  local for_ms = tonumber(args[2])
  redis.call('HSET', banned, args[1], string.format('%.0f', for_ms == 0 and 0 or now + for_ms))
  return 1
end

-- ARGV member. Whether there was a ban: 1 or 0.
local function unban(keys, args)
  return redis.call('HDEL', keys[1], args[1])
end

-- ARGV member and hash of the session ('' for a guest), in turn. Returns of each 'banned', 'out', or the role ('' of a guest).
local function read_standing(keys, args)
  local now, told = now_ms(), {}
  for i = 1, #args, 2 do
    local role = ''
    if args[i + 1] ~= '' then
      local folded = redis.call('HGET', session_key(args[i + 1]), 'account')
      role = folded and redis.call('HGET', account_key(folded), 'role') or 'out'
    end
    if is_banned(keys[1], args[i], now) == '1' then role = 'banned' end
    table.insert(told, role)
  end
  return told
end

local function register(name, callback, flags)
  redis.register_function({
    function_name = 'rollcall_' .. name .. '_v1', callback = callback, flags = flags,
  })
end

register('create_account', create, {})
register('make_bot', make_bot, {})
register('open_session', open_session, {})
register('renew_session', renew_session, {})
-- What takes something away, or keeps somebody out, is done however full Redis is.
register('end_session', end_session, {'allow-oom'})
register('end_sessions', end_sessions, {'allow-oom'})
register('set_role', set_role, {'allow-oom'})
register('ban', ban, {'allow-oom'})
register('unban', unban, {'allow-oom'})
register('read_account', read_account, {'no-writes'})
register('read_session', read_session, {'no-writes'})
register('read_guest', read_guest, {'no-writes'})
register('read_standing', read_standing, {'no-writes'})
