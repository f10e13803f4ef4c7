-- Kong's `response-transformer` for JSON bodies; the route says what to do (`filterContext`),
-- with values that are JSON already.

local NAME = "response-transformer"

local function change(object, config)
  local function part(name)
    return config:get(name) or {}
  end
  -- As in Kong, `false` counts as not there, but for `remove` and `rename`.
  local function there(name)
    local raw = object:get(name)
    return raw ~= nil and raw ~= "false"
  end
  for _, name in ipairs(part("remove")) do
    object:set(name, nil)
  end
  for _, pair in ipairs(part("rename")) do
    local raw = object:get(pair[1])
    if raw ~= nil and pair[1] ~= pair[2] then
      object:set(pair[1], nil)
      object:set(pair[2], raw)
    end
  end
  for _, pair in ipairs(part("replace")) do
    if there(pair[1]) then
      object:set(pair[1], pair[2])
    end
  end
  for _, pair in ipairs(part("add")) do
    if not there(pair[1]) then
      object:set(pair[1], pair[2])
    end
  end
  for _, pair in ipairs(part("append")) do
    object:set(pair[1], json.append(object:get(pair[1]), pair[2]))
  end
end

-- Where nothing is to be done (the filter is on for another route's sake) no body is held back.
local function idle(config)
  for _, step in ipairs({ "remove", "rename", "replace", "add", "append" }) do
    if config:get(step) then
      return false
    end
  end
  return true
end

local function transform(handle)
  if body.kind(handle:headers():get("content-type")) ~= "json" then
    return
  end
  if idle(handle:filterContext()) then
    return
  end
  local buffer = handle:body()
  if not buffer or buffer:length() == 0 then
    return
  end
  local object = json.object(buffer:getBytes(0, buffer:length()))
  if object then
    change(object, handle:filterContext())
    buffer:setBytes(object:encode())
    handle:headers():replace("content-length", tostring(buffer:length()))
  end
end

function envoy_on_response(handle)
  guard.response(handle, NAME, function()
    transform(handle)
  end)
end
