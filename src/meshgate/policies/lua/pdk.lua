-- The part of Kong's plugin development kit (`kong.*`) that Meshgate has, over Envoy's handle.
local pdk = {}

local BODY_TYPES = { json = "application/json", form = "application/x-www-form-urlencoded" }
local LEVELS = {
  debug = "logDebug", info = "logInfo", notice = "logInfo", warn = "logWarn",
  err = "logErr", crit = "logCritical", alert = "logCritical", emerg = "logCritical",
}

-- A table with these members; any other member is an error that says its name.
function pdk.closed(name, members)
  return setmetatable({}, {
    __index = function(_, key)
      local found = members[key]
      if found == nil then
        error(name .. "." .. tostring(key) .. " is not available here", 2)
      end
      return found
    end,
    __newindex = function(_, key)
      error(name .. "." .. tostring(key) .. " cannot be set", 2)
    end,
    __metatable = false,
  })
end

local function text_of(value, what)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
    error(what .. " must be a string, got a " .. kind, 3)
  end
  return tostring(value)
end

-- Headers by which messages are told apart: they are Envoy's.
local FRAMING = {
  ["content-length"] = true, ["transfer-encoding"] = true, connection = true, upgrade = true,
}

local function header_name(name)
  name = text_of(name, "header"):lower()
  if FRAMING[name] or not name:find("^[%w!#$&'*+.^_`|~-]+$") or name:sub(1, 11) == "x-meshgate-" then
    error("header " .. name .. " cannot be set", 3)
  end
  return name
end

local function header_value(value)
  value = text_of(value, "a header's value")
  if value:find("[%z\1-\8\10-\31\127]") then
    error("a header's value must not have control characters", 3)
  end
  return value
end

pdk.header_name, pdk.header_value = header_name, header_value

local function only(...)
  local now, phases = state.now, { ... }
  for _, phase in ipairs(phases) do
    if now.phase == phase then
      return now.handle
    end
  end
  error("this cannot be done in the phase " .. now.phase .. ", only in " .. table.concat(phases, ", "), 3)
end

local function all_values(value)
  return type(value) == "table" and value or { value }
end

