//! Entity tags: an answer that the caller has already is not sent again.

use axum::http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};
use usher_events::ids::Hash;

/// The strong tag of these bytes.
pub fn of(body: &[u8]) -> HeaderValue {
    let hash = Hash(Sha256::digest(body).into()).to_string();
    HeaderValue::from_str(&format!("\"{}\"", &hash[..32])).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The weak tag of what is the same in answers that differ in what does not
/// matter, e.g. the position that they are true of.
pub fn weak(content: &[u8]) -> HeaderValue {
    let tag = format!("W/{}", of(content).to_str().unwrap_or_default());
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Whether `If-None-Match` has this tag: a list, `*`, and the weak comparison
/// of RFC 9110, section 13.1.2.
pub fn matches(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let listed = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = listed.flat_map(|list| list.split(',')).map(str::trim);
    let wanted = opaque(etag.to_str().unwrap_or_default());
    tags.any(|tag| tag == "*" || opaque(tag) == wanted)
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_may_list_several_tags_weak_ones_or_any() {
        let strong = of(b"the seats");
        let tag = strong.to_str().unwrap();
        for etag in [strong.clone(), weak(b"the seats")] {
            let asked = |value: &str| {
                let mut headers = HeaderMap::new();
                headers.append(header::IF_NONE_MATCH, "\"first line\"".parse().unwrap());
                headers.append(header::IF_NONE_MATCH, value.parse().unwrap());
                matches(&headers, &etag)
            };
            assert!(asked(tag) && asked(&format!("W/{tag}")) && asked("*"));
            assert!(asked(&format!("\"other\" , {tag}")) && asked(&format!("W/\"other\",W/{tag}")));
            assert!(!asked("\"other\"") && !asked("") && !asked(&tag[1..]));
            assert!(!matches(&HeaderMap::new(), &etag));
        }
        assert!(weak(b"the seats").to_str().unwrap().starts_with("W/\""));
    }
}
