-- Kong's `key_in_body`: finds the key in the body and hands it on in a header that only we can
-- set. Headers and the query come first, name by name, so a key there leaves the body alone.

local NAME = "key-auth"
local KEY_HEADER = "x-meshgate-body-key"

-- Values of the name in the body, and the body without it.
local function search(handle, kind, text, name)
  if kind == "form" then
    local fields = form.decode(text)
    local values = fields:get(name) or {}
    fields:set(name, nil)
    return values, function()
      return fields:encode()
    end
  elseif kind == "json" then
    local object = json.object(text)
    local raw = object and object:get(name)
    if not raw then
      return {}
    end
    object:set(name, nil)
    -- A list or an object is taken for several keys, as in Kong; numbers and the like for none.
    local first = raw:byte()
    local values = first == 34 and { json.unquote(raw) } or (first == 91 or first == 123) and { "", "" } or {}
    return values, function()
      return object:encode()
    end
  end
  local parts = multipart.decode(text, handle:headers():get("content-type"))
  if not parts then
    return {}
  end
  local values = {}
  for _, part in ipairs(parts) do
    if part.name == name then
      values[#values + 1] = part.body
    end
  end
  parts:remove(name)
  return values, function()
    return parts:encode()
  end
end

local function find(handle)
  handle:headers():remove(KEY_HEADER)
  local config, headers = handle:filterContext(), handle:headers()
  local in_header, in_query = config:get("in_header"), config:get("in_query")
  local hide, optional, challenge = config:get("hide"), config:get("optional"), config:get("challenge")
  local names = config:get("names")
  local _, text = form.split(headers:get(":path"))
  local query = form.decode(text or "")
  local kind = body.kind(headers:get("content-type"))
  local read, buffer
  for _, name in ipairs(names) do
    if in_header and handle:headers():get(name) or in_query and query:get(name) then
      return
    end
    if not kind then
      -- nothing to look into
    else
      if not read then
        read, buffer = body.read(handle)
      end
      local values, rest = search(handle, kind, read, name)
      if #values > 1 and not optional then
        guard.refuse(handle, 401, "Duplicate API key found", { ["www-authenticate"] = challenge })
      elseif #values == 1 and type(values[1]) == "string" then
        local key = values[1]
        if key ~= "" and not key:find("[%c\127]") then
          handle:headers():replace(KEY_HEADER, key)
          if hide then
            body.write(handle, buffer, rest())
          end
        end
        return
      elseif #values > 0 then
        return
      end
    end
  end
end

function envoy_on_request(handle)
  guard.request(handle, NAME, function()
    find(handle)
  end)
end
