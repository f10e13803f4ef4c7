-- Base64 in the alphabet for URLs, with or without padding.
local base64url = {}

local byte, char, floor = string.byte, string.char, math.floor
local DIGITS = {}
for at, digit in ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"):gmatch("()(.)") do
  DIGITS[byte(digit)] = at - 1
end

-- What the text stands for; nil where it is none. What follows padding does not count, as in Kong.
function base64url.decode(text)
  text = text:match("^[^=]*")
  local rest = #text % 4
  if rest == 1 or text:find("[^%w_-]") then
    return nil
  end
  local parts = {}
  for at = 1, #text - rest, 4 do
    local a, b, c, d = byte(text, at, at + 3)
    local bits = DIGITS[a] * 262144 + DIGITS[b] * 4096 + DIGITS[c] * 64 + DIGITS[d]
    parts[#parts + 1] = char(floor(bits / 65536), floor(bits / 256) % 256, bits % 256)
  end
  if rest > 0 then
    local a, b, c = byte(text, #text - rest + 1, #text)
    local bits = DIGITS[a] * 262144 + DIGITS[b] * 4096 + (c and DIGITS[c] * 64 or 0)
    parts[#parts + 1] = char(floor(bits / 65536))
    if c then
      parts[#parts + 1] = char(floor(bits / 256) % 256)
    end
  end
  return table.concat(parts)
end

return base64url
