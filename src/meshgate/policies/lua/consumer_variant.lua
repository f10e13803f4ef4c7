-- Sends consumers who have plugins of their own to the variant of the route that is for them. The
-- route says which (`filterContext`: consumer's id -> variant). Only we can set the header.

function envoy_on_request(handle)
  guard.request(handle, "consumers", function()
    local id = handle:headers():get("x-consumer-id")
    local variant = id and handle:filterContext():get(id)
    if variant then
      handle:headers():replace("x-meshgate-variant", variant)
      handle:clearRouteCache()
    end
  end)
end
