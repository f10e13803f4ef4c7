-- Takes verified tokens out of a request as Envoy's `jwt_authn` does, but leaves all else in the
-- query as the client wrote it. `rules` says where the tokens of each issuer are.

local NAME = "request authentication"
-- Envoy 1.40 notes what it has verified under this name, whatever its filter is called.
local VERIFIER, PAYLOAD = "envoy.filters.http.jwt_authn", "payload"

local function unescaped(name)
  return (name:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local function without(path, names)
  local head, query = path:match("^([^?]*)%?(.*)$")
  local kept, taken = {}, false
  for pair in ((query or "") .. "&"):gmatch("([^&]*)&") do
    if names[unescaped(pair:match("^[^=]*"))] then
      taken = true
    else
      kept[#kept + 1] = pair
    end
  end
  if not taken then
    return path
  end
  return #kept > 0 and head .. "?" .. table.concat(kept, "&") or head
end

local function take(handle)
  local noted = handle:streamInfo():dynamicMetadata():get(VERIFIER)
  local rule = noted and noted[PAYLOAD] and rules[noted[PAYLOAD].iss]
  if not rule then
    return
  end
  local headers = handle:headers()
  for name, prefix in pairs(rule.headers) do
    local value = headers:get(name)
    if value and value:find(prefix, 1, true) then
      headers:remove(name)
    end
  end
  headers:replace(":path", without(headers:get(":path"), rule.parameters))
end

function envoy_on_request(handle)
  guard.request(handle, NAME, function()
    take(handle)
  end)
end
