-- Ids of traces and spans, as lower-case hexadecimal digits.
local ids = {}

local seeded = false

-- Each worker has a state of its own, and all of them would begin alike: the id of the worker's first
-- request and a place in its memory tell them apart.
local function seed(handle)
  local request = (handle:headers():get("x-request-id") or ""):gsub("%X", "")
  local place = tostring({}):gsub("^.*0x", "")
  math.randomseed((tonumber(request:sub(1, 10), 16) or 0) + (tonumber(place, 16) or 0) + os.time())
  seeded = true
end

-- A number from 0 to 1, without 1.
function ids.random(handle)
  if not seeded then
    seed(handle)
  end
  return math.random()
end

-- So many digits, not all of them zeros.
function ids.new(handle, digits)
  if not seeded then
    seed(handle)
  end
  local parts = {}
  for _ = 1, digits / 4 do
    parts[#parts + 1] = string.format("%04x", math.random(0, 65535))
  end
  local found = table.concat(parts)
  return found:find("[^0]") and found or ids.new(handle, digits)
end

-- The id in that many digits: zeros before it, or its last ones.
function ids.sized(id, digits)
  return #id < digits and ("0"):rep(digits - #id) .. id or id:sub(-digits)
end

-- Whether a trace is a sample, by its id alone, so that whoever sees it decides alike: its first eight
-- bytes, the last of them first, as a share of all that there are.
function ids.is_sample(trace, ratio)
  if ratio >= 1 or ratio <= 0 then
    return ratio >= 1
  end
  local share, unit = 0, 1 / 256
  for byte = 8, 3, -1 do
    share = share + tonumber(trace:sub(byte * 2 - 1, byte * 2), 16) * unit
    unit = unit / 256
  end
  return share < ratio
end

return ids
