-- Runs a program so that no mistake in it lets a request pass: Envoy 1.40 goes on after an error.
local guard = {}

local UNEXPECTED = "An unexpected error occurred"

-- Kong's error object as an answer in place of the service's; does not return.
function guard.refuse(handle, status, message, headers)
  local said = { [":status"] = tostring(status), ["content-type"] = "application/json; charset=utf-8" }
  for name, value in pairs(headers or {}) do
    said[name] = value
  end
  local id = handle:headers():get("x-request-id") or ""
  local body = '{"message":' .. json.quote(message) .. ',"request_id":' .. json.quote(id) .. "}"
  handle:respond(said, body)
end

-- On the way to the service: an error answers 500.
function guard.request(handle, name, program)
  local done, problem = pcall(program)
  if not done then
    handle:logErr(name .. ": " .. tostring(problem))
    guard.refuse(handle, 500, UNEXPECTED)
  end
end

-- On the way back: an error makes a 500 without the service's body of the answer.
function guard.response(handle, name, program)
  local done, problem = pcall(program)
  if done then
    return
  end
  handle:logErr(name .. ": " .. tostring(problem))
  local body = handle:body(true)
  body:setBytes('{"message":"' .. UNEXPECTED .. '"}')
  local headers = handle:headers()
  headers:replace(":status", "500")
  headers:replace("content-type", "application/json; charset=utf-8")
  headers:replace("content-length", tostring(body:length()))
  headers:remove("content-encoding")
end

return guard
