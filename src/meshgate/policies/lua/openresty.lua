-- The part of OpenResty's `ngx.*` that Meshgate has, over Envoy's handle.
local openresty = {}

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local NAMES = { "EMERG", "ALERT", "CRIT", "ERR", "WARN", "NOTICE", "INFO", "DEBUG" }

local members = { null = values.null, OK = 0, ERROR = -1, AGAIN = -2, DONE = -4 }

for i, name in ipairs(NAMES) do
  members[name] = i
end
for name, status in pairs({
  OK = 200, CREATED = 201, ACCEPTED = 202, NO_CONTENT = 204, MOVED_PERMANENTLY = 301, MOVED_TEMPORARILY = 302,
  SEE_OTHER = 303, NOT_MODIFIED = 304, TEMPORARY_REDIRECT = 307, PERMANENT_REDIRECT = 308, BAD_REQUEST = 400,
  UNAUTHORIZED = 401, PAYMENT_REQUIRED = 402, FORBIDDEN = 403, NOT_FOUND = 404, NOT_ALLOWED = 405,
  NOT_ACCEPTABLE = 406, CONFLICT = 409, GONE = 410, TOO_MANY_REQUESTS = 429, INTERNAL_SERVER_ERROR = 500,
  NOT_IMPLEMENTED = 501, BAD_GATEWAY = 502, SERVICE_UNAVAILABLE = 503, GATEWAY_TIMEOUT = 504,
}) do
  members["HTTP_" .. name] = status
end

function members.log(level, ...)
  local name = NAMES[level] or error("bad log level", 2)
  pdk.say(name:lower())(...)
end

function members.time()
  return math.floor(state.handle():timestamp() / 1000)
end

function members.now()
  return state.handle():timestamp() / 1000
end

function members.escape_uri(text)
  return (tostring(text):gsub("[^%w%-%._~]", function(c)
    return string.format("%%%02X", c:byte())
  end))
end

function members.unescape_uri(text)
  return (tostring(text):gsub("+", " "):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

function members.encode_args(arguments)
  return pdk.fields(arguments):encode()
end

function members.decode_args(text)
  return pdk.shown_fields(form.decode(text))
end

function members.encode_base64(text)
  return state.handle():base64Escape(tostring(text))
end

function members.decode_base64(text)
  text = tostring(text):gsub("=+$", "")
  if text:find("[^%w+/]") or #text % 4 == 1 then
    return nil
  end
  local bits, count, out = 0, 0, {}
  for c in text:gmatch(".") do
    bits, count = bits * 64 + DIGITS:find(c, 1, true) - 1, count + 6
    if count >= 8 then
      count = count - 8
      out[#out + 1] = string.char(math.floor(bits / 2 ^ count) % 256)
      bits = bits % 2 ^ count
    end
  end
  return table.concat(out)
end

function members.get_phase()
  return state.now.phase
end

-- Ends the request with that status; 0 and -1 only end the function.
function members.exit(status)
  if status == 0 or status == -1 then
    error({ stop = true }, 0)
  end
  local said = state.now.said
  pdk.response.exit(status, said and table.concat(said) or nil)
end

local function print_text(...)
  local now = state.now
  now.said = now.said or {}
  for i = 1, select("#", ...) do
    now.said[#now.said + 1] = tostring((select(i, ...)))
  end
end

function members.print(...)
  print_text(...)
end

function members.say(...)
  print_text(...)
  print_text("\n")
end

local VARIABLES = {
  request_method = function() return state.pseudo("method") end,
  request_uri = function() return state.pseudo("path") end,
  uri = function() return pdk.request.get_path() end,
  args = function() return pdk.request.get_raw_query() end,
  query_string = function() return pdk.request.get_raw_query() end,
  host = function() return pdk.request.get_host() end,
  scheme = function() return state.pseudo("scheme") end,
  server_port = function() return tostring(pdk.request.get_port()) end,
  remote_addr = function() return pdk.client.get_ip() end,
  remote_port = function() return tostring(pdk.client.get_port()) end,
  request_id = function() return state.id() end,
  status = function() return tostring(pdk.response.get_status()) end,
}

local variables = setmetatable({}, {
  __index = function(_, name)
    if VARIABLES[name] then
      return VARIABLES[name]()
    elseif name:sub(1, 5) == "http_" then
      return state.header(name:sub(6))
    elseif name:sub(1, 4) == "arg_" then
      return pdk.request.get_query_arg(name:sub(5))
    end
    error("ngx.var." .. tostring(name) .. " is not available here", 2)
  end,
  __newindex = function(_, name)
    error("ngx.var." .. tostring(name) .. " cannot be set", 2)
  end,
  __metatable = false,
})

local request = {}
function request.get_headers() return state.headers() end
function request.get_method() return state.pseudo("method") end
function request.get_uri_args() return pdk.request.get_query() end
function request.set_header(name, value) pdk.upstream.set_header(name, value) end
function request.clear_header(name) pdk.upstream.clear_header(name) end
function request.set_uri(path) pdk.upstream.set_path(path) end
function request.read_body() end
function request.get_body_data() return state.body() end
function request.set_body_data(text) pdk.upstream.set_raw_body(text) end
function request.get_post_args() return pdk.shown_fields(form.decode(state.body())) end
function request.set_uri_args(arguments)
  if type(arguments) == "table" then
    pdk.upstream.set_query(arguments)
  else
    pdk.upstream.set_raw_query(arguments)
  end
end

-- The answer's headers: `ngx.header["x-a"] = "b"`, nil to remove one.
local header = setmetatable({}, {
  __index = function(_, name)
    return pdk.response.get_header((name:gsub("_", "-")))
  end,
  __newindex = function(_, name, value)
    name = name:gsub("_", "-")
    if value == nil then
      pdk.response.clear_header(name)
    else
      pdk.response.set_header(name, value)
    end
  end,
  __metatable = false,
})

-- The answer's body in `body_filter`: it comes in one piece, so the second is always true.
local argument = setmetatable({}, {
  __index = function(_, index)
    if index == 1 then
      return pdk.response.get_raw_body()
    end
    return index == 2 or nil
  end,
  __newindex = function(_, index, value)
    if index == 1 then
      pdk.response.set_raw_body(value or "")
    end
  end,
  __metatable = false,
})

local context = state.shared(function()
  return "meshgate.ngx.ctx"
end)

openresty.ngx = setmetatable({}, {
  __index = function(_, name)
    if name == "status" then
      return pdk.response.get_status()
    elseif name == "ctx" then
      return context
    end
    local fixed = { var = variables, header = header, arg = argument, req = openresty.req }
    local found = fixed[name]
    if found == nil then
      found = members[name]
    end
    if found == nil then
      error("ngx." .. tostring(name) .. " is not available here", 2)
    end
    return found
  end,
  __newindex = function(_, name, value)
    if name ~= "status" then
      error("ngx." .. tostring(name) .. " cannot be set", 2)
    end
    pdk.response.set_status(value)
  end,
  __metatable = false,
})
openresty.req = pdk.closed("ngx.req", request)

return openresty
