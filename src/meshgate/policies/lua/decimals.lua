-- Numbers of 64 bits and more, which are written in decimal in some headers and in hexadecimal here.
local decimals = {}

local LIMB = 10000000 -- 7 digits: a limb times 16 is exact
local MOST_DIGITS = 39

-- Decimal digits as hexadecimal ones, without leading zeros; nil for more digits than 128 bits have.
function decimals.to_hex(text)
  if #text > MOST_DIGITS then
    return nil
  end
  local limbs = {} -- of 24 bits, the lowest first
  for digit in text:gmatch("%d") do
    local carry = tonumber(digit)
    for i = 1, #limbs do
      local value = limbs[i] * 10 + carry
      limbs[i] = value % 16777216
      carry = math.floor(value / 16777216)
    end
    if carry > 0 then
      limbs[#limbs + 1] = carry
    end
  end
  local parts = {}
  for i = #limbs, 1, -1 do
    parts[#parts + 1] = string.format("%06x", limbs[i])
  end
  return (table.concat(parts):gsub("^0+", ""))
end

-- Hexadecimal digits as decimal ones.
function decimals.from_hex(text)
  local limbs = { 0 } -- of 7 decimal digits, the lowest first
  for digit in text:gmatch("%x") do
    local carry = tonumber(digit, 16)
    for i = 1, #limbs do
      local value = limbs[i] * 16 + carry
      limbs[i] = value % LIMB
      carry = math.floor(value / LIMB)
    end
    if carry > 0 then
      limbs[#limbs + 1] = carry
    end
  end
  local parts = { tostring(limbs[#limbs]) }
  for i = #limbs - 1, 1, -1 do
    parts[#parts + 1] = string.format("%07d", limbs[i])
  end
  return table.concat(parts)
end

return decimals
