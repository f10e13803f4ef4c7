-- Kong's `jwt` from the signature on: names the credential of a token that Envoy has verified, and
-- refuses what was found wrong with its claims, and everybody who is not verified.

local NAME, STATE = "jwt", "meshgate.jwt"
local TOKEN_HEADER, CREDENTIAL_HEADER = "x-meshgate-jwt-token", "x-meshgate-jwt-credential"
-- Envoy 1.40 notes what it has verified under this name, whatever its filter is called.
local VERIFIER, PROOF = "envoy.filters.http.jwt_authn", "meshgate/jwt"

local function judge(handle)
  local config, headers = handle:filterContext(), handle:headers()
  local metadata = handle:streamInfo():dynamicMetadata()
  local noted, verified = metadata:get(STATE) or {}, metadata:get(VERIFIER)
  headers:remove(TOKEN_HEADER)
  if noted.skipped then
    return
  end
  local proven = noted.credential and verified and verified[PROOF]
  if proven and noted.wrong == "" then
    headers:replace(CREDENTIAL_HEADER, noted.credential)
  elseif not config:get("optional") then
    local unknown = jwt_answer.message("No credentials found for given '" .. config:get("claim") .. "'")
    jwt_answer.refuse(handle, proven and noted.wrong or unknown)
  end
end

function envoy_on_request(handle)
  guard.request(handle, NAME, function()
    judge(handle)
  end)
end
