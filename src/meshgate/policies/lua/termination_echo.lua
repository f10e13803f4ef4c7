-- Kong's `request-termination` with `echo`: shows in the answer what came.

local NAME = "request-termination"

local function list(values)
  local parts = {}
  for i, value in ipairs(values) do
    parts[i] = value == true and "true" or json.quote(value)
  end
  return #parts == 1 and parts[1] or "[" .. table.concat(parts, ",") .. "]"
end

-- Names with one value each, or with a list.
local function mapping(names, values)
  local parts, done = {}, {}
  for _, name in ipairs(names) do
    if values[name] and not done[name] then
      parts[#parts + 1] = json.quote(name) .. ":" .. list(values[name])
      done[name] = true
    end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function shown_headers(headers)
  local names, values = {}, {}
  for name, value in pairs(headers) do
    if name:sub(1, 1) ~= ":" and name:sub(1, 11) ~= "x-meshgate-" and name:sub(1, 8) ~= "x-envoy-" then
      names[#names + 1] = name
      values[name] = values[name] or {}
      table.insert(values[name], value)
    end
  end
  local host = headers:get(":authority")
  if host then
    names[#names + 1], values.host = "host", { host }
  end
  table.sort(names)
  return mapping(names, values)
end

local function parsed(kind, text)
  if kind == "form" then
    local fields = form.decode(text)
    return mapping(fields.names, fields.values)
  elseif kind == "json" then
    local object = json.object(text)
    return object and object:encode()
  end
end

local function echo(handle)
  local config, headers = handle:filterContext(), handle:headers()
  local message, status = config:get("message"), config:get("status")
  if not status then
    return
  end
  local path, asked = form.split(headers:get(":path"))
  local query = form.decode(asked or "")
  local trigger = config:get("trigger")
  if trigger and not headers:get(trigger) and not query:get(trigger) then
    return
  end
  local text = body.read(handle)
  headers = handle:headers()
  local host, port = (headers:get(":authority") or ""):match("^(.-):?(%d*)$")
  local scheme = headers:get(":scheme") or "http"
  local members = {
    '"scheme":' .. json.quote(scheme),
    '"host":' .. json.quote(host or ""),
    '"port":' .. (port ~= nil and port ~= "" and port or (scheme == "https" and "443" or "80")),
    '"headers":' .. shown_headers(headers),
    '"query":' .. mapping(query.names, query.values),
    '"method":' .. json.quote(headers:get(":method")),
    '"path":' .. json.quote(path),
  }
  if text ~= "" then
    members[#members + 1] = '"raw_body":' .. json.quote(text)
    local value = parsed(body.kind(headers:get("content-type")), text)
    if value then
      members[#members + 1] = '"body":' .. value
    end
  end
  local said = '{"request":{' .. table.concat(members, ",") .. "}"
    .. ',"matched_route":{"name":' .. json.quote(handle:streamInfo():routeName()) .. "}"
    .. (message and ',"message":' .. json.quote(message) or "") .. "}"
  handle:respond(
    { [":status"] = status, ["content-type"] = "application/json; charset=utf-8" },
    said
  )
end

function envoy_on_request(handle)
  guard.request(handle, NAME, function()
    echo(handle)
  end)
end
