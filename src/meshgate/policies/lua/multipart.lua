-- Bodies of type multipart/form-data; files and all other parts pass byte by byte.
local multipart = {}

local Parts = {}
Parts.__index = Parts

-- The `name` of a part's Content-Disposition, parameter by parameter, so that nothing inside
-- another one's quotes counts; nil where it has none.
local function name_of(head)
  for line in (head .. "\r\n"):gmatch("(.-)\r\n") do
    local field, said = line:match("^([^:]+):%s*(.*)$")
    if field and field:lower() == "content-disposition" then
      local at = said:find(";", 1, true)
      while at do
        local key, from = said:match("^;%s*([^=;%s]+)%s*=%s*()", at)
        if not key then
          return nil
        end
        local value, stop = said:match('^"([^"\\]*)"()', from)
        if not value and said:byte(from) == 34 then
          -- Quotes with backslashes: taken as a whole, and unescaped.
          local i = from + 1
          while i <= #said and said:byte(i) ~= 34 do
            i = i + (said:byte(i) == 92 and 2 or 1)
          end
          value, stop = said:sub(from + 1, i - 1):gsub("\\(.)", "%1"), i + 1
        elseif not value then
          value, stop = said:match("^([^;%s]*)()", from)
        end
        if key:lower() == "name" then
          return value
        end
        at = said:find(";", stop, true)
      end
    end
  end
  return nil
end

-- The parts of a body; nil where it has no boundary or is cut short.
function multipart.decode(text, content_type)
  local mark = content_type:match('[bB][oO][uU][nN][dD][aA][rR][yY]="([^"]+)"')
    or content_type:match("[bB][oO][uU][nN][dD][aA][rR][yY]=([^;%s]+)")
  if not mark then
    return nil
  end
  local found = setmetatable({ mark = mark }, Parts)
  if text == "" then
    return found
  end
  text = "\r\n" .. text
  local line = "\r\n--" .. mark
  local _, at = text:find(line, 1, true)
  while at do
    if text:sub(at + 1, at + 2) == "--" then
      return found
    end
    local from = text:match("^[ \t]*\r\n()", at + 1)
    local next_at, next_end = text:find(line, from and from - 2 or at, true)
    if not from or not next_at then
      return nil
    end
    local content = text:sub(from, next_at - 1)
    local head, body = content:match("^(.-)\r\n\r\n(.*)$")
    if not head then
      head, body = "", content:gsub("^\r\n", "")
    end
    found[#found + 1] = { head = head, body = body, name = name_of(head) }
    at = next_end
  end
  return nil
end

-- The first part of that name; nil where there is none.
function Parts:get(name)
  for _, part in ipairs(self) do
    if part.name == name then
      return part
    end
  end
end

-- How many parts have that name.
function Parts:count(name)
  local count = 0
  for _, part in ipairs(self) do
    count = count + (part.name == name and 1 or 0)
  end
  return count
end

function Parts:remove(name)
  for i = #self, 1, -1 do
    if self[i].name == name then
      table.remove(self, i)
    end
  end
end

-- A plain field at the end.
function Parts:add(name, value)
  local quoted = name:gsub('["\\\r\n]', "")
  self[#self + 1] = { name = name, head = 'Content-Disposition: form-data; name="' .. quoted .. '"', body = value }
end

function Parts:encode()
  local out = {}
  for _, part in ipairs(self) do
    local head = part.head == "" and "" or part.head .. "\r\n"
    out[#out + 1] = "--" .. self.mark .. "\r\n" .. head .. "\r\n" .. part.body .. "\r\n"
  end
  out[#out + 1] = "--" .. self.mark .. "--\r\n"
  return table.concat(out)
end

return multipart
