"""Kong's `openid-connect`: config to policy."""

from __future__ import annotations

from collections.abc import Sequence

from meshgate.dialects.kong.plugins.config import Report
from meshgate.dialects.kong.plugins.openid_connect.addresses import is_local
from meshgate.dialects.kong.plugins.openid_connect.clients import lower_clients
from meshgate.dialects.kong.plugins.openid_connect.config import (
    OpenidConnectConfig,
    report_other_values,
    set_to_null,
)
from meshgate.dialects.kong.plugins.openid_connect.login import (
    lower_login,
    lower_logout,
    lower_session,
    methods_of,
)
from meshgate.dialects.kong.plugins.openid_connect.pairs import claim_headers, named
from meshgate.model.policies.openid import (
    CredentialPlace,
    CredentialSources,
    EndpointExtra,
    NeededClaim,
    OpenidCaching,
    OpenidClientAuth,
    OpenIdConnect,
    OpenidEndpoints,
    OpenidIntrospection,
    OpenidMapping,
    OpenidMethod,
    OpenidProvider,
    OpenidRefusals,
    PassedTokens,
    TokenDemands,
)


def lower_openid_connect(config: OpenidConnectConfig, report: Report) -> OpenIdConnect:
    """The policy; what asks for less than the bridge does is warned, what asks for more closes."""
    report_other_values(config, report)
    methods = methods_of(config.auth_methods)
    clients = lower_clients(config, report)
    _check(config, methods, bool(clients), report)
    return OpenIdConnect(
        provider=_provider(config, report),
        methods=methods,
        clients=clients,
        sources=_sources(config),
        session=lower_session(config, report),
        login=lower_login(config, report),
        logout=lower_logout(config),
        token_extra=EndpointExtra(
            arguments=named(config, report, "token_post_args"),
            client_arguments=config.token_post_args_client,
            headers=named(config, report, "token_headers"),
            client_headers=config.token_headers_client,
        ),
        user_info_extra=EndpointExtra(
            arguments=named(config, report, "userinfo_query_args"),
            client_arguments=config.userinfo_query_args_client,
            headers=named(config, report, "userinfo_headers"),
            client_headers=config.userinfo_headers_client,
        ),
        revocation_auth=_auth(config.revocation_endpoint_auth_method),
        revocation_token_name=config.revocation_token_param_name,
        introspection=_introspection(config, report),
        caching=OpenidCaching(
            default_s=config.cache_ttl,
            least_s=config.cache_ttl_min or 0,
            most_s=config.cache_ttl_max,
            negative_s=config.cache_ttl_neg or 0,
            tokens=config.cache_tokens,
            user_info=config.cache_user_info,
        ),
        demands=_demands(config),
        mapping=OpenidMapping(
            consumer_claims=_consumer_claims(config, report),
            consumer_by=tuple(dict.fromkeys(config.consumer_by)),
            ignore_case=config.by_username_ignore_case,
            optional=config.consumer_optional,
            credential_claim=config.credential_claim,
            groups_claim=config.authenticated_groups_claim,
            search_user_info=config.search_user_info,
        ),
        upstream=_passed(config, report, "upstream"),
        downstream=_passed(config, report, "downstream"),
        refusals=OpenidRefusals(
            unauthorized=config.unauthorized_error_message,
            forbidden=config.forbidden_error_message,
            forget_unauthorized=config.unauthorized_destroy_session,
            forget_forbidden=config.forbidden_destroy_session,
            show_reason=config.display_errors,
            show_error_code=config.expose_error_code,
        ),
        hide_credentials=config.hide_credentials,
        run_on_preflight=config.run_on_preflight,
        anonymous=config.anonymous,
        origin=report.origin(),
    )


def _places(names: Sequence[str]) -> frozenset[CredentialPlace]:
    return frozenset(map(CredentialPlace, names))


def _auth(name: str | None) -> OpenidClientAuth | None:
    supported = {one.value: one for one in OpenidClientAuth}
    return supported.get(name or "")


def _check(
    config: OpenidConnectConfig, methods: frozenset[OpenidMethod], has_client: bool, report: Report
) -> None:
    if not methods:
        report.error("MG2103", ("auth_methods",), "must have at least one that is supported")
    if not has_client and "auth_methods" in config.model_fields_set:
        needy = methods & {
            OpenidMethod.AUTHORIZATION_CODE,
            OpenidMethod.PASSWORD,
            OpenidMethod.REFRESH_TOKEN,
            OpenidMethod.INTROSPECTION,
        }
        for method in sorted(needy, key=lambda m: m.value):
            report.error("MG2103", ("client_id",), f"is required for {method.value}")
    if "kong_oauth2" in config.auth_methods and "auth_methods" in config.model_fields_set:
        message = "tokens of the oauth2 plugin are not taken as such"
        report.warn("MG1103", ("auth_methods",), message, "take kong_oauth2 out")
    if "cookie" in config.bearer_token_param_type and not config.bearer_token_cookie_name:
        report.error("MG2103", ("bearer_token_cookie_name",), "is required where cookies bring tokens")
    if config.issuer.startswith("http:") and not is_local(config.issuer):
        report.warn(
            "MG2103",
            ("issuer",),
            "keys and logins come by plain HTTP: whoever is in between decides who gets in",
            "use https",
        )
    if not config.ssl_verify:
        report.warn(
            "MG2103",
            ("ssl_verify",),
            "the provider's certificate is not verified: whoever is in between decides who gets in",
            "remove it",
        )
    if config.response_mode not in ("query", "form_post"):
        report.error("MG1104", ("response_mode",), "must be query or form_post; others are not supported")
    if has_client and config.session_secret is None and not config.client_secret:
        report.warn(
            "MG2103",
            ("session_secret",),
            "without it and without a client_secret sessions end when the gateway restarts",
            "set session_secret to a long random text",
        )


