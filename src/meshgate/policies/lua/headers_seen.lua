-- Notes the headers of a request and of its answer for the access log; changes nothing.

-- Metadata must be UTF-8, headers need not be: each byte beyond ASCII becomes the character of its number.
local function shown(text)
  return (text:gsub("[\128-\255]", function(c)
    local byte = c:byte()
    return string.char(0xC0 + math.floor(byte / 64), 0x80 + byte % 64)
  end))
end

local function note(h, key)
  local found = {}
  for name, value in pairs(h:headers()) do
    name = shown(name)
    local before = found[name]
    if before == nil then
      found[name] = shown(value)
    elseif type(before) == "table" then
      before[#before + 1] = shown(value)
    else
      found[name] = { before, shown(value) }
    end
  end
  h:streamInfo():dynamicMetadata():set("meshgate.log", key, found)
end

function envoy_on_request(h)
  note(h, "request")
end

function envoy_on_response(h)
  note(h, "response")
end
