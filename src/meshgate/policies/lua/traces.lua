-- Carries traces on as Kong's zipkin and opentelemetry do (3.9), and notes the ids for the access log.
-- It only watches: where it breaks, Envoy goes on without it.

local NAMESPACE = "meshgate.trace"

local function read(headers, plugin)
  for _, format in ipairs(plugin.extract or {}) do
    local found = trace_readers[format](headers)
    if found then
      return found, format
    end
  end
  return {}, nil
end

-- The ids of the plugin's spans: `span` of the request, `child` of the call to the service.
local function begin(handle, plugin, client)
  local digits = tonumber(plugin.digits)
  local spans = {
    trace = client.trace and trace_ids.sized(client.trace, 32) or trace_ids.new(handle, digits),
    child = trace_ids.new(handle, 16),
    try = trace_ids.new(handle, 16),
  }
  local span = client.span and trace_ids.sized(client.span, 16)
  local parent = client.parent and trace_ids.sized(client.parent, 16)
  local ratio = tonumber(plugin.ratio)
  if plugin.name == "zipkin" then
    if client.shared then
      spans.span, spans.parent = span, parent
    else
      spans.parent = span
    end
    spans.sampled = client.sampled
    if spans.sampled == nil then
      spans.sampled = trace_ids.random(handle) < ratio
    end
  else
    spans.parent = span or parent
    spans.sampled = client.sampled ~= false
      and trace_ids.is_sample(trace_ids.sized(spans.trace, 32), ratio)
  end
  spans.span = spans.span or trace_ids.new(handle, 16)
  return spans
end

-- Tells the service; gives the trace's id in each format that was written.
local function write(headers, plugin, client, format, spans)
  for _, name in ipairs(plugin.clear or {}) do
    headers:remove(name)
  end
  local known = {
    trace = spans.trace,
    span = spans.child,
    parent = spans.span,
    sampled = spans.sampled,
    debug = client.debug,
    digits = client.trace and #client.trace,
  }
  local told = {}
  for _, wanted in ipairs(plugin.inject or {}) do
    if wanted == "preserve" then
      wanted = format or plugin.default
      if wanted == "b3" and client.single then
        wanted = "b3-single"
      end
    end
    told[wanted == "b3-single" and "b3" or wanted] = trace_writers[wanted](headers, known)
  end
  return told
end

-- Metadata must be UTF-8, headers need not be: each byte beyond ASCII becomes the character of its number.
local function shown(text)
  return (text:gsub("[\128-\255]", function(c)
    local byte = c:byte()
    return string.char(0xC0 + math.floor(byte / 64), 0x80 + byte % 64)
  end))
end

local function written(text)
  return (text:gsub("[\194\195][\128-\191]", function(c)
    return string.char((c:byte(1) - 0xC0) * 64 + c:byte(2) - 0x80)
  end))
end

-- What the client sent of any trace, for who has plugins of his own: { name, value, ... } for each header.
local function kept(headers, plugins)
  local names, found = {}, {}
  for _, name in ipairs(trace_readers.NAMES) do
    names[name] = true
  end
  for _, plugin in ipairs(plugins) do
    for _, name in ipairs(plugin.clear or {}) do
      names[name] = true
    end
  end
  for name in pairs(names) do
    local entry = { name }
    for index = 0, headers:getNumValues(name) - 1 do
      entry[#entry + 1] = shown(headers:getAtIndex(name, index))
    end
    found[#found + 1] = entry
  end
  return found
end

-- Puts back what the route's own plugins have changed.
local function restore(headers, entries)
  for _, entry in ipairs(entries) do
    headers:remove(entry[1])
    for index = 2, #entry do
      headers:add(entry[1], written(entry[index]))
    end
  end
end

local function tags(headers, name)
  local found = {}
  for index = 0, headers:getNumValues(name) - 1 do
    found[#found + 1] = shown(headers:getAtIndex(name, index))
  end
  return table.concat(found, ";")
end

function envoy_on_request(handle)
  local headers, metadata = handle:headers(), handle:streamInfo():dynamicMetadata()
  local context, before = handle:filterContext(), metadata:get(NAMESPACE) or {}
  local plugins = context:get("plugins") or {}
  if #plugins > 0 and before.kept then
    restore(headers, before.kept)
    metadata:set(NAMESPACE, "sampled", "0")
  elseif context:get("kept") then
    metadata:set(NAMESPACE, "kept", kept(headers, plugins))
  end
  for _, plugin in ipairs(plugins) do
    local client, format = read(headers, plugin)
    local spans = begin(handle, plugin, client)
    local told = write(headers, plugin, client, format, spans)
    local note = { trace = spans.trace }
    if spans.sampled then
      note = spans
      note.sampled = "1"
      -- Before anything changes them.
      note.path, note.host = shown(headers:get(":path") or ""), shown(headers:get(":authority") or "")
      if plugin.tags and plugin.tags ~= "" then
        note.tags = tags(headers, plugin.tags)
      end
      metadata:set(NAMESPACE, "sampled", "1")
    end
    note.told = told
    metadata:set(NAMESPACE, plugin.name, note)
  end
end

function envoy_on_response(handle)
  local noted = handle:streamInfo():dynamicMetadata():get(NAMESPACE) or {}
  for _, plugin in ipairs(handle:filterContext():get("plugins") or {}) do
    local note = noted[plugin.name]
    if plugin.answer and plugin.answer ~= "" and note then
      handle:headers():add(plugin.answer, note.trace)
    end
  end
end
