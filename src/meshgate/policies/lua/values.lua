-- JSON as Lua's own values, for people's functions: objects and arrays are tables.
local values = {}

local MAX_DEPTH = 1000

-- What `null` is read as, and what is written as it.
values.null = setmetatable({}, {
  __tostring = function()
    return "null"
  end,
  __newindex = function()
    error("null cannot be changed", 2)
  end,
  __metatable = false,
})
-- Marks a table as an array, also an empty one.
values.array_mt = setmetatable({}, {
  __newindex = function()
    error("array_mt cannot be changed", 2)
  end,
  __metatable = false,
})

local function blanks(text, at)
  return text:find("[^ \t\r\n]", at) or #text + 1
end

local function wrong(at)
  error({ json = "no JSON at character " .. at }, 0)
end

local read

local function read_string(text, at)
  local from = at + 1
  while true do
    local stop = text:find('["\\]', from) or wrong(at)
    if text:byte(stop) == 34 then
      return json.unquote(text:sub(at, stop)) or wrong(at), stop + 1
    end
    from = stop + 2
  end
end

local function read_object(text, at, depth)
  local found = {}
  at = blanks(text, at + 1)
  if text:byte(at) == 125 then
    return found, at + 1
  end
  while true do
    if text:byte(at) ~= 34 then
      wrong(at)
    end
    local name
    name, at = read_string(text, at)
    at = blanks(text, at)
    if text:byte(at) ~= 58 then
      wrong(at)
    end
    found[name], at = read(text, at + 1, depth + 1)
    at = blanks(text, at)
    local mark = text:byte(at)
    if mark == 125 then
      return found, at + 1
    elseif mark ~= 44 then
      wrong(at)
    end
    at = blanks(text, at + 1)
  end
end

local function read_array(text, at, depth)
  local found, count = setmetatable({}, values.array_mt), 0
  at = blanks(text, at + 1)
  if text:byte(at) == 93 then
    return found, at + 1
  end
  while true do
    count = count + 1
    found[count], at = read(text, at, depth + 1)
    at = blanks(text, at)
    local mark = text:byte(at)
    if mark == 93 then
      return found, at + 1
    elseif mark ~= 44 then
      wrong(at)
    end
    at = at + 1
  end
end

function read(text, at, depth)
  if depth > MAX_DEPTH then
    error({ json = "more than " .. MAX_DEPTH .. " levels deep" }, 0)
  end
  at = blanks(text, at)
  local mark = text:byte(at)
  if mark == 123 then
    return read_object(text, at, depth)
  elseif mark == 91 then
    return read_array(text, at, depth)
  elseif mark == 34 then
    return read_string(text, at)
  end
  for word, value in pairs({ ["true"] = true, ["false"] = false }) do
    if text:sub(at, at + #word - 1) == word then
      return value, at + #word
    end
  end
  if text:sub(at, at + 3) == "null" then
    return values.null, at + 4
  end
  local number, stop = text:match("^(-?%d+%.?%d*[eE]?[+-]?%d*)()", at)
  local value = tonumber(number)
  if not value then
    wrong(at)
  end
  return value, stop
end

-- The value of a text; nil and why where it is no JSON.
function values.decode(text)
  local done, value, stop = pcall(read, text, 1, 1)
  if done and blanks(text, stop) > #text then
    return value
  end
  return nil, done and "more than one value" or type(value) == "table" and value.json or tostring(value)
end

local write

local function is_array(value)
  return getmetatable(value) == values.array_mt or value[1] ~= nil
end

local function write_table(value, depth)
  local parts = {}
  if is_array(value) then
    for i = 1, #value do
      parts[i] = write(value[i], depth + 1)
    end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for name, one in pairs(value) do
    parts[#parts + 1] = json.quote(tostring(name)) .. ":" .. write(one, depth + 1)
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

function write(value, depth)
  local kind = type(value)
  if depth > MAX_DEPTH then
    error("a table of more than " .. MAX_DEPTH .. " levels, or one that holds itself", 0)
  elseif value == nil or value == values.null then
    return "null"
  elseif kind == "string" then
    return json.quote(value)
  elseif kind == "boolean" then
    return tostring(value)
  elseif kind == "number" and value == value and value ~= math.huge and value ~= -math.huge then
    return string.format("%.14g", value)
  elseif kind == "table" then
    return write_table(value, depth)
  end
  error("a " .. kind .. " cannot be written as JSON", 0)
end

-- The text of a value; raises an error where it cannot be written.
function values.encode(value)
  return write(value, 1)
end

return values
