-- Notes the certificates that a client has shown, whoever signed them, for the bridge to judge.
function envoy_on_request(handle)
  local tls = handle:streamInfo():downstreamSslConnection()
  if tls ~= nil and tls:peerCertificatePresented() then
    local chain = tls:urlEncodedPemEncodedPeerCertificateChain()
    handle:streamInfo():dynamicMetadata():set("meshgate.client_certificate", "chain", chain)
  end
end
