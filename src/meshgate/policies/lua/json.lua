-- JSON objects, member by member, every value just as it was written: big numbers, deep nesting
-- and odd escapes pass unchanged. Reads in one pass without recursion, so depth costs no stack.
local json = {}

local byte, find, sub, char, format = string.byte, string.find, string.sub, string.char, string.format
local concat, floor = table.concat, math.floor

local QUOTE, BACKSLASH, COMMA, COLON = 34, 92, 44, 58
local CLOSERS = { [123] = 125, [91] = 93 }
local NAMES = { ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
local CHARACTERS = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

-- A JSON string for a text; bytes that are no UTF-8 stay as they are.
function json.quote(text)
  local escaped = text:gsub('[%c"\\]', function(c)
    if c == '"' or c == "\\" then
      return "\\" .. c
    end
    return NAMES[c] or (byte(c) == 127 and c) or format("\\u%04x", byte(c))
  end)
  return '"' .. escaped .. '"'
end

-- UTF-8 of a code point; half of a surrogate pair gets the three bytes that its number has.
local function utf8(code)
  if code < 0x80 then
    return char(code)
  elseif code < 0x800 then
    return char(0xC0 + floor(code / 64), 0x80 + code % 64)
  elseif code < 0x10000 then
    return char(0xE0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
  end
  local high = 0xF0 + floor(code / 262144)
  return char(high, 0x80 + floor(code / 4096) % 64, 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
end

-- The text that a JSON string stands for; nil where an escape is none.
function json.unquote(raw)
  if not find(raw, "\\", 1, true) then
    return sub(raw, 2, -2)
  end
  local parts, from, last = {}, 2, #raw - 1
  while true do
    local at = find(raw, "\\", from, true)
    if not at or at > last then
      break
    end
    parts[#parts + 1] = sub(raw, from, at - 1)
    local mark = sub(raw, at + 1, at + 1)
    from = at + 2
    if mark == "u" then
      local code = tonumber(raw:match("^%x%x%x%x", from) or "", 16)
      if not code then
        return nil
      end
      from = from + 4
      local low = code >= 0xD800 and code < 0xDC00 and raw:match("^\\u([dD][c-fC-F]%x%x)", from)
      if low then
        code = 0x10000 + (code - 0xD800) * 1024 + tonumber(low, 16) - 0xDC00
        from = from + 6
      end
      parts[#parts + 1] = utf8(code)
    elseif mark == '"' or mark == "\\" or mark == "/" then
      parts[#parts + 1] = mark
    elseif CHARACTERS[mark] then
      parts[#parts + 1] = CHARACTERS[mark]
    else
      return nil
    end
  end
  parts[#parts + 1] = sub(raw, from, last)
  return concat(parts)
end

local function blanks(text, at)
  return find(text, "[^ \t\r\n]", at)
end

-- Where the string that begins at `at` has ended; nil where it does not.
local function string_end(text, at)
  local from = at + 1
  while true do
    local stop = find(text, '["\\]', from)
    if not stop then
      return nil
    elseif byte(text, stop) == QUOTE then
      return stop + 1
    end
    from = stop + 2
  end
end

local function scalar_end(text, at)
  local _, last = find(text, "^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  if not last then
    _, last = find(text, "^true", at)
  end
  if not last then
    _, last = find(text, "^false", at)
  end
  if not last then
    _, last = find(text, "^null", at)
  end
  return last and last + 1
end

-- Where the key at `at` and its colon have ended; nil where there is none.
local function key_end(text, at)
  if not at or byte(text, at) ~= QUOTE then
    return nil
  end
  local stop = string_end(text, at)
  local colon = stop and blanks(text, stop)
  return colon and byte(text, colon) == COLON and colon + 1 or nil
end

-- Where the value that begins at or behind `at` has ended; nil where it is no JSON.
local function value_end(text, at)
  local open, depth = {}, 0
  while true do
    at = blanks(text, at)
    if not at then
      return nil
    end
    local closer, ended = CLOSERS[byte(text, at)], true
    if closer then
      local inside = blanks(text, at + 1)
      if not inside then
        return nil
      elseif byte(text, inside) == closer then
        at = inside + 1
      else
        depth, ended = depth + 1, false
        open[depth] = closer
        at = closer == 125 and key_end(text, inside) or closer == 93 and inside or nil
      end
    elseif byte(text, at) == QUOTE then
      at = string_end(text, at)
    else
      at = scalar_end(text, at)
    end
    if not at then
      return nil
    end
    while ended and depth > 0 do
      at = blanks(text, at)
      local mark = at and byte(text, at)
      if mark == open[depth] then
        depth, at = depth - 1, at + 1
      elseif mark == COMMA then
        ended = false
        at = open[depth] == 125 and key_end(text, blanks(text, at + 1)) or open[depth] == 93 and at + 1 or nil
        if not at then
          return nil
        end
      else
        return nil
      end
    end
    if ended then
      return at
    end
  end
end

local Object = {}
Object.__index = Object

-- The raw value of a member; nil where there is none.
function Object:get(name)
  return self.raw[name]
end

-- Sets a member's raw value, nil to remove it; where it stands does not change.
function Object:set(name, raw)
  if raw ~= nil and not self.known[name] then
    self.known[name] = true
    self.names[#self.names + 1] = name
  end
  self.raw[name] = raw
end

function Object:encode()
  local parts = {}
  for _, name in ipairs(self.names) do
    if self.raw[name] ~= nil then
      parts[#parts + 1] = json.quote(name) .. ":" .. self.raw[name]
    end
  end
  return "{" .. concat(parts, ",") .. "}"
end

function json.new()
  return setmetatable({ names = {}, raw = {}, known = {} }, Object)
end

-- The members of a text that is one object, of equal names the last; nil for any other text.
function json.object(text)
  local at = blanks(text, sub(text, 1, 3) == "\239\187\191" and 4 or 1)
  if not at or byte(text, at) ~= 123 then
    return nil
  end
  local found = json.new()
  at = blanks(text, at + 1)
  local first = true
  while true do
    if at and first and byte(text, at) == 125 then
      break
    end
    first = false
    local from = key_end(text, at)
    local name = from and json.unquote(sub(text, at, string_end(text, at) - 1))
    local value = name and blanks(text, from)
    local stop = value and value_end(text, value)
    at = stop and blanks(text, stop)
    if not at then
      return nil
    end
    found:set(name, sub(text, value, stop - 1))
    if byte(text, at) == 125 then
      break
    elseif byte(text, at) ~= COMMA then
      return nil
    end
    at = blanks(text, at + 1)
  end
  return blanks(text, at + 1) == nil and found or nil
end

-- Kong's `append`: a string becomes a list, a list grows, anything else is replaced by a list.
function json.append(old, raw)
  local kind = old and byte(old)
  if kind == QUOTE then
    return "[" .. old .. "," .. raw .. "]"
  elseif kind == 91 then
    local inner = old:match("^%[(.*)%]$")
    return find(inner, "%S") and "[" .. inner .. "," .. raw .. "]" or "[" .. raw .. "]"
  elseif kind == 123 then
    local object = json.object(old)
    object:set("1", raw)
    return object:encode()
  end
  return "[" .. raw .. "]"
end

return json
