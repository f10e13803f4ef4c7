-- Sends consumers who have plugins of their own to the variant of the route that is for them.
-- `classes` (consumer's id -> class) stands before this; the route says which variant is for which
-- class (`filterContext`). Only we can set the header.

function envoy_on_request(handle)
  guard.request(handle, "consumers", function()
    local id = handle:headers():get("x-consumer-id")
    local class = id and classes[id]
    local variant = class and handle:filterContext():get(class)
    if variant then
      handle:headers():replace("x-meshgate-variant", variant)
      handle:clearRouteCache()
    end
  end)
end