def _provider(config: OpenidConnectConfig, report: Report) -> OpenidProvider:
    return OpenidProvider(
        issuer=config.issuer,
        discovers=not config.using_pseudo_issuer,
        endpoints=OpenidEndpoints(
            authorization=config.authorization_endpoint or "",
            token=config.token_endpoint or "",
            userinfo=config.userinfo_endpoint or "",
            introspection=config.introspection_endpoint or "",
            revocation=config.revocation_endpoint or "",
            end_session=config.end_session_endpoint or "",
            pushed_authorization=config.pushed_authorization_request_endpoint or "",
            jwks=config.jwks_endpoint or "",
        ),
        issuers_allowed=config.issuers_allowed,
        extra_jwks=tuple(dict.fromkeys(config.extra_jwks_uris)),
        discovery_headers=named(config, report, "discovery_headers"),
        rediscovery_s=config.rediscovery_lifetime,
        cache_s=config.cache_ttl,
        ssl_verify=config.ssl_verify,
        timeout_ms=max(1, int(config.timeout)),
    )


def _sources(config: OpenidConnectConfig) -> CredentialSources:
    bearer = _places(config.bearer_token_param_type)
    if config.bearer_token_header_name:
        bearer = frozenset({CredentialPlace.HEADER})
    return CredentialSources(
        bearer=bearer,
        bearer_cookie=config.bearer_token_cookie_name or "",
        bearer_header=config.bearer_token_header_name or "",
        password=_places(config.password_param_type),
        client_credentials=_places(config.client_credentials_param_type),
        refresh_token=_places(config.refresh_token_param_type),
        refresh_token_name=config.refresh_token_param_name or "refresh_token",
        client_arg=config.client_arg,
    )


def _introspection(config: OpenidConnectConfig, report: Report) -> OpenidIntrospection:
    return OpenidIntrospection(
        jwt_too=config.introspect_jwt_tokens,
        hint=config.introspection_hint,
        token_name=config.introspection_token_param_name,
        auth=_auth(config.introspection_endpoint_auth_method),
        extra=EndpointExtra(
            arguments=named(config, report, "introspection_post_args"),
            client_arguments=config.introspection_post_args_client,
            headers=named(config, report, "introspection_headers"),
            client_headers=config.introspection_headers_client,
        ),
        cached=config.cache_introspection,
    )


def _demands(config: OpenidConnectConfig) -> TokenDemands:
    found = (
        NeededClaim(claim=claim, any_of=wanted)
        for claim, wanted in (
            (config.scopes_claim, config.scopes_required),
            (config.audience_claim, config.audience_required),
            (config.groups_claim, config.groups_required),
            (config.roles_claim, config.roles_required),
        )
        if wanted
    )
    return TokenDemands(
        needed=tuple(found),
        claims_forbidden=config.claims_forbidden,
        domains=config.domains,
        leeway_s=config.leeway,
        shared_secret_signatures=config.enable_hs_signatures,
    )


def _consumer_claims(config: OpenidConnectConfig, report: Report) -> tuple[tuple[str, ...], ...]:
    if config.consumer_claim and config.consumer_claims:
        report.error("MG2103", ("consumer_claim",), "contradicts consumer_claims", "keep one of them")
    if any(not path for path in config.consumer_claims):
        report.error("MG2103", ("consumer_claims",), "must be lists of at least one name")
    return config.consumer_claims or ((config.consumer_claim,) if config.consumer_claim else ())


def _passed(config: OpenidConnectConfig, report: Report, side: str) -> PassedTokens:
    unset = set_to_null(f"{side}_access_token_header", report)
    access = "" if unset else (getattr(config, f"{side}_access_token_header") or "")
    return PassedTokens(
        access_token=access.lower(),
        id_token=(getattr(config, f"{side}_id_token_header") or "").lower(),
        refresh_token=(getattr(config, f"{side}_refresh_token_header") or "").lower(),
        user_info=getattr(config, f"{side}_user_info_header") or "",
        introspection=getattr(config, f"{side}_introspection_header") or "",
        claims=claim_headers(config, report, side),
    )
