-- Where Kong's `jwt` finds tokens: in the query, then in cookies, then in headers.
local jwt_places = {}

local function lines(headers, name)
  local at, count = -1, headers:getNumValues(name)
  return function()
    at = at + 1
    return at < count and headers:getAtIndex(name, at) or nil
  end
end

-- The first cookie of the name in one line, as nginx reads it: in any case, behind `;` or `,`.
local function cookie(line, name)
  local wanted, at = name:lower(), 1
  while at and at <= #line do
    if line:sub(at, at + #name - 1):lower() == wanted then
      local value = line:match("^ *= *([^;]*)", at + #name)
      if value then
        return value
      end
    end
    at = select(2, line:find("[;,] *", at))
    at = at and at + 1
  end
end

-- The tokens of one line of a header. Envoy 1.40 joins several lines of `Authorization` by commas.
local function bearers(line)
  local found, rest = {}, line:match("[Bb]earer%s+(.+)")
  while rest do
    local token, more = rest:match("^(.-),%s*[Bb]earer%s+(.+)$")
    found[#found + 1], rest = token or rest, more
  end
  return found
end

-- All different tokens, in Kong's order; `true` stands for a parameter without a value.
function jwt_places.tokens(headers, config)
  local found, seen = {}, {}
  local function add(token)
    if token ~= "" and not seen[token] then
      found[#found + 1], seen[token] = token, true
    end
  end
  local _, text = form.split(headers:get(":path"))
  local query = text and form.decode(text)
  for _, name in ipairs(query and config:get("parameters") or {}) do
    for _, value in ipairs(query:get(name) or {}) do
      add(value)
    end
  end
  for _, name in ipairs(config:get("cookies") or {}) do
    for line in lines(headers, "cookie") do
      local value = cookie(line, name)
      if value then
        add(value)
        break
      end
    end
  end
  for _, name in ipairs(config:get("headers") or {}) do
    -- Kong looks at the first of several; here none may bring another token.
    for line in lines(headers, name) do
      for _, token in ipairs(bearers(line)) do
        add(token)
      end
    end
  end
  return found
end

return jwt_places
