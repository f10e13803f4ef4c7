-- Forms and query strings: names with their values, in the order in which they came.
local form = {}

local Form = {}
Form.__index = Form

function form.unescape(text)
  local spaced = text:gsub("+", " ")
  return (spaced:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

function form.escape(text)
  return (text:gsub("[^%w%-%._~]", function(c)
    return string.format("%%%02X", c:byte())
  end))
end

-- What a text says. The values of a name are a list; of a name without `=` the value is `true`.
function form.decode(text)
  local found = setmetatable({ names = {}, values = {} }, Form)
  for pair in text:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=(.*)$")
    name = form.unescape(name or pair)
    if name ~= "" then
      found:append(name, value and form.unescape(value) or true)
    end
  end
  return found
end

-- All values of a name; nil where there is none.
function Form:get(name)
  return self.values[name]
end

-- Sets the list of values, nil to remove the name.
function Form:set(name, list)
  if list and not self.values[name] then
    self.names[#self.names + 1] = name
  end
  self.values[name] = list
end

function Form:append(name, value)
  local list = self.values[name]
  if list then
    list[#list + 1] = value
  else
    self:set(name, { value })
  end
end

function Form:encode()
  local parts, done = {}, {}
  for _, name in ipairs(self.names) do
    for _, value in ipairs(not done[name] and self.values[name] or {}) do
      parts[#parts + 1] = value == true and form.escape(name) or form.escape(name) .. "=" .. form.escape(value)
    end
    done[name] = true
  end
  return table.concat(parts, "&")
end

-- A path and its query string, without the question mark; nil where there is none.
function form.split(path)
  local head, query = path:match("^([^?]*)%?(.*)$")
  return head or path, query
end

-- Changes in Kong's order; `render` makes the values. Says whether anything may have changed.
function form.change(fields, steps, render)
  local changed = false
  for _, name in ipairs(steps.remove or {}) do
    fields:set(name, nil)
    changed = true
  end
  for _, pair in ipairs(steps.rename or {}) do
    local old, new = pair[1], pair[2]
    if old ~= new and fields:get(old) then
      local list = fields:get(old)
      fields:set(old, nil)
      fields:set(new, list)
      changed = true
    end
  end
  for _, pair in ipairs(steps.replace or {}) do
    if fields:get(pair[1]) then
      fields:set(pair[1], { render(pair[2]) })
      changed = true
    end
  end
  for _, pair in ipairs(steps.add or {}) do
    if not fields:get(pair[1]) then
      fields:set(pair[1], { render(pair[2]) })
      changed = true
    end
  end
  for _, pair in ipairs(steps.append or {}) do
    fields:append(pair[1], render(pair[2]))
    changed = true
  end
  return changed
end

return form
