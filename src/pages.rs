//! The pages of `web/`, compiled in: no build step, nothing from elsewhere.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use usher_http::etag;
use usher_http::problem::Problem;

/// Scripts, styles and pictures come from here alone, nothing is inline, and
/// nobody frames a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";
/// A new version is seen at once; what is unchanged is not sent again.
const CACHE: &str = "public, max-age=0, must-revalidate";

/// A file with its kind and ETag.
struct File {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
    etag: HeaderValue,
}

macro_rules! files {
    ($($name:literal: $kind:expr),+ $(,)?) => {
        static FILES: LazyLock<Vec<File>> = LazyLock::new(|| vec![
            $(File::new($name, $kind, include_str!(concat!("../web/", $name)))),+
        ]);
    };
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

files! {
    "openings.html": HTML,
    "waiting-room.html": HTML,
    "console.html": HTML,
    "console.css": "text/css; charset=utf-8",
    "seats.css": "text/css; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "attention.js": SCRIPT,
    "best.js": SCRIPT,
    "chart.js": SCRIPT,
    "choice.js": SCRIPT,
    "console-words.js": SCRIPT,
    "console.js": SCRIPT,
    "desk.js": SCRIPT,
    "element.js": SCRIPT,
    "feed.js": SCRIPT,
    "flow.js": SCRIPT,
    "hall.js": SCRIPT,
    "holds.js": SCRIPT,
    "openings.js": SCRIPT,
    "scene.js": SCRIPT,
    "seat-feed.js": SCRIPT,
    "seat-map.js": SCRIPT,
    "seat-panels.js": SCRIPT,
    "seat-words.js": SCRIPT,
    "seats.js": SCRIPT,
    "session.js": SCRIPT,
    "verify.js": SCRIPT,
    "waiting-room.js": SCRIPT,
    "words.js": SCRIPT,
    "zoom.js": SCRIPT,
}

impl File {
    fn new(name: &'static str, kind: &'static str, text: &'static str) -> Self {
        Self { name, kind, text, etag: etag::of(text.as_bytes()) }
    }
}

/// The pages' routes; none of them needs to know anything.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { send("openings.html", &headers) }))
        .route("/console", get(|headers: HeaderMap| async move { send("console.html", &headers) }))
        .route(
            "/openings/{opening}",
            get(|headers: HeaderMap| async move { send("waiting-room.html", &headers) }),
        )
        .route(
            "/web/{file}",
            get(|Path(name): Path<String>, headers: HeaderMap| async move { send(&name, &headers) }),
        )
}

fn send(name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        return Problem::not_found("there is no such page").into_response();
    };
    let known = etag::matches(headers, &file.etag);
    let mut response = Response::new(if known { Body::empty() } else { Body::from(file.text) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let answer = response.headers_mut();
    answer.insert(header::ETAG, file.etag.clone());
    for (name, value) in [
        (header::CONTENT_TYPE, file.kind),
        (header::CACHE_CONTROL, CACHE),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        answer.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn get_at(path: &str, etag: Option<&HeaderValue>) -> Response {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        if let Some(etag) = etag {
            request.headers_mut().insert(header::IF_NONE_MATCH, etag.clone());
        }
        router().oneshot(request).await.unwrap()
    }

    /// What stands between `before` and the next quote.
    fn quoted<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before).skip(1).filter_map(|rest| rest.split('"').next())
    }

    #[tokio::test]
    async fn every_page_brings_a_strict_policy() {
        for path in ["/", "/console", "/openings/concert", "/web/style.css"] {
            let response = get_at(path, None).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        }
        assert_eq!(get_at("/web/secret.js", None).await.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn what_a_browser_has_is_not_sent_again() {
        let etag = get_at("/web/words.js", None).await.headers()[header::ETAG].clone();
        assert_eq!(get_at("/web/words.js", Some(&etag)).await.status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn everything_that_a_page_needs_is_there_and_nothing_comes_from_elsewhere() {
        let known = |name: &str| FILES.iter().any(|file| file.name == name);
        for file in FILES.iter() {
            for part in quoted(file.text, "\"/web/") {
                assert!(known(part), "{} needs {part}", file.name);
            }
            for before in ["from \"./", "import(\"./"] {
                for part in quoted(file.text, before) {
                    assert!(known(part), "{} needs {part}", file.name);
                }
            }
            let elsewhere = quoted(file.text, "=\"http").next().is_some() && file.kind == HTML;
            assert!(!elsewhere, "{} loads from elsewhere", file.name);
        }
    }

    #[test]
    fn no_page_has_script_or_style_of_its_own() {
        for file in FILES.iter().filter(|file| file.kind == HTML) {
            for tag in file.text.split("<script").skip(1) {
                assert!(tag.contains("></script>"), "{}", file.name);
            }
            for inline in [" style=", " onclick=", " onload=", "<style"] {
                assert!(!file.text.contains(inline), "{}: {inline}", file.name);
            }
        }
    }
}
