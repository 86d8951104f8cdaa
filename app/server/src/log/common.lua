-- What libraries of functions share.

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Arguments by the names that stand at their places.
local function named(args, names)
  local by_name = {}
  for i, name in ipairs(names) do by_name[name] = args[i] end
  return by_name
end