-- A name's values the way Kong shows them: one by itself, several as a list.
local function shown(list)
  return list and (#list == 1 and list[1] or list) or nil
end

local function query()
  local _, text = form.split(state.pseudo("path"))
  return form.decode(text or "")
end

local function shown_fields(fields)
  local found = {}
  for _, name in ipairs(fields.names) do
    found[name] = shown(fields:get(name))
  end
  return found
end

-- Fields of a table of texts, booleans and lists, sorted by name.
function pdk.fields(arguments)
  local fields, names = form.decode(""), {}
  for name in pairs(arguments) do
    names[#names + 1] = tostring(name)
  end
  table.sort(names)
  for _, name in ipairs(names) do
    for _, value in ipairs(all_values(arguments[name])) do
      if value ~= false then
        fields:append(name, value == true or text_of(value, "a query argument"))
      end
    end
  end
  return fields
end

pdk.query, pdk.shown_fields = query, shown_fields

local request = {}

function request.get_scheme()
  return state.pseudo("scheme")
end

function request.get_host()
  return (state.pseudo("authority"):gsub(":%d+$", ""))
end

function request.get_port()
  local port = state.pseudo("authority"):match(":(%d+)$")
  return tonumber(port or (state.pseudo("scheme") == "https" and 443 or 80))
end

request.get_forwarded_scheme, request.get_forwarded_host = request.get_scheme, request.get_host
request.get_forwarded_port = request.get_port

function request.get_http_version()
  local number = state.handle():streamInfo():protocol():match("^HTTP/([%d.]+)$")
  return tonumber(number or "1.1")
end

function request.get_method()
  return state.pseudo("method")
end

function request.get_path()
  return (form.split(state.pseudo("path")))
end

request.get_raw_path, request.get_forwarded_path = request.get_path, request.get_path

function request.get_path_with_query()
  return state.pseudo("path")
end

function request.get_raw_query()
  local _, text = form.split(state.pseudo("path"))
  return text or ""
end

function request.get_query()
  return shown_fields(query())
end

function request.get_query_arg(name)
  local list = query():get(text_of(name, "query argument name"))
  return list and list[1]
end

function request.get_header(name)
  return state.header(text_of(name, "header name"))
end

function request.get_headers()
  return state.headers()
end

function request.get_raw_body()
  return state.body()
end

function request.get_body(content_type)
  content_type = content_type or state.header("content-type") or ""
  local kind = body.kind(content_type)
  if kind == "json" then
    local value, problem = values.decode(state.body())
    if value == nil then
      return nil, "invalid json body", content_type, problem
    end
    return value, nil, content_type
  elseif kind == "form" then
    return shown_fields(form.decode(state.body())), nil, content_type
  elseif kind == "multipart" then
    local parts = multipart.decode(state.body(), content_type)
    if not parts then
      return nil, "invalid multipart body", content_type
    end
    local found = {}
    for _, part in ipairs(parts) do
      if part.name then
        found[part.name] = part.body
      end
    end
    return found, nil, content_type
  end
  return nil, "unsupported content type '" .. content_type .. "'", content_type
end

function request.get_uri_captures()
  local found = state.handle():streamInfo():dynamicMetadata():get("meshgate.captures") or {}
  local unnamed, named = {}, {}
  for name, value in pairs(found) do
    if tonumber(name) then
      unnamed[tonumber(name)] = value
    else
      named[name] = value
    end
  end
  return { unnamed = unnamed, named = named }
end

function request.get_start_time()
  return state.handle():timestamp()
end

local upstream = {}

local function set_path(path, text)
  local headers = only("rewrite", "access"):headers()
  headers:replace(":path", (text and text ~= "") and path .. "?" .. text or path)
end

function upstream.set_path(path)
  path = text_of(path, "path")
  if path:sub(1, 1) ~= "/" then
    error("path must start with /", 2)
  end
  path = path:gsub("[%c ?#]", function(c)
    return string.format("%%%02X", c:byte())
  end)
  set_path(path, request.get_raw_query())
end

function upstream.set_raw_query(text)
  text = text_of(text, "query"):gsub("[%c #]", function(c)
    return string.format("%%%02X", c:byte())
  end)
  set_path(request.get_path(), text)
end

function upstream.set_query(arguments)
  if type(arguments) ~= "table" then
    error("args must be a table", 2)
  end
  set_path(request.get_path(), pdk.fields(arguments):encode())
end

function upstream.clear_query_arg(name)
  local fields = query()
  fields:set(text_of(name, "query argument name"), nil)
  set_path(request.get_path(), fields:encode())
end

function upstream.set_method(method)
  method = text_of(method, "method"):upper()
  if not method:find("^[A-Z]+$") then
    error("invalid method: " .. method, 2)
  end
  only("rewrite", "access"):headers():replace(":method", method)
end

local function set_request_header(name, value)
  local headers = only("rewrite", "access"):headers()
  name = header_name(name)
  if name == "host" then
    headers:replace(":authority", header_value(all_values(value)[1]))
    return
  end
  headers:remove(name)
  for _, one in ipairs(all_values(value)) do
    headers:add(name, header_value(one))
  end
end

upstream.set_header = set_request_header

function upstream.add_header(name, value)
  only("rewrite", "access"):headers():add(header_name(name), header_value(value))
end

function upstream.clear_header(name)
  only("rewrite", "access"):headers():remove(header_name(name))
end

function upstream.set_headers(headers)
  for name, value in pairs(headers) do
    set_request_header(name, value)
  end
end

function upstream.set_raw_body(text)
  only("rewrite", "access")
  state.set_body(text_of(text, "body"))
end

function upstream.set_body(arguments, content_type)
  only("rewrite", "access")
  local kind = body.kind(content_type or state.header("content-type") or "")
  if kind == "json" then
    state.set_body(values.encode(arguments))
  elseif kind == "form" then
    state.set_body(pdk.fields(arguments):encode())
  else
    error("unsupported content type " .. tostring(content_type), 2)
  end
  set_request_header("content-type", content_type or BODY_TYPES[kind])
end

local response = {}

local function answering()
  return only("header_filter", "body_filter", "log"):headers()
end

function response.get_status()
  return tonumber(answering():get(":status"))
end

function response.get_header(name)
  return answering():getAtIndex(text_of(name, "header name"):lower(), 0)
end

function response.get_headers()
  return state.table_of(answering())
end

-- Changes to the answer: now, or when there is one.
local function change(kind, name, value)
  local now = state.now
  local entry = { kind = kind, name = name, value = value }
  if now.phase == "header_filter" then
    response.apply(now.handle, entry)
  elseif now.phase == "rewrite" or now.phase == "access" then
    state.remember(entry)
  else
    error("an answer's head can be changed up to the phase header_filter only", 3)
  end
end

function response.apply(handle, entry)
  local headers = handle:headers()
  if entry.kind == "status" then
    headers:replace(":status", entry.value)
  elseif entry.kind == "clear" then
    headers:remove(entry.name)
  else
    if entry.kind == "set" then
      headers:remove(entry.name)
    end
    for _, one in ipairs(all_values(entry.value)) do
      headers:add(entry.name, one)
    end
  end
end

local function checked(value)
  if type(value) ~= "table" then
    return header_value(value)
  end
  local list = {}
  for i, one in ipairs(value) do
    list[i] = header_value(one)
  end
  return list
end

function response.set_status(status)
  if type(status) ~= "number" or status < 200 or status > 599 then
    error("code must be a number between 200 and 599", 2)
  end
  change("status", ":status", string.format("%d", status))
end

function response.set_header(name, value)
  change("set", header_name(name), checked(value))
end

function response.add_header(name, value)
  change("add", header_name(name), checked(value))
end

function response.clear_header(name)
  change("clear", header_name(name))
end

function response.set_headers(headers)
  for name, value in pairs(headers) do
    change("set", header_name(name), checked(value))
  end
end

function response.get_raw_body()
  only("body_filter")
  return state.now.answer
end

function response.set_raw_body(text)
  only("body_filter")
  state.now.answer = text_of(text, "body")
end

-- Answers in place of the service; in `header_filter`, changes the answer that there is.
function response.exit(status, content, headers)
  local now = state.now
  local handle = only("rewrite", "access", "header_filter")
  if type(status) ~= "number" or status < 200 or status > 599 then
    error("code must be a number between 200 and 599", 2)
  end
  local said = {}
  for _, entry in ipairs(now.answering and {} or state.remembered(handle)) do
    if entry.kind == "set" or entry.kind == "add" then
      said[entry.name] = entry.value
    end
  end
  for name, value in pairs(headers or {}) do
    said[header_name(name)] = checked(value)
  end
  local text = content
  if type(content) == "table" then
    text = values.encode(content)
    said["content-type"] = said["content-type"] or "application/json; charset=utf-8"
  elseif content ~= nil then
    text = text_of(content, "body")
  end
  if now.answering then
    now.exit = { status = status, text = text or "", headers = said }
    error(now.exit, 0)
  end
  state.forget(handle)
  said[":status"] = string.format("%d", status)
  handle:respond(said, text)
end

local MESSAGES = {
  [400] = "Bad request", [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not found",
  [405] = "Method not allowed", [413] = "Payload too large", [429] = "Too many requests",
  [500] = "An unexpected error occurred", [502] = "An invalid response was received from the upstream server",
  [503] = "The upstream server is currently unavailable", [504] = "The upstream server is timing out",
}

function response.error(status, message, headers)
  if type(status) ~= "number" or status < 400 or status > 599 then
    error("code must be a number between 400 and 599", 2)
  end
  local said = type(message) == "table" and message
    or { message = message or MESSAGES[status] or "An unexpected error occurred", request_id = state.id() }
  return response.exit(status, said, headers)
end

function response.get_source()
  local now = state.now
  answering()
  return now.handle:headers():get("x-envoy-upstream-service-time") and "service" or "exit"
end

local client = {}

function client.get_ip()
  return (state.handle():streamInfo():downstreamDirectRemoteAddress():gsub(":%d+$", ""):gsub("[%[%]]", ""))
end

function client.get_forwarded_ip()
  return (state.handle():streamInfo():downstreamRemoteAddress():gsub(":%d+$", ""):gsub("[%[%]]", ""))
end

function client.get_port()
  return tonumber(state.handle():streamInfo():downstreamDirectRemoteAddress():match(":(%d+)$"))
end

function client.get_consumer()
  local id = state.header("x-consumer-id")
  if not id then
    return nil
  end
  return {
    id = id,
    username = state.header("x-consumer-username"),
    custom_id = state.header("x-consumer-custom-id"),
  }
end

function client.get_credential()
  local id = state.header("x-credential-identifier")
  return id and { id = id } or nil
end

function client.get_protocol()
  return state.pseudo("scheme")
end

local function say(level)
  return function(...)
    local parts = {}
    for i = 1, select("#", ...) do
      parts[i] = tostring((select(i, ...)))
    end
    local handle = state.handle()
    handle[LEVELS[level]](handle, "[" .. state.now.plugin .. "] " .. table.concat(parts))
  end
end

pdk.say = say

local log = {}
for level in pairs(LEVELS) do
  log[level] = say(level)
end

-- The services and routes that Kong knows are not told apart here; the route's name is.
local router = {}
function router.get_route()
  return { name = state.handle():streamInfo():routeName() }
end

pdk.request, pdk.upstream, pdk.response, pdk.client = request, upstream, response, client

local service_response = {}
service_response.get_status, service_response.get_header = response.get_status, response.get_header
service_response.get_headers = response.get_headers

pdk.kong = pdk.closed("kong", {
  request = pdk.closed("kong.request", request),
  service = pdk.closed("kong.service", {
    request = pdk.closed("kong.service.request", upstream),
    response = pdk.closed("kong.service.response", service_response),
  }),
  response = pdk.closed("kong.response", {
    get_status = response.get_status, get_header = response.get_header, get_headers = response.get_headers,
    set_status = response.set_status, set_header = response.set_header, add_header = response.add_header,
    clear_header = response.clear_header, set_headers = response.set_headers, exit = response.exit,
    error = response.error, get_raw_body = response.get_raw_body, set_raw_body = response.set_raw_body,
    get_source = response.get_source,
  }),
  client = pdk.closed("kong.client", client),
  router = pdk.closed("kong.router", router),
  log = setmetatable({}, {
    __index = function(_, key)
      return log[key] or error("kong.log." .. tostring(key) .. " is not available here", 2)
    end,
    __call = function(_, ...)
      log.notice(...)
    end,
    __metatable = false,
  }),
  ctx = pdk.closed("kong.ctx", {
    shared = state.shared(function()
      return "meshgate.shared"
    end),
    plugin = state.shared(function()
      return "meshgate.plugin." .. state.now.plugin
    end),
  }),
  version = "3.9.0",
})

return pdk
