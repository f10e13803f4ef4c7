-- Holds bodies back until they are whole, where they say that they are not too long. It only waits:
-- where it breaks, they pass as they come.

local function hold(handle, name)
  local limit = tonumber(handle:filterContext():get(name) or "")
  local length = (handle:headers():get("content-length") or ""):match("^%d+$")
  if limit and length and tonumber(length) <= limit then
    handle:body()
  end
end

function envoy_on_request(handle)
  hold(handle, "request")
end

function envoy_on_response(handle)
  hold(handle, "response")
end
