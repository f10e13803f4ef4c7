-- Kong's `hide_credentials`: takes keys out of headers and query. What else the query holds stays
-- as the client wrote it.

local NAME = "key-auth"

local function hide(handle)
  local config, headers = handle:filterContext(), handle:headers()
  local names = {}
  for _, name in ipairs(config:get("names")) do
    names[name] = true
    if config:get("in_header") then
      headers:remove(name)
    end
  end
  local path, query = form.split(headers:get(":path"))
  local kept, hidden = {}, false
  for pair in (query or ""):gmatch("[^&]+") do
    if names[form.unescape(pair:match("^[^=]*"))] then
      hidden = true
    else
      kept[#kept + 1] = pair
    end
  end
  if hidden then
    headers:replace(":path", #kept > 0 and path .. "?" .. table.concat(kept, "&") or path)
  end
end

function envoy_on_request(handle)
  guard.request(handle, NAME, function()
    hide(handle)
  end)
end
