-- What a request's body is, by its Content-Type as Kong reads that.
local body = {}

function body.kind(content_type)
  local lower = (content_type or ""):lower()
  if lower:find("application/json", 1, true) then
    return "json"
  elseif lower:find("multipart/form-data", 1, true) then
    return "multipart"
  end
  return lower:find("application/x-www-form-urlencoded", 1, true) and "form" or nil
end

-- The whole body as a text, and what it can be changed by; waits for it.
function body.read(handle)
  local buffer = handle:body(true)
  local length = buffer:length()
  return length > 0 and buffer:getBytes(0, length) or "", buffer
end

-- Puts a text in the body's place.
function body.write(handle, buffer, text)
  buffer:setBytes(text)
  local headers = handle:headers()
  if headers:get("transfer-encoding") == nil then
    headers:replace("content-length", tostring(#text))
  end
end

return body
