-- Kong's `request-transformer` where Envoy's own filters do not suffice: bodies, renamed query
-- parameters, templates with alternatives. The route says what to do (`filterContext`).
-- A value is a text, or a list of texts and of templates; a template is a list of alternatives.

local NAME = "request-transformer"

-- Where templates look things up, as the request came in.
local function lookups(handle)
  local query
  return {
    headers = function(name)
      return handle:headers():get(name:lower())
    end,
    query_params = function(name)
      if not query then
        local _, text = form.split(handle:headers():get(":path"))
        query = form.decode(text or "")
      end
      local found = query:get(name)
      return found and found[1] ~= true and found[1] or nil
    end,
    uri_captures = function(name)
      local found = handle:streamInfo():dynamicMetadata():get("meshgate.captures")
      return found and found[name]
    end,
    shared = function(name)
      local found = handle:streamInfo():dynamicMetadata():get("meshgate.shared")
      local value = found and found[name]
      return type(value) ~= "table" and value ~= nil and tostring(value) or nil
    end,
  }
end

local function renderer(sources)
  local function alternative(choices)
    for _, choice in ipairs(choices) do
      local value = choice.text
      if choice.source then
        value = sources[choice.source](choice.name)
      end
      if value ~= nil then
        return value
      end
    end
    return ""
  end
  return function(value)
    if type(value) == "string" then
      return value
    end
    local parts = {}
    for i, part in ipairs(value) do
      parts[i] = type(part) == "string" and part or alternative(part)
    end
    -- What a client sent must not become a further header.
    return (table.concat(parts):gsub("[%c]", ""))
  end
end

-- The header changes with their values made, to be applied when all others have been.
local function prepared(steps, render)
  local found = {}
  for _, step in ipairs({ "replace", "add", "append" }) do
    found[step] = {}
    for i, pair in ipairs(steps[step] or {}) do
      found[step][i] = { pair[1], render(pair[2]) }
    end
  end
  return found
end

local function change_headers(headers, steps, made)
  for _, name in ipairs(steps.remove or {}) do
    headers:remove(name)
  end
  for _, pair in ipairs(steps.rename or {}) do
    local old, new = pair[1]:lower(), pair[2]:lower()
    local values = {}
    for i = 1, headers:getNumValues(old) do
      values[i] = headers:getAtIndex(old, i - 1)
    end
    if #values > 0 and old ~= new then
      headers:remove(new)
      for _, value in ipairs(values) do
        headers:add(new, value)
      end
      headers:remove(old)
    end
  end
  for _, pair in ipairs(made.replace) do
    if headers:get(pair[1]) then
      headers:remove(pair[1])
      headers:add(pair[1], pair[2])
    end
  end
  for _, pair in ipairs(made.add) do
    if not headers:get(pair[1]) then
      headers:add(pair[1], pair[2])
    end
  end
  for _, pair in ipairs(made.append) do
    headers:add(pair[1], pair[2])
  end
end

local function change_json(text, steps, render)
  local object = json.object(text)
  if not object then
    if text ~= "" then
      return nil
    end
    object = json.new()
  end
  -- As in Kong, `false` counts as not there, but for `remove`.
  local function there(name)
    local raw = object:get(name)
    return raw ~= nil and raw ~= "false"
  end
  local changed = false
  if text ~= "" then
    for _, name in ipairs(steps.remove or {}) do
      object:set(name, nil)
      changed = true
    end
    for _, pair in ipairs(steps.rename or {}) do
      if pair[1] ~= pair[2] and there(pair[1]) then
        local raw = object:get(pair[1])
        object:set(pair[1], nil)
        object:set(pair[2], raw)
        changed = true
      end
    end
    for _, pair in ipairs(steps.replace or {}) do
      if there(pair[1]) then
        object:set(pair[1], json.quote(render(pair[2])))
        changed = true
      end
    end
  end
  for _, pair in ipairs(steps.add or {}) do
    if not there(pair[1]) then
      object:set(pair[1], json.quote(render(pair[2])))
      changed = true
    end
  end
  for _, pair in ipairs(steps.append or {}) do
    object:set(pair[1], json.append(object:get(pair[1]), json.quote(render(pair[2]))))
    changed = true
  end
  return changed and object:encode() or nil
