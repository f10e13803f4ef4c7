-- What Kong's `jwt` says to whom it refuses.
local jwt_answer = {}

-- The answer with a body in JSON; `valid`: nothing is wrong with a token, for there is none.
function jwt_answer.refuse(handle, body, valid)
  handle:respond({
    [":status"] = "401",
    ["content-type"] = "application/json; charset=utf-8",
    ["www-authenticate"] = handle:filterContext():get(valid and "challenge" or "invalid"),
  }, body)
end

function jwt_answer.message(text)
  return '{"message":' .. json.quote(text) .. "}"
end

return jwt_answer
