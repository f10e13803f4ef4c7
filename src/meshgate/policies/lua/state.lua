-- One request as people's functions see it, in whichever phase they run. `state.now` is the one
-- whose function runs; what waits for a body puts itself back afterwards.
local state = {}

local REQUEST, ANSWER = "meshgate.request", "meshgate.answer"
local RESPONSE_PHASES = { header_filter = true, body_filter = true, log = true }

local function metadata(handle)
  return handle:streamInfo():dynamicMetadata()
end

-- The request's headers as a table: a text for each name, or a list.
local function table_of(headers)
  local found = {}
  for name, value in pairs(headers) do
    if name:sub(1, 1) ~= ":" and name:sub(1, 11) ~= "x-meshgate-" then
      local before = found[name]
      if type(before) == "table" then
        before[#before + 1] = value
      else
        found[name] = before and { before, value } or value
      end
    end
  end
  return found
end

state.table_of = table_of

-- Keeps for the way back what only the way there knows.
function state.keep(handle)
  local headers = handle:headers()
  local kept = { headers = table_of(headers) }
  for _, name in ipairs({ "method", "path", "scheme", "authority" }) do
    kept[name] = headers:get(":" .. name)
  end
  kept.id = headers:get("x-request-id")
  metadata(handle):set(REQUEST, "kept", kept)
end

-- Begins a phase of a plugin.
function state.begin(handle, plugin, phase)
  local now = { handle = handle, plugin = plugin, phase = phase }
  if RESPONSE_PHASES[phase] then
    now.answering = true
    now.request = (metadata(handle):get(REQUEST) or {}).kept or { headers = {} }
  end
  state.now = now
  return now
end

function state.handle()
  return state.now.handle
end

-- One of `method`, `path`, `scheme`, `authority`.
function state.pseudo(name)
  local now = state.now
  if now.answering then
    return now.request[name] or ""
  end
  return now.handle:headers():get(":" .. name) or ""
end

function state.headers()
  local now = state.now
  local found = now.answering and now.request.headers or table_of(now.handle:headers())
  found.host = state.pseudo("authority")
  return found
end

function state.header(name)
  local now = state.now
  name = name:lower():gsub("_", "-")
  if name == "host" then
    return state.pseudo("authority")
  end
  if now.answering then
    local value = now.request.headers[name]
    return type(value) == "table" and value[1] or value
  end
  return now.handle:headers():getAtIndex(name, 0)
end

function state.id()
  local now = state.now
  if now.answering then
    return now.request.id or ""
  end
  return now.handle:headers():get("x-request-id") or ""
end

-- The request's body; waits for it.
function state.body()
  local now = state.now
  if now.phase ~= "access" and now.phase ~= "rewrite" then
    error("the request's body is there in the phases rewrite and access only", 3)
  end
  local text, buffer = body.read(now.handle)
  state.now = now
  now.buffer = buffer
  return text
end

function state.set_body(text)
  local now = state.now
  state.body()
  body.write(now.handle, now.buffer, text)
end

-- What a function before the answer says about it is remembered until there is one.
function state.remember(change)
  local now = state.now
  local list = (metadata(now.handle):get(ANSWER) or {}).changes or {}
  list[#list + 1] = change
  metadata(now.handle):set(ANSWER, "changes", list)
end

function state.remembered(handle)
  return (metadata(handle):get(ANSWER) or {}).changes or {}
end

function state.forget(handle)
  metadata(handle):set(ANSWER, "changes", {})
end

-- A table whose members all phases and plugins of a request share.
function state.shared(namespace)
  return setmetatable({}, {
    __index = function(_, name)
      return (metadata(state.handle()):get(namespace()) or {})[name]
    end,
    __newindex = function(_, name, value)
      local kind = type(value)
      if kind == "function" or kind == "userdata" or kind == "thread" then
        error("a " .. kind .. " cannot be kept for other phases", 2)
      end
      metadata(state.handle()):set(namespace(), tostring(name), value)
    end,
    __metatable = false,
  })
end

return state