end

-- Kong's order for parts differs: rename comes first, and nothing is appended.
local function change_multipart(text, content_type, steps, render)
  local parts = multipart.decode(text, content_type)
  if not parts then
    return nil
  end
  local changed = false
  for _, pair in ipairs(steps.rename or {}) do
    local part = parts:get(pair[1])
    if part and pair[1] ~= pair[2] then
      parts:remove(pair[1])
      parts:remove(pair[2])
      parts:add(pair[2], part.body)
      changed = true
    end
  end
  for _, name in ipairs(steps.remove or {}) do
    parts:remove(name)
    changed = true
  end
  for _, pair in ipairs(steps.replace or {}) do
    if parts:get(pair[1]) then
      parts:remove(pair[1])
      parts:add(pair[1], render(pair[2]))
      changed = true
    end
  end
  for _, pair in ipairs(steps.add or {}) do
    if not parts:get(pair[1]) then
      parts:add(pair[1], render(pair[2]))
      changed = true
    end
  end
  return changed and parts:encode() or nil
end

local function change_body(handle, steps, render)
  local content_type = handle:headers():get("content-type")
  local kind = body.kind(content_type)
  if not kind then
    return
  end
  local text, buffer = body.read(handle)
  local made
  if kind == "json" then
    made = change_json(text, steps, render)
  elseif kind == "multipart" then
    made = change_multipart(text, content_type, steps, render)
  else
    local fields = form.decode(text)
    local given = text ~= "" and steps or { add = steps.add, append = steps.append }
    made = form.change(fields, given, render) and fields:encode() or nil
  end
  if made then
    body.write(handle, buffer, made)
  end
end

-- Kong puts a form into the query where the new method has no body.
local function form_as_query(handle, query)
  if body.kind(handle:headers():get("content-type")) ~= "form" then
    return
  end
  local fields = form.decode((body.read(handle)))
  for _, name in ipairs(fields.names) do
    for _, value in ipairs(fields:get(name)) do
      query:append(name, value)
    end
  end
end

-- The path that a template makes. What a client sent may not lead out of it, nor into the query.
local function made_path(handle, text)
  local path = text:gsub("[%c ?#]", function(c)
    return string.format("%%%02X", c:byte())
  end)
  if path:sub(1, 1) ~= "/" then
    path = "/" .. path
  end
  for segment in (path .. "/"):gmatch("([^/]*)/") do
    local plain = segment:gsub("%%2[eE]", ".")
    if plain == "." or plain == ".." then
      guard.refuse(handle, 400, "Bad request")
    end
  end
  return path
end

local function transform(handle)
  local config = handle:filterContext()
  local uri, method = config:get("uri"), config:get("method")
  local parts = {}
  for _, name in ipairs({ "headers", "query", "body" }) do
    parts[name] = config:get(name) or {}
  end
  local render = renderer(lookups(handle))
  local path, asked = form.split(handle:headers():get(":path"))
  local made = prepared(parts.headers, render)
  local query = form.decode(asked or "")
  -- Values are made before anything is changed, so that all of them see the request as it came.
  local new_path = uri and made_path(handle, render(uri)) or path
  local query_changed = form.change(query, parts.query, render)
  if next(parts.body) then
    change_body(handle, parts.body, render)
  end
  if method == "GET" or method == "HEAD" or method == "TRACE" then
    form_as_query(handle, query)
    query_changed = true
  end
  if query_changed then
    asked = query:encode()
  end
  -- What Envoy gave before it waited for the body is of no use any more.
  local headers = handle:headers()
  if uri or query_changed then
    local whole = (asked and asked ~= "") and new_path .. "?" .. asked or new_path
    headers:replace(":path", whole)
  end
  if method then
    headers:replace(":method", method)
  end
  change_headers(headers, parts.headers, made)
end

function envoy_on_request(handle)
  guard.request(handle, NAME, function()
    transform(handle)
  end)
end
