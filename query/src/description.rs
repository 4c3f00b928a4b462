//! What the OpenAPI document of queries says beside the routes themselves.

use usher_http::description::{self, Common};
use utoipa::openapi::OpenApi;

const COMMON: Common = Common {
    any: &[
        ("400", "Problem `malformed` names the parameter"),
        (
            "503",
            "Problem `view-behind`: the view has not what `after` names; `view-unavailable`: it cannot be read. \
             Ask again, not before `Retry-After`",
        ),
    ],
    with_credentials: &[("401", "Problem `unauthorized`: unknown credentials")],
    with_body: &[],
};

/// Completes what the routes say of themselves.
pub(crate) fn complete(openapi: &mut OpenApi) {
    description::complete(openapi, &COMMON);
}
