-- Kong's `jwt` up to the signature: finds the one token, reads whose it says to be, and tells
-- Envoy's `jwt_authn` which key it must be signed with. Nothing that it says is believed here.

local NAME, STATE = "jwt", "meshgate.jwt"
local TOKEN_HEADER = "x-meshgate-jwt-token"
local ALGORITHMS = { EdDSA = true }
for _, kind in ipairs({ "HS", "RS", "ES", "PS" }) do
  for _, size in ipairs({ "256", "384", "512" }) do
    ALGORITHMS[kind .. size] = true
  end
end

-- A JSON string's text; nil where the value is none.
local function text_of(raw)
  return raw and raw:byte() == 34 and json.unquote(raw) or nil
end

local function number_of(raw)
  return raw and raw:find("^-?%d") and tonumber(raw) or nil
end

local function object_of(part)
  local text = base64url.decode(part)
  return text and json.object(text)
end

-- What Kong's parser makes of the token; nil and Kong's words where it is none.
local function read(token)
  local head, claims, signature = token:match("^([^.]*)%.([^.]*)%.(.*)$")
  if not head then
    return nil, "Bad token; invalid JSON"
  end
  local read_head, read_claims = object_of(head), object_of(claims)
  if not read_head or not read_claims then
    return nil, "Bad token; invalid JSON"
  elseif not ALGORITHMS[text_of(read_head:get("alg"))] then
    return nil, "Bad token; invalid alg"
  elseif not base64url.decode(signature) then
    return nil, "Bad token; invalid signature"
  end
  local bare = signature:match("^[^=]*")
  -- Envoy takes no token without a signature; one zero byte is none either.
  local text = head .. "." .. claims .. "." .. (bare == "" and "AA" or bare)
  return { head = read_head, claims = read_claims, text = text }
end

-- The name of the credential; nil and Kong's words where there is none.
local function credential(token, claim)
  local function found(raw)
    return raw and raw ~= "false" and raw
  end
  local raw = found(token.claims:get(claim)) or found(token.head:get(claim))
  if not raw then
    return nil, "No mandatory '" .. claim .. "' in claims"
  elseif raw == '""' then
    return nil, "Invalid '" .. claim .. "' in claims"
  end
  local name = text_of(raw)
  if not name then
    return nil, "No credentials found for given '" .. claim .. "'"
  end
  return name
end

-- What is wrong with the claims, as a JSON object; nil where nothing is.
local function wrong_claims(claims, config)
  local now, wrong = os.time(), {}
  local exp, nbf = number_of(claims:get("exp")), number_of(claims:get("nbf"))
  if config:get("exp") and not exp then
    wrong[#wrong + 1] = '"exp":"must be a number"'
  elseif config:get("exp") and exp <= now then
    wrong[#wrong + 1] = '"exp":"token expired"'
  end
  if config:get("nbf") and not nbf then
    wrong[#wrong + 1] = '"nbf":"must be a number"'
  elseif config:get("nbf") and nbf > now then
    wrong[#wrong + 1] = '"nbf":"token not valid yet"'
  end
  local longest = tonumber(config:get("longest"))
  if #wrong == 0 and longest and exp - now > longest then
    wrong[1] = '"exp":"exceeds maximum allowed expiration"'
  end
  return #wrong > 0 and "{" .. table.concat(wrong, ",") .. "}" or nil
end

local function look(handle)
  local config, headers = handle:filterContext(), handle:headers()
  local state = handle:streamInfo():dynamicMetadata()
  headers:remove(TOKEN_HEADER)
  if config:get("not_of_preflights") and headers:get(":method") == "OPTIONS" then
    state:set(STATE, "skipped", true)
    return
  end
  local function refuse(message, valid)
    if not config:get("optional") then
      jwt_answer.refuse(handle, jwt_answer.message(message), valid)
    end
  end
  local tokens = jwt_places.tokens(headers, config)
  if #tokens == 0 then
    return refuse("Unauthorized", true)
  elseif #tokens > 1 then
    return refuse("Multiple tokens provided")
  elseif tokens[1] == true then
    return refuse("Unrecognizable token")
  end
  local token, problem = read(tokens[1])
  if not token then
    return refuse(problem)
  end
  local name, missing = credential(token, config:get("claim"))
  if not name then
    return refuse(missing)
  end
  headers:replace(TOKEN_HEADER, token.text)
  state:set(STATE, "credential", form.escape(name))
  state:set(STATE, "requirement", config:get("kind") .. "/" .. form.escape(name))
  state:set(STATE, "wrong", wrong_claims(token.claims, config) or "")
end

function envoy_on_request(handle)
  guard.request(handle, NAME, function()
    look(handle)
  end)
end
